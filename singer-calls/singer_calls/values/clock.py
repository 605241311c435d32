"""Vendor local time <-> UTC, also in the hour that comes twice and the one that never comes.

One form for every UTC moment: ``2026-10-25T00:30:00Z``. It has a fixed width, so comparing two of
them as text (as the Singer SDK does with bookmarks) compares the moments.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_LONGEST_DATE = len("2026-01-31")


def utc_text(moment: datetime) -> str:
    """An aware moment in the one form: UTC, whole seconds (cut, not rounded), ``Z``."""
    return _text(moment.astimezone(UTC).replace(tzinfo=None))


def from_utc_text(text: str) -> datetime:
    """The aware moment of a text that ``utc_text`` made.

    Raises:
        ValueError: The text has another form.
    """
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if utc_text(moment) != text:
        raise ValueError("not of the form 2026-10-25T00:30:00Z")
    return moment


def to_utc(text: str, zone: ZoneInfo) -> str:
    """A vendor's time as UTC in the one form.

    A bare time is in ``zone``. In the hour that comes twice, and in the hour that never comes, it
    has two readings and the later one counts: a call is then never dated before it happened, so
    no bookmark can pass it unseen. A date without a time of day stays that date, whatever the zone:
    its midnight in UTC.

    Args:
        text: ISO 8601, with ``T`` or a space; an offset of its own beats the zone.
        zone: The zone of bare times.

    Raises:
        ValueError: The text is not a time, or one of the years 1 and 9999 (a vendor's "never":
            what lies around it can't be asked for).
    """
    if len(text) <= _LONGEST_DATE:
        return _countable(_text(datetime.combine(date.fromisoformat(text), time.min)))
    moment = datetime.fromisoformat(text)
    try:
        if moment.tzinfo is not None:
            return _countable(utc_text(moment))
        offset = _steady(moment.date(), zone)
        if offset is None:
            local = moment.replace(tzinfo=zone)
            offset = min(_offset(local), _offset(local.replace(fold=1)))
        return _countable(_text(moment - offset))
    except OverflowError:
        raise ValueError("outside of the years 2 to 9998") from None


def _countable(text: str) -> str:
    if text[:4] in {"0001", "9999"}:
        raise ValueError("outside of the years 2 to 9998")
    return text


@lru_cache(maxsize=1024)
def _steady(day: date, zone: ZoneInfo) -> timedelta | None:
    """The offset of a whole day, None for a day on which the clocks change."""
    first = _offset(datetime.combine(day, time.min, zone))
    last = _offset(datetime.combine(day, time.max.replace(fold=1), zone))
    return first if first == last else None


def comes_twice(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether the local time of a moment is that of another one, too."""
    local = moment.astimezone(zone)
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def asked_from(start: datetime, zone: ZoneInfo) -> datetime:
    """The bare local time to ask from, to be sure to be given all calls since ``start``.

    Near a change of the clocks it is earlier than the local time of ``start``, by up to twice the
    size of the change: a call may be dated later than it was, and the vendor may read a bare time
    either way. What comes in excess is for the caller to drop.
    """
    offsets = _offsets(start, zone)
    return (start.astimezone(UTC) + 2 * min(offsets) - max(offsets)).replace(tzinfo=None)


def asked_to(end: datetime, zone: ZoneInfo) -> datetime:
    """The bare local time to ask to, to be sure to be given all calls before ``end``."""
    return (end.astimezone(UTC) + max(_offsets(end, zone))).replace(tzinfo=None)


def _offsets(moment: datetime, zone: ZoneInfo) -> list[timedelta]:
    """The zone's offsets within a day of a moment."""
    return [_offset((moment + shift).astimezone(zone)) for shift in (-_DAY, timedelta(), _DAY)]


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _text(utc: datetime) -> str:
    return f"{utc.isoformat(timespec='seconds')}Z"
