"""One raw JSON object of the vendor -> one typed call -> the rows of its parts. All pure.

The schema of ``calls`` is the program: the type of each property says how its value is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from singer_calls.extract import Record, SchemaDrift, conform, conform_part, integer, text, tree
from singer_calls.values.boolean import boolean
from singer_calls.values.clock import to_utc
from singer_calls.values.duration import seconds
from tap_iovox.fields import CATEGORY_KINDS, PROPERTIES
from tap_iovox.schemas import SCHEMAS

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Schema: TypeAlias = Mapping[str, Any]
Read: TypeAlias = Callable[[Any], Any]

_TYPES: Mapping[str, Read] = {
    "string": text,
    "integer": integer,
    "boolean": boolean,
    "object": tree,
}
# Part -> key of the answer -> property, where the two differ.
_RENAMED: Mapping[str, Mapping[str, str]] = {
    part: {key: name for (of, key), name in PROPERTIES.items() if of == part}
    for part, _ in PROPERTIES
}
_SPECIAL: Mapping[str, Read] = {"call_time_seconds": seconds, "talk_time_seconds": seconds}


class Reader:
    """Reads the vendor's calls.

    Args:
        zone: Of the vendor's bare local times.
        drift: Counts what did not fit.
    """

    def __init__(self, zone: ZoneInfo, drift: SchemaDrift) -> None:
        self._zone = zone
        self._drift = drift
        self._fields = {
            name: self._reader(schema, name)
            for name, schema in SCHEMAS["calls"]["properties"].items()
        }

    def __call__(self, raw: object) -> Record:
        """A call as the schema ``calls`` has it; what was not asked for is null.

        Raises:
            NotACallError: The element is no object, or has no id.
        """
        return conform(raw, self._fields, self._drift, key="id", renamed=_RENAMED[""])

    def _reader(self, schema: Schema, path: str) -> Read:
        """How a value of this schema is read; it raises ValueError where it does not fit."""
        if path in _SPECIAL:
            return _SPECIAL[path]
        kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
        if kind == "array":
            return partial(self._elements, read=self._reader(schema["items"], path), path=path)
        if "properties" in schema:
            members = {
                name: self._reader(member, f"{path}.{name}")
                for name, member in schema["properties"].items()
            }
            return partial(self._members, members=members, path=path)
        return self._moment if schema.get("format") == "date-time" else _TYPES[kind]

    def _moment(self, value: object) -> str:
        return to_utc(text(value), self._zone)

    def _elements(self, value: object, read: Read, path: str) -> list[Any]:
        # The older API answers a list of one as its only element.
        elements = value if isinstance(value, list) else [value]
        if path == "call_outcomes":
            elements = [_outcome(element) for element in elements]
        found = (self._null_if_odd(element, read, path) for element in elements)
        return [element for element in found if element is not None]

    def _members(self, value: object, members: Mapping[str, Read], path: str) -> Record:
        if not isinstance(value, Mapping):
            raise ValueError("not an object")  # noqa: TRY004
        return conform_part(
            value, members, self._drift, path=f"{path}.", renamed=_RENAMED.get(path, {})
        )

    def _null_if_odd(self, value: object, read: Read, path: str) -> Any:  # noqa: ANN401
        if value is None or value == "":
            return None
        try:
            return read(value)
        except ValueError:
            self._drift.count_misfit(path)
            return None


def _outcome(value: object) -> object:
    """An outcome. Its form is unknown (only empty lists are published): text or an object."""
    if isinstance(value, Mapping):
        return {"outcome": value.get("call_outcome") or value.get("outcome"), "details": value}
    return {"outcome": value}


# One call -> the rows of one of its parts, without the columns that every row has.


def _categories(call: Record) -> Iterator[Record]:
    for kind in CATEGORY_KINDS:
        lists = call["categories"] or {}
        for position, category in enumerate(lists.get(f"{kind}_categories") or []):
            yield {"kind": kind, "position": position, **category}


def _positioned(part: str) -> Callable[[Record], Iterator[Record]]:
    return lambda call: (
        {"position": position, **element} for position, element in enumerate(call[part] or [])
    )


def _identified(part: str, own: str) -> Callable[[Record], Iterator[Record]]:
    return lambda call: (
        {**element, own: element[own] or str(position)}
        for position, element in enumerate(call[part] or [])
    )


_whole_transcriptions = _identified("transcriptions", "transcription_id")


def _transcriptions(call: Record) -> Iterator[Record]:
    for transcription in _whole_transcriptions(call):
        yield {name: value for name, value in transcription.items() if name != "phrases"}


def _phrases(call: Record) -> Iterator[Record]:
    for transcription in _whole_transcriptions(call):
        own = {"transcription_id": transcription["transcription_id"]}
        for position, phrase in enumerate(transcription["phrases"] or []):
            yield {**own, "position": position, **phrase}


def _keywords(call: Record) -> Iterator[Record]:
    found = (
        {"keyword_rule": rule["keyword_rule"], **keyword}
        for rule in call["keyword_rules"] or []
        for keyword in rule["keywords"] or [{"keyword": None, "count": None}]
    )
    for position, row in enumerate(found):
        yield {"position": position, **row}


ROWS: Mapping[str, Callable[[Record], Iterator[Record]]] = {
    "call_categories": _categories,
    "call_comments": _identified("comments", "comment_id"),
    "call_transcriptions": _transcriptions,
    "call_transcription_phrases": _phrases,
    "call_tags": _positioned("tags"),
    "call_keywords": _keywords,
    "call_tasks": _positioned("tasks"),
    "call_outcomes": _positioned("call_outcomes"),
}


def rows(stream: str, keys: Sequence[str], call: Record) -> list[Record]:
    """The rows of one element stream, for one call.

    Args:
        stream: Name of the stream, a key of ``ROWS``.
        keys: Its key properties. Of two rows with the same key (a comment sent twice) the later
            one stays.
        call: A typed call.
    """
    head = {"call_id": call["id"], "call_start": call["call_start"]}
    found = ({**head, **row} for row in ROWS[stream](call))
    return list({tuple(row[key] for key in keys): row for row in found}.values())
