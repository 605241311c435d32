"""Moments: a date-time in the forms that call systems write, read as a datetime."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

from singer_calls.values.numbers import decimal

_TIME = r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_OFFSET = r"(?P<offset>[A-Z]{1,3}|[+-]\d\d(?::?\d\d)?)?"
_FLAGS = re.VERBOSE | re.IGNORECASE | re.ASCII
_FORMS = (
    # 2026-01-31T09:30:00.250Z, 2026/01/31 9:30 AM, 2026-01-31 09:30:00+00 (PostgreSQL)
    re.compile(
        rf"""(?P<year>\d{{4}})(?P<dash>[-/])(?P<month>\d\d?)(?P=dash)(?P<day>\d\d?)
             (?:T|\s+) {_TIME} \s*(?P<half>[AP]M)? \s*{_OFFSET}""",
        _FLAGS,
    ),
    # 20260131T093000Z: ISO 8601, basic
    re.compile(
        rf"""(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d) [T ]
             (?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d{{1,9}}))?)?
             \s*{_OFFSET}""",
        _FLAGS,
    ),
    # Sat, 31 Jan 2026 09:30:00 +0000: RFC 2822
    re.compile(
        rf"""(?:[A-Z]{{3}},\s*)?(?P<day>\d\d?)\s+(?P<month>[A-Z]{{3}})\s+(?P<year>\d{{4}})\s+
             {_TIME} \s*{_OFFSET}""",
        _FLAGS,
    ),
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
# RFC 2822, section 4.3, of which PST is no zone that a summer changes.
_ZONES = {"Z": 0, "UT": 0, "UTC": 0, "GMT": 0} | {
    f"{letter}{kind}T": hours
    for letter, standard in (("E", -5), ("C", -6), ("M", -7), ("P", -8))
    for kind, hours in (("S", standard), ("D", standard + 1))
}
_EPOCH = {10: timedelta(seconds=1), 13: timedelta(milliseconds=1), 16: timedelta(microseconds=1)}
_EPOCH_PARTS = re.compile(r"(\d{10})\.(\d{1,9})", re.ASCII)
_START_OF_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPRESSED_DIGITS = 17
_NOON_HOUR = 12
# 13:00 PM stands in a vendor's own examples: there the half says nothing new.
_LAST_HOURS = {"AM": 12, "PM": 23}
_LONGEST_CHARS = 64


def read(value: object) -> datetime | None:
    """Read a moment as it is written.

    Understood are: ISO 8601 (``T`` or a space, ``-`` or ``/``, basic or extended; seconds and
    offset optional, the offset's minutes too), the same with AM or PM, RFC 2822, the Unix epoch
    in 10 digits (seconds, with parts or without), 13 (milliseconds) or 16 (microseconds), and
    ``YYYYMMDDHHMMSSsss`` in UTC: the forms of the vendors' documents, of everything the taps
    emit, of databases and of mail. A date alone is no moment, and 01/02/2026 is two days.

    Args:
        value: Text or a number, or the datetime that an expression made.

    Returns:
        A datetime, aware when an offset was written; None when this is no moment.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, (float, Decimal)):
        value = format(decimal(value), "f") if _is_near(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if _is_near(value) else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if len(text) > _LONGEST_CHARS:
        return None
    try:
        return _digits(text) if text.isdecimal() else _written(text)
    except (ValueError, OverflowError):
        return None


def parse(value: object, zone: tzinfo) -> datetime | None:
    """Read a moment, and one without an offset as of a zone.

    Args:
        value: See ``read``.
        zone: For a time without an offset. In the hour that a change of clocks repeats, the
            first of the two is meant.

    Returns:
        An aware datetime with the offset that was written, None when this is no moment.
    """
    moment = read(value)
    return None if moment is None else located(moment, zone)


def located(moment: datetime, zone: tzinfo) -> datetime | None:
    """A moment with an offset: its own, or that of a zone; None outside of the years 1 to 9999."""
    try:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        moment.astimezone(UTC)
        return moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta()))
    except (ValueError, OverflowError):
        return None


def _is_near(number: float | Decimal) -> bool:
    """Whether writing the number out is cheap: it has at most 17 digits before the point."""
    return 0 <= number < 10**_COMPRESSED_DIGITS if Decimal(number).is_finite() else False


def _digits(text: str) -> datetime | None:
    if unit := _EPOCH.get(len(text)):
        return _START_OF_EPOCH + int(text) * unit
    if len(text) == _COMPRESSED_DIGITS:
        return datetime.strptime(text, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    return None


def _written(text: str) -> datetime | None:
    if parts := _EPOCH_PARTS.fullmatch(text):
        micros = int(parts[2][:6].ljust(6, "0"))
        return _START_OF_EPOCH + timedelta(seconds=int(parts[1]), microseconds=micros)
    match = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    if match is None:
        return None
    part = match.groupdict(default="")
    hour, half = int(part["hour"]), part.get("half", "").upper()
    if half and hour > _LAST_HOURS[half]:
        return None
    if half:
        hour = hour % _NOON_HOUR + (_NOON_HOUR if half == "PM" else 0)
    month = part["month"].casefold()
    return datetime(
        int(part["year"]),
        _MONTHS[month] if month in _MONTHS else int(month),
        int(part["day"]),
        hour,
        int(part["minute"]),
        int(part["second"] or 0),
        int(part["fraction"][:6].ljust(6, "0")),
        tzinfo=_offset(part["offset"].upper()),
    )


def _offset(text: str) -> tzinfo | None:
    if not text:
        return None
    if text.isalpha():
        if text not in _ZONES:
            raise ValueError("an unknown zone")
        return timezone(timedelta(hours=_ZONES[text]))
    digits = text[1:].replace(":", "").ljust(4, "0")
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(distance if text[0] == "+" else -distance)
