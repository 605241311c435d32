"""A stream of the input: its records are validated as they came, then mapped."""

from __future__ import annotations

import copy
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.outcome import InvalidCallError, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk.mapper import StreamMap

    from singer_calls.deliver.validation import SourceValidator

# Errors of an expression (simpleeval), and where they have the name that the user wrote.
_NAMED = {
    "NameNotDefined": "name",
    "FunctionNotDefined": "func_name",
    "AttributeDoesNotExist": "attr",
}


class SourceStream:
    """A stream of the input.

    Attributes:
        schema: Its SCHEMA message as it came.
        validator: Of its records.
        old: Whether the first form of our files declares its mark in it.
    """

    def __init__(self, schema: Mapping[str, Any], validator: SourceValidator, *, old: bool) -> None:
        self.schema = schema
        self.validator = validator
        self.old = old

    def mapped(
        self, record: dict[str, Any], stream_maps: Iterable[StreamMap]
    ) -> Iterator[dict[str, Any] | Rejected | None]:
        """What the stream maps make of a record.

        Yields:
            None where they filter it out, and why where they can't take it.
        """
        try:
            self.validator.validate(record)
        except InvalidCallError as error:
            yield Rejected(error.reason, field=error.field)
            return
        for stream_map in stream_maps:
            try:
                mapped = stream_map.transform(copy.copy(record))
            except Exception as error:  # noqa: BLE001 - expressions raise anything
                yield Rejected(_mapping_reason(error), field=_mapped_property(error))
            else:
                yield mapped


def named_beside(stream: str, maps: Mapping[str, Any]) -> list[str]:
    """What stream maps name, when none of it is this stream; they may have been made for it.

    Args:
        stream: The stream's name.
        maps: The setting ``stream_maps``.
    """
    named = [
        told.get("__source__", name) if isinstance(told, dict) else name
        for name, told in maps.items()
    ]
    met = any(name == "__else__" or fnmatch(stream, name) for name in named)
    return [] if met else named


def _mapping_reason(error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    name = getattr(cause, _NAMED.get(type(cause).__name__, ""), None)
    told = f": {name} is not defined" if name else ""
    return f"the stream map failed ({type(cause).__name__}{told}): correct stream_maps"


def _mapped_property(error: Exception) -> str | None:
    """The property whose expression failed; the SDK has it only in its own frame."""
    trace = error.__traceback__
    name = None
    while trace is not None:
        name = trace.tb_frame.f_locals.get("property_name") or name
        trace = trace.tb_next
    return name if isinstance(name, str) else None
