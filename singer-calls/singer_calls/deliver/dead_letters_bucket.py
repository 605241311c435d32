"""Calls set aside in a bucket, for runs on many machines (or machines that don't stay).

A bucket can't append: each time that calls are set aside one object is put, whole in itself, and
durable once the store says so. Credentials are those of the environment, as the cloud's own tools
read them (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...), so that no setting holds them.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from singer_calls.errors import PluginError, SettingsError

SCHEMES = ("s3", "az", "gs")
_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}


def is_bucket(place: str) -> bool:
    """Whether ``rejected_path`` is a URL, and no folder."""
    return "://" in place


class Bucket:
    """Where objects are put, under a prefix; nothing is asked of it before the first.

    Args:
        url: ``s3://bucket/prefix``, ``az://`` or ``gs://``.

    Raises:
        SettingsError: It is no such URL, or the library for it is not installed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.netloc or parts.query or "@" in parts.netloc:
            raise SettingsError(
                "Setting rejected_path must be a folder, or a bucket with a prefix, such as "
                "s3://bucket/rejected (also az:// and gs://)."
            )
        if not find_spec("obstore"):
            raise SettingsError(
                "Setting rejected_path names a bucket, which needs a library: install the extra, "
                "as in singer-calls[recordings]."
            )
        from obstore.exceptions import BaseError, NotFoundError  # noqa: PLC0415 - an extra
        from obstore.store import from_url  # noqa: PLC0415

        self.url = url.rstrip("/")
        self._refusals = (BaseError, OSError, ValueError)
        self._missing = (NotFoundError, FileNotFoundError)
        try:
            self._objects = from_url(self.url, retry_config=_RETRIES)
        except self._refusals as error:
            raise self._refused("opened", error) from None

    def put(self, name: str, data: bytes) -> None:
        """Put an object.

        Raises:
            PluginError: The store doesn't take it.
        """
        try:
            self._objects.put(name, data)
        except self._refusals as error:
            raise self._refused("written", error) from None

    def names(self, ending: str) -> list[str]:
        """The objects whose names end so, in order.

        Raises:
            PluginError: The store doesn't tell.
        """
        try:
            found = [meta["path"] for page in self._objects.list() for meta in page]
        except self._refusals as error:
            raise self._refused("read", error) from None
        return sorted(path for path in found if path.endswith(ending) and "/" not in path)

    def get(self, name: str) -> bytes:
        """The content of an object.

        Raises:
            FileNotFoundError: There is none of that name.
            PluginError: The store doesn't give it.
        """
        try:
            return bytes(self._objects.get(name).bytes())
        except self._missing:
            raise FileNotFoundError(name) from None
        except self._refusals as error:
            raise self._refused("read", error) from None

    def delete(self, name: str) -> None:
        """Delete an object.

        Raises:
            PluginError: The store doesn't.
        """
        try:
            self._objects.delete(name)
        except self._refusals as error:
            raise self._refused("changed", error) from None

    @staticmethod
    def _refused(what: str, error: Exception) -> PluginError:
        # Its text has the URL, and for some clouds more than that.
        return PluginError(
            f"The bucket of rejected calls (rejected_path) can't be {what} "
            f"({type(error).__name__.removesuffix('Error')}): check its name, region, endpoint and "
            "the credentials in the environment."
        )


def new_name(name: str) -> str:
    """A name that no other run has, on whatever machine it began in the same second."""
    return f"{name}-{uuid.uuid4().hex[:8]}"
