"""Checks of the settings that name the store, and of paths in it; they need no library."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES = ("s3", "az", "gs", "file")
SERVED_AT = "served_at"

_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
_NEEDS = ("obstore", "tinytag")


class PathError(ValueError):
    """Text that is no path of a recording."""


def errors(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings of the store, a sentence each, without a value.

    Args:
        config: With ``recordings_url``.
    """
    if not all(map(find_spec, _NEEDS)):
        return ["recordings_url needs libraries: install the extra, as in singer-calls[recordings]"]
    options = config.get("recordings_storage") or {}
    try:
        parts = urlsplit(config["recordings_url"])
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in SCHEMES or parts.query or parts.fragment or "@" in parts.netloc:
        return ["recordings_url must be one of s3://bucket/prefix, az://, gs:// and file:///folder"]
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        return ["recordings_url must name a folder from the root on: file:///folder"]
    if parts.scheme != "file" and not parts.netloc:
        return [f"recordings_url lacks the bucket: {parts.scheme}://bucket/prefix"]
    endpoints = {name: value for name, value in options.items() if "endpoint" in name}
    problems = [
        f"recordings_storage.{name} must be an https:// URL: recordings would travel in clear"
        for name, value in endpoints.items()
        if not str(value).startswith("https://") and not is_clear(value)
    ]
    served_at = options.get(SERVED_AT)
    if served_at is not None and not (parts.scheme == "file" and is_clear(served_at)):
        problems.append(
            f"recordings_storage.{SERVED_AT} is for file:// and a server on this machine, such as "
            "http://127.0.0.1:8000/recordings"
        )
    return problems


def is_clear(value: object) -> bool:
    """Whether it is a URL of this machine, which may be http."""
    try:
        parts = urlsplit(str(value))
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS


def check_path(path: str) -> None:
    """Refuse what no recording is called.

    Raises:
        PathError: The text is empty, or leaves the place of recordings.
    """
    parts = path.split("/")
    if not path.isprintable() or any(part in {"", ".", ".."} for part in parts) or "://" in path:
        raise PathError("is not the path of a recording")


def name_in_bucket(recordings_url: str, path: str) -> str:
    """The whole name of a recording for who has access to the bucket, container or folder."""
    parts = urlsplit(recordings_url)
    prefix = "" if parts.scheme == "file" else parts.path.strip("/")
    return f"{prefix}/{path}" if prefix else path
