"""One raw object of CallRail -> one typed record, as the schema of its stream says. Pure."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from singer_calls.extract import conform, functions, text
from singer_calls.values.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from singer_calls.extract import Record, SchemaDrift


def schema(stream: str) -> dict[str, Any]:
    """The schema of a stream; what CallRail sends only on request is marked ``x-on-request``."""
    file = files("tap_callrail") / "schemas" / f"{stream}.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


@cache
def _functions(stream: str, zone: ZoneInfo) -> Mapping[str, Callable[[Any], object]]:
    return functions(
        schema(stream), zone, duration=seconds, recording_duration=seconds, tags=_names
    )


def _names(value: object) -> list[str]:
    """Tags: their names; unknown is whether CallRail sends these, or objects with a name."""
    if not isinstance(value, list):
        raise ValueError("not a list")  # noqa: TRY004 (one kind for all misfits)
    return [text(tag.get("name") if isinstance(tag, dict) else tag) for tag in value]


def record(raw: object, stream: str, drift: SchemaDrift, zone: ZoneInfo) -> Record:
    """A record of a stream; NotACallError for what is no object, or has no id."""
    return conform(raw, _functions(stream, zone), drift, key="id")
