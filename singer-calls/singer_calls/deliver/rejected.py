"""Calls set aside, as Singer streams that a target can read again after a fix.

Each run has up to two files in ``rejected_path``, mode 0600, made when first needed:

    <target>-<UTC start>.singer.jsonl         rejected calls
    <target>-<UTC start>.held.singer.jsonl    calls whose outcome is unknown

They hold SCHEMA messages and RECORD messages of the *original*, unmapped records, each with an
object ``rejected`` more: outcome, reason, field, status, attempts, time.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.messages import encode
from singer_calls.deliver.outcome import Outcome, Rejected
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MARK = "rejected"
_MARK_SCHEMA = {
    "type": ["object", "null"],
    "description": "Why this call was set aside; removed again when the file is replayed.",
    "properties": {
        "outcome": {"type": "string"},
        "reason": {"type": "string"},
        "field": {"type": ["string", "null"]},
        "status": {"type": ["integer", "null"]},
        "attempts": {"type": "integer"},
        "time": {"type": "string", "format": "date-time"},
    },
}


@dataclass(frozen=True, slots=True)
class Original:
    """A record as the tap sent it, and the SCHEMA message it belongs to.

    Attributes:
        schema: The tap's SCHEMA message.
        message: The tap's RECORD message.
        replayed: True when it comes from a file of this module: someone decided to send it.
    """

    schema: Mapping[str, Any]
    message: Mapping[str, Any]
    replayed: bool = False


def _line(message: Mapping[str, Any]) -> bytes:
    return f"{encode(message)}\n".encode()


class RejectedFile:
    """One file of calls set aside; no file before the first call.

    Args:
        folder: ``rejected_path``.
        name: File name without its ending.
    """

    ending = ".singer.jsonl"

    def __init__(self, folder: str, name: str) -> None:
        self._folder = Path(folder)
        self._name = name
        self._descriptor: int | None = None
        self._streams: dict[str, Mapping[str, Any]] = {}
        self.path: Path | None = None

    def append(self, calls: Iterable[tuple[Original, Outcome, int]]) -> None:
        """Write calls, durably.

        Args:
            calls: Each with its outcome and the number of attempts made.

        Raises:
            PluginError: The file can't be written; none of these calls is in it then.
        """
        try:
            descriptor = self._open()
            good = os.lseek(descriptor, 0, os.SEEK_END)
            seen = dict(self._streams)
            try:
                data = b"".join(line for call in calls for line in self._lines(*call))
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            except OSError:
                self._streams = seen
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, good)
                raise
        except OSError as error:
            raise PluginError(
                f"The file of rejected calls (rejected_path) can't be written: {error.strerror}"
            ) from error

    def _open(self) -> int:
        if self._descriptor is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = 1
            while self._descriptor is None:
                again = f"-{number}" if number > 1 else ""
                path = self._folder / f"{self._name}{again}{self.ending}"
                try:
                    self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                except FileExistsError:
                    number += 1
            self.path = path
            self._sync_folder()
        return self._descriptor

    def _sync_folder(self) -> None:
        if hasattr(os, "O_DIRECTORY"):  # a new file is durable only when its folder is
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _lines(self, original: Original, outcome: Outcome, attempts: int) -> Iterable[bytes]:
        stream = original.message["stream"]
        if self._streams.get(stream) != original.schema:
            self._streams[stream] = original.schema
            schema = original.schema["schema"]
            marked = {**schema["properties"], MARK: _MARK_SCHEMA}
            yield _line({**original.schema, "schema": {**schema, "properties": marked}})
        mark = {
            "outcome": type(outcome).__name__.lower(),
            "reason": outcome.reason,
            "field": outcome.field if isinstance(outcome, Rejected) else None,
            "status": outcome.status if isinstance(outcome, Rejected) else None,
            "attempts": attempts,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        record = {**original.message["record"], MARK: mark}
        yield _line({**original.message, "record": record})

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class HeldFile(RejectedFile):
    """The file of calls whose outcome is unknown."""

    ending = ".held.singer.jsonl"


def unmark_schema(message: dict[str, Any]) -> None:
    """Take our mark out of a replayed SCHEMA message."""
    properties = message.get("schema", {}).get("properties")
    if isinstance(properties, dict) and properties.get(MARK) == _MARK_SCHEMA:
        del properties[MARK]


def unmark_record(message: dict[str, Any]) -> bool:
    """Take our mark out of a RECORD message.

    Returns:
        True when it was there: the record is replayed from one of our files.
    """
    record = message.get("record")
    mark = record.get(MARK) if isinstance(record, dict) else None
    ours = isinstance(mark, dict) and {"outcome", "reason", "attempts", "time"} <= mark.keys()
    if ours and record is not None:
        del record[MARK]
    return ours
