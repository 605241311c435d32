"""One bucket, container or folder, in which each recording is put once.

A store belongs to the user, at S3, Azure, Google Cloud Storage or in a folder (obstore). All its
methods may be called from many threads. What the store refuses ends the run in a sentence: it
concerns all recordings. Neither an address, nor a key, nor a signed URL is in a sentence or log.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, cast
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import (
    BaseHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    NotFoundError,
    UnknownConfigurationKeyError,
)
from obstore.store import LocalStore, from_url
from typing_extensions import override

from singer_calls.errors import SettingsError
from singer_calls.http.trust import proxy_for, tls_context
from singer_calls.recordings.audio import CONTENT_TYPES, Audio, UnusableError, inspect
from singer_calls.recordings.checks import SERVED_AT, check_path, errors, is_clear
from singer_calls.recordings.refusals import StoreError, in_sentences

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from obstore.store import ObjectStore, S3Store

PROBE = "call-pipelines-probe.txt"
CACHE = "private, max-age=0"

_CONTAINERS = {kind: container for container, kind in CONTENT_TYPES.items()}
_MISSING = (NotFoundError, FileNotFoundError)
_SINGLE_BYTES = 8 * 2**20  # put with one request; more are sent in parts
_PART_BYTES = 5 * 2**20
_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
_TIMEOUT = "60s"
_SECONDS = 30  # for the probe


class Stored(NamedTuple):
    """A recording in the store.

    Attributes:
        path: Below ``recordings_url``.
        size: Bytes.
        audio: What it is.
    """

    path: str
    size: int
    audio: Audio


class Store:
    """Where recordings are kept.

    Args:
        objects: The bucket, container or folder, with its prefix.
        served_at: Where a folder is served, for a vendor on this machine.
    """

    def __init__(self, objects: ObjectStore, served_at: str = "") -> None:
        self._objects = objects
        self._folder = objects.prefix if isinstance(objects, LocalStore) else None
        self._served_at = served_at

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The store that the settings describe; nothing is asked of it yet.

        Raises:
            SettingsError: They don't describe one.
        """
        url, options = config["recordings_url"], dict(config.get("recordings_storage") or {})
        served_at = str(options.pop(SERVED_AT, ""))
        for problem in errors(config):
            raise SettingsError(f"Setting {problem}.")
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            with in_sentences():
                # Others on this machine have no business in it.
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                return cls(LocalStore(folder), served_at)
        clear = any(is_clear(value) for name, value in options.items() if "endpoint" in name)
        try:
            with in_sentences(UnknownConfigurationKeyError):
                return cls(
                    from_url(
                        url,
                        config=cast("Any", options),  # typed per store
                        client_options={"timeout": _TIMEOUT, "allow_http": clear},
                        retry_config=_RETRIES,
                    )
                )
        except UnknownConfigurationKeyError as error:
            name = re.search(r"key: '(\w+)'", str(error))
            raise SettingsError(
                f"Setting recordings_storage has a key that this store doesn't know"
                f"{f' ({name[1]})' if name else ''}: see the README."
            ) from None

    def look(self, path: str) -> Stored | None:
        """The recording of this path, None if there is none; it is not downloaded.

        What it is was written down with it; where a store keeps no such notes (a folder) or
        somebody else put it, its first bytes are read again. A file that is no recording counts
        as none.
        """
        with contextlib.suppress(*_MISSING), in_sentences(*_MISSING):
            found = obstore.get(self._objects, path, options={"head": True})
            size = found.meta["size"]
            audio = _noted(found.attributes)
            if audio is None:
                with contextlib.suppress(UnusableError), self.open(path) as file:
                    audio = inspect(file, size)
            return Stored(path, size, audio) if audio else None
        return None

    def put(self, path: str, file: IO[bytes], size: int, audio: Audio) -> Stored:
        """Keep a recording; returns when the store has acknowledged it.

        One that is there already stays: a recording is written once, whoever comes first. A large
        one goes in parts, which no store can make conditional: two runs write the same bytes.

        Args:
            path: Below ``recordings_url``.
            file: Seekable.
            size: Its bytes.
            audio: What it is.

        Returns:
            What is there now.
        """
        # A folder keeps none.
        attributes = None if self._folder else _notes(audio)
        file.seek(0)
        try:
            with in_sentences(AlreadyExistsError):
                if size <= _SINGLE_BYTES:
                    data = file.read()
                    obstore.put(self._objects, path, data, attributes=attributes, mode="create")
                else:
                    obstore.put(
                        self._objects, path, file, attributes=attributes, chunk_size=_PART_BYTES,
                        use_multipart=True, max_concurrency=1,
                    )  # fmt: skip
        except AlreadyExistsError:
            return self.look(path) or Stored(path, size, audio)
        return Stored(path, size, audio)

    def open(self, path: str) -> IO[bytes]:
        """A recording to read from: in a folder the file, else a copy, large ones on disk.

        Raises:
            KeyError: There is none.
            PathError: The text is no path.
        """
        check_path(path)
        try:
            with in_sentences(*_MISSING):
                if self._folder is not None:
                    return (self._folder / path).open("rb")
                # Not by ranges: there are servers of S3 that answer the whole to each.
                found = obstore.get(self._objects, path)
                copy = tempfile.SpooledTemporaryFile(_SINGLE_BYTES)  # noqa: SIM115 - the caller's
                for piece in found.stream(_PART_BYTES):
                    copy.write(piece)
        except _MISSING:
            raise KeyError(path) from None
        copy.seek(0)
        return cast("IO[bytes]", copy)

    def delete(self, path: str) -> None:
        """Forget a recording; one that isn't there is forgotten already."""
        with contextlib.suppress(*_MISSING), in_sentences(*_MISSING):
            obstore.delete(self._objects, path)

    def named(self, names: Collection[str]) -> list[str]:
        """Paths of the recordings whose file has one of these names, whatever its ending.

        Every path is looked at: a store finds nothing by a part of its name.
        """
        with in_sentences():
            return [
                one["path"]
                for some in obstore.list(self._objects)
                for one in some
                if PurePosixPath(one["path"]).stem in names
            ]

    def sign(self, path: str, hours: int) -> str:
        """A URL by which anybody can GET a recording for so many hours. Nothing is asked for it.

        It is a credential: for a request's body, never for a file, a ledger or a log.

        Raises:
            PathError: The text is no path.
            StoreError: These credentials can't sign.
        """
        check_path(path)
        if self._folder:
            return f"{self._served_at.rstrip('/')}/{quote(path)}"
        with in_sentences():
            store = cast("S3Store", self._objects)  # or another one that signs
            return obstore.sign(store, "GET", path, timedelta(hours=hours))

    def check(self, hours: int) -> None:
        """Look whether a signed URL can be fetched, by whoever has it and for so long.

        Puts one small object, always the same, and fetches it without credentials.

        Raises:
            StoreError: With what to do about it.
        """
        url = self.sign(PROBE, hours)
        if "X-Amz-Security-Token=" in url:
            raise StoreError(
                "The credentials of recordings_storage are temporary (they have a session token): "
                "a URL signed with them dies with them, after some hours, and a recording may be "
                "fetched a day later. Give the access key of a user that may read the bucket, or "
                "set recording_access to filename."
            )
        with in_sentences():
            obstore.put(self._objects, PROBE, b"Written at the start of a run.\n")
        _fetch(url)


