"""One raw JSON object of the vendor -> one typed call -> the rows of its parts. All pure.

The schema of ``calls`` is the program: the type of each property says how its value is read.
Missing, null and "" are null alike (the published examples send "" for none). What does not fit
its type becomes null and is counted, by the name of its field only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, TypeAlias

from singer_calls.errors import PluginError

from tap_iovox.fields import ANSWERED, CATEGORY_KINDS, KNOWN

Schema: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[[Any], Any]

# "TRUE" is published; the older API answers "0" and "1".
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes"), True),
    **dict.fromkeys(("false", "0", "no"), False),
}


def text(value: object) -> str:
    """Text as sent; a number (the vendor's ids are 14-digit JSON numbers) as its digits.

    Raises:
        ValueError: The value is an object or a list.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError


def integer(value: object) -> int:
    """A whole number, sent as a number or as text.

    Raises:
        ValueError: It is none.
    """
    return int(text(value))


def flag(value: object) -> bool:
    """A boolean in any spelling.

    Raises:
        ValueError: It is none.
    """
    try:
        return _FLAGS[text(value).strip().lower()]
    except KeyError:
        raise ValueError from None


def moment(value: object, zone: tzinfo) -> str:
    """``2024-02-26 04:39:59`` in the vendor's zone, or with an offset -> ``2024-02-26T04:39:59Z``.

    Raises:
        ValueError: Not a date-time.
    """
    local = datetime.fromisoformat(text(value).strip())
    aware = local if local.tzinfo else local.replace(tzinfo=zone)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def outcome(value: object) -> Row:
    """An outcome. Its shape is unknown (only empty lists are published): text or an object."""
    if isinstance(value, Mapping):
        return {"outcome": _first(value, ("outcome", "call_outcome")), "details": value}
    return {"outcome": value}


_TYPES: dict[str, Read] = {"string": text, "integer": integer, "boolean": flag}


class CallReader:
    """Reads the vendor's calls. Counts in ``oddities`` what it drops or sets to null.

    Args:
        schema: Of the stream ``calls``.
        zone: Of the vendor's bare local times.
    """

    def __init__(self, schema: Schema, zone: tzinfo) -> None:
        self.oddities: Counter[str] = Counter()
        self._zone = zone
        self._read = self._object(schema, "")

    def __call__(self, raw: object) -> Row:
        """One call, with every property of the schema.

        Raises:
            PluginError: It is no object, or has no id.
        """
        if not isinstance(raw, Mapping):
            raise PluginError("iovox answered something else than calls, so nothing of it is used.")
        for name in raw.keys() - KNOWN:
            self.oddities[f"Field {name} is unknown and was dropped"] += 1
        call: Row = self._read(raw)
        if call["id"] is None:
            raise PluginError(
                "iovox answered a call without an id, so it can't be told from others: ask iovox."
            )
        return call

    def _value(self, schema: Schema, path: str) -> Read:
        """How a value of this schema is read; never raises."""
        kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
        if "properties" in schema:
            read = self._object(schema, path)
        elif kind == "array":
            read = self._list(schema["items"], path)
        elif schema.get("format") == "date-time":
            read = partial(moment, zone=self._zone)
        else:
            read = _TYPES.get(kind, dict)

        def guarded(value: object) -> Any:  # noqa: ANN401
            if _is_empty(value):
                return None
            try:
                return read(value)
            except (ValueError, TypeError):
                self.oddities[f"Field {path} did not fit its type and was set to null"] += 1
                return None

        return guarded

    def _object(self, schema: Schema, path: str) -> Read:
        members = [
            (name, ANSWERED.get((path, name), (name,)), self._value(member, _join(path, name)))
            for name, member in schema["properties"].items()
        ]

        def read(value: object) -> Row:
            if not isinstance(value, Mapping):
                raise ValueError  # noqa: TRY004
            return {name: read(_first(value, keys)) for name, keys, read in members}

        return read

    def _list(self, items: Schema, path: str) -> Read:
        prepare = outcome if path == "call_outcomes" else _same
        read = self._value(items, path)

        def read_all(value: object) -> list[Any]:
            # The older API answers a list of one as its only element.
            elements = value if isinstance(value, list) else [value]
            return [item for item in map(read, map(prepare, elements)) if item is not None]

        return read_all


def _is_empty(value: object) -> bool:
    return value is None or value == ""


def _same(value: object) -> object:
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _first(value: Mapping[str, Any], keys: tuple[str, ...]) -> Any:  # noqa: ANN401
    return next((value[key] for key in keys if not _is_empty(value.get(key))), None)


# One call -> the rows of one of its parts, without the columns that every row has.


def _categories(call: Row) -> Iterator[Row]:
    for kind in CATEGORY_KINDS:
        lists = call["categories"] or {}
        for position, category in enumerate(lists.get(f"{kind}_categories") or []):
            yield {"kind": kind, "position": position, **category}


def _positioned(part: str) -> Callable[[Row], Iterator[Row]]:
    return lambda call: (
        {"position": position, **element} for position, element in enumerate(call[part] or [])
    )


def _identified(part: str, own: str) -> Callable[[Row], Iterator[Row]]:
    return lambda call: (
        {**element, own: element[own] or str(position)}
        for position, element in enumerate(call[part] or [])
    )


def _transcriptions(call: Row) -> Iterator[Row]:
    for row in _identified("transcriptions", "transcription_id")(call):
        yield {name: value for name, value in row.items() if name != "phrases"}


def _phrases(call: Row) -> Iterator[Row]:
    for row in _identified("transcriptions", "transcription_id")(call):
        for position, phrase in enumerate(row["phrases"] or []):
            yield {"transcription_id": row["transcription_id"], "position": position, **phrase}


def _keywords(call: Row) -> Iterator[Row]:
    found = (
        {"keyword_rule": rule["keyword_rule"], **keyword}
        for rule in call["keyword_rules"] or []
        for keyword in rule["keywords"] or [{"keyword": None, "count": None}]
    )
    for position, row in enumerate(found):
        yield {"position": position, **row}


ROWS: dict[str, Callable[[Row], Iterator[Row]]] = {
    "call_categories": _categories,
    "call_comments": _identified("comments", "comment_id"),
    "call_transcriptions": _transcriptions,
    "call_transcription_phrases": _phrases,
    "call_tags": _positioned("tags"),
    "call_keywords": _keywords,
    "call_tasks": _positioned("tasks"),
    "call_outcomes": _positioned("call_outcomes"),
}


def rows(stream: str, keys: tuple[str, ...], call: Row) -> list[Row]:
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
