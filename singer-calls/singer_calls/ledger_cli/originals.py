"""The originals of calls that were set aside, in the files of ``rejected_path``.

Files are read line by line: they may be larger than the memory.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.dead_letters import MARK, SourceRecord
from singer_calls.deliver.identity import Account
from singer_calls.deliver.messages import decode, encode
from singer_calls.errors import PluginError
from singer_calls.ledger_cli.decisions import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from singer_calls.ledger_cli.waiting import Call, Place


@dataclass(frozen=True, slots=True)
class Original:
    """A call as the tap sent it, as it lies in a file.

    Attributes:
        path: The file.
        target: The plugin that set it aside.
        schema: The SCHEMA message before it.
        offset: Where its line begins, bytes.
    """

    path: Path
    target: str
    schema: bytes
    offset: int

    @property
    def line(self) -> bytes:
        """The RECORD message with its mark."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.readline()

    @property
    def message(self) -> dict[str, Any]:
        """The RECORD message without the mark."""
        message: dict[str, Any] = decode(self.line)
        message.pop(MARK, None)
        return message


@dataclass(frozen=True, slots=True)
class Line:
    """A line of such a file.

    Attributes:
        offset: Where it begins, bytes.
        text: The line.
        schema: The last SCHEMA message of a record's stream.
        mark: Of a RECORD message, None where there is none.
        places: Of which calls it is the original, in the words of the ledger: the call that was to
            be sent, and the record.
        record: Of a RECORD message without our mark, as the first form wrote it.
    """

    offset: int
    text: bytes
    schema: bytes = b""
    mark: dict[str, Any] | None = None
    places: tuple[Place, ...] = ()
    record: dict[str, Any] | None = None


def lines_of(path: Path, *, records: bool = True) -> Iterator[Line]:
    """The lines of a file; one that can't be read is a text and no more.

    Args:
        path: The file.
        records: Whether records are to be known by their own names too, which costs a hash each.
    """
    schemas: dict[str, tuple[bytes, dict[str, Any]]] = {}
    offset = 0
    with path.open("rb") as file:
        for text in file:
            line = Line(offset, text)
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                line = _read(line, schemas, records=records)
            yield line
            offset += len(text)


def _read(line: Line, schemas: dict[str, tuple[bytes, dict[str, Any]]], *, records: bool) -> Line:
    message = decode(line.text)
    if message["type"] == "SCHEMA":
        schemas[message["stream"]] = (line.text, message)
    elif message["type"] == "RECORD":
        mark = message.pop(MARK, None)
        if not isinstance(mark, dict):
            return replace(line, record=message["record"])
        schema, parsed = schemas[message["stream"]]
        places = tuple(_places(mark, SourceRecord(parsed, message), records=records))
        return replace(line, schema=schema, mark=mark, places=places)
    return line


def _places(mark: dict[str, Any], source: SourceRecord, *, records: bool) -> Iterator[Place]:
    account = mark.get("account")
    if isinstance(account, dict):
        named = (str(account[name]) for name in ("vendor", "origin", "campaign"))
        yield Account(*named), str(mark["key"])
    if records:
        yield Account(RECORD, str(mark["target"]), ""), source.name


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, the oldest first."""
    return sorted(folder.glob("*.singer.jsonl"))


def find(folder: Path, calls: Iterable[Call]) -> dict[Place, Original]:
    """The newest original of each of these calls, as far as their files are there.

    Args:
        folder: ``rejected_path``.
        calls: Calls whose rows name a file.

    Raises:
        PluginError: A file can't be read.
    """
    by_file: dict[str, set[Place]] = {}
    for call in calls:
        if call.file is not None:
            by_file.setdefault(call.file, set()).add((call.account, call.key))
    found: dict[Place, Original] = {}
    for name, wanted in sorted(by_file.items()):
        path = folder / name
        if path.name != name or not path.is_file():
            continue
        records = any(account.vendor == RECORD for account, _ in wanted)
        try:
            for line in lines_of(path, records=records):
                for place in line.places:
                    if place in wanted and line.mark is not None:
                        target = str(line.mark.get("target"))
                        found[place] = Original(path, target, line.schema, line.offset)
        except OSError as error:
            raise PluginError(f"A file in rejected_path can't be read: {error.strerror}") from error
    return found


def stream_of(originals: Iterable[Original]) -> Iterator[bytes]:
    """These calls as one Singer stream, in the order of the files.

    Yields:
        Lines.
    """
    ordered = sorted(set(originals), key=lambda one: (one.path, one.offset))
    said: dict[str, bytes] = {}
    for original in ordered:
        stream = decode(original.schema)["stream"]
        if said.get(stream) != original.schema:
            said[stream] = original.schema
            yield original.schema
        yield original.line


def shown_original(original: Original) -> str:
    """The record for a person, on one line."""
    return encode(original.message["record"])
