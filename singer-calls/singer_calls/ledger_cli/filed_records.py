"""The originals of calls that were set aside, in the files of ``rejected_path``.

Files are read line by line: they may be larger than the memory.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.identity import Account
from singer_calls.deliver.messages import decode
from singer_calls.deliver.source_record import MARK, SourceRecord
from singer_calls.errors import PluginError
from singer_calls.ledger_cli.decisions import RECORD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from singer_calls.deliver.dead_letters_files import Files
    from singer_calls.ledger_cli.desk import Desk
    from singer_calls.ledger_cli.waiting import Call, Place


@dataclass(frozen=True, slots=True)
class FiledRecord:
    """A call as the tap sent it, as it lies in a file.

    Attributes:
        file: The file's name.
        target: The plugin that set it aside.
        schema: The SCHEMA message before it.
        offset: Where its line begins, bytes.
    """

    file: str
    target: str
    schema: bytes
    offset: int


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


def lines_of(files: Files, name: str, *, records: bool = True) -> Iterator[Line]:
    """The lines of a file; one that can't be read is a text and no more.

    Args:
        files: Those of ``rejected_path``.
        name: Of the file.
        records: Whether records are to be known by their own names too, which costs a hash each.
    """
    schemas: dict[str, tuple[bytes, dict[str, Any]]] = {}
    offset = 0
    with files.open(name) as file:
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


def find(files: Files, calls: Iterable[Call]) -> dict[Place, FiledRecord]:
    """The newest original of each of these calls, as far as their files are there.

    Args:
        files: Those of ``rejected_path``.
        calls: Calls whose rows name a file.

    Raises:
        PluginError: A file can't be read.
    """
    by_file: dict[str, set[Place]] = {}
    for call in calls:
        if call.file is not None:
            by_file.setdefault(call.file, set()).add((call.account, call.key))
    found: dict[Place, FiledRecord] = {}
    for name, wanted in sorted(by_file.items()):
        records = any(account.vendor == RECORD for account, _ in wanted)
        with suppress(FileNotFoundError), _in_words():
            for line in lines_of(files, name, records=records):
                for place in line.places:
                    if place in wanted and line.mark is not None:
                        target = str(line.mark.get("target"))
                        found[place] = FiledRecord(name, target, line.schema, line.offset)
    return found


@contextmanager
def _in_words() -> Iterator[None]:
    """A file that can't be read is a sentence; one that is not there is for the caller.

    Raises:
        PluginError: It can't be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PluginError(f"A file in rejected_path can't be read: {error.strerror}") from error


def named(files: Files, keys: Collection[str]) -> dict[str, set[str]]:
    """Records that were refused before they became a delivery: the ledger has them by other names.

    Args:
        files: Those of ``rejected_path``.
        keys: Of calls.

    Returns:
        By key the names of its records in the ledger, as far as their files are there.
    """
    found: dict[str, set[str]] = {}
    for name in files.names() if keys else ():
        with suppress(FileNotFoundError), _in_words():
            for line in lines_of(files, name):
                names = {key for account, key in line.places if account.vendor == RECORD}
                key = str(line.mark.get("key")) if line.mark is not None else ""
                if key in keys:
                    found.setdefault(key, set()).update(names)
    return found


def known_as(desk: Desk, files: Files, given: Sequence[str]) -> list[str]:
    """Keys as the ledger has them.

    Args:
        desk: The ledger.
        files: Those of ``rejected_path``.
        given: By a person. A call that our own check refused was never sent under its key: its
            records, which the files name, stand for it.
    """
    missing = set(given) - {call.key for call in desk.under(given)}
    records = named(files, missing)
    known = {call.key for call in desk.under([*set().union(*records.values())])}
    return [name for key in given for name in sorted(records.get(key, set()) & known) or [key]]


def stream_of(files: Files, originals: Iterable[FiledRecord]) -> Iterator[bytes]:
    """These calls as one Singer stream, in the order of the files.

    Yields:
        Lines.
    """
    ordered = sorted(set(originals), key=lambda one: (one.file, one.offset))
    said: dict[str, bytes] = {}
    for name, group in groupby(ordered, key=lambda one: one.file):
        with files.open(name) as file:
            for original in group:
                stream = decode(original.schema)["stream"]
                if said.get(stream) != original.schema:
                    said[stream] = original.schema
                    yield original.schema
                file.seek(original.offset)
                yield file.readline()


def record_of(files: Files, original: FiledRecord) -> dict[str, Any]:
    """The record as the tap sent it."""
    _schema, line = stream_of(files, [original])
    record: dict[str, Any] = decode(line)["record"]
    return record