def _notes(audio: Audio) -> dict[str, str]:
    """What is written down with a recording; the channels and seconds for ``look``."""
    return {
        "Content-Type": audio.content_type,
        "Cache-Control": CACHE,
        "channels": str(audio.channels),
        "seconds": str(audio.seconds),
    }


def _noted(attributes: Mapping[Any, str]) -> Audio | None:
    """What was written down with a recording."""
    notes = {str(name).lower(): value for name, value in attributes.items()}
    try:
        return Audio(
            _CONTAINERS[notes["content-type"]], int(notes["channels"]), float(notes["seconds"])
        )
    except (KeyError, ValueError):
        return None


class _NoRedirect(HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: object) -> None:
        """None is followed: what answers elsewhere is not the store."""


def _fetch(url: str) -> None:
    """GET the first byte, as a stranger; a signed URL answers nothing else (a HEAD is refused).

    Not with requests, which would send what ``~/.netrc`` has for the host.
    """
    proxy = proxy_for(url, os.environ)
    handlers: list[BaseHandler] = [
        ProxyHandler({urlsplit(url).scheme: proxy.url} if proxy else {}),
        _NoRedirect(),
    ]
    if url.startswith("https:"):
        handlers.append(HTTPSHandler(context=tls_context(os.environ)))
    asked = Request(url, headers={"Range": "bytes=0-0"})  # noqa: S310 - of our own store
    try:
        with build_opener(*handlers).open(asked, timeout=_SECONDS) as answer:
            status = answer.status
    except HTTPError as error:
        status = error.code
        error.close()
    except (OSError, HTTPException):
        raise StoreError(
            "A recording's signed URL can't be fetched from here: check that the store of "
            "recordings can be reached from outside: the vendor must, too."
        ) from None
    if status not in {200, 206}:
        raise StoreError(
            f"A recording's signed URL is answered with HTTP {status}: check that the credentials "
            "of recordings_storage may read, and the store's region and policy. The vendor could "
            "not fetch a recording."
        )
