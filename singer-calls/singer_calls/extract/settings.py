"""The dates in a tap's settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATES = ("start_date", "end_date")
_FIRST_YEAR = 1970


def moment(config: Mapping[str, Any], name: str) -> datetime | None:
    """A date setting as an aware moment in UTC, whole seconds; a bare time is UTC.

    Meltano's ``date_iso8601`` settings ("3 days ago") arrive as bare times in UTC.

    Raises:
        ValueError: It is no date.
    """
    if config.get(name) is None:
        return None
    try:
        value = datetime.fromisoformat(config[name])
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).replace(microsecond=0)
    except (TypeError, OverflowError) as error:
        raise ValueError("not a date") from error


def date_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with ``start_date`` and ``end_date``, a sentence each."""
    moments = {}
    for name in DATES:
        try:
            moments[name] = moment(config, name)
        except ValueError:
            yield f"{name} is not a date: give one such as 2026-01-31T00:00:00Z"
            return
    start, end = moments["start_date"], moments["end_date"]
    if start and end and start >= end:
        yield "end_date must be later than start_date"
    elif end and end.year < _FIRST_YEAR:
        yield "end_date lies before 1970: nothing could be read"
    elif start and start.year < _FIRST_YEAR:
        yield "start_date lies before 1970: leave it out to read everything"
    elif start and start > datetime.now(UTC):
        yield "start_date lies in the future: nothing could be read"


def bare_dates(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of the date settings that have a time of day but no offset."""
    for name in DATES:
        value = config.get(name)
        if value and ":" in value and datetime.fromisoformat(value).tzinfo is None:
            yield name
