"""Moments: a date-time in the forms that call systems write, read as an aware datetime."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_WRITTEN = re.compile(
    r"""(?P<year>\d{4})[-/](?P<month>\d\d?)[-/](?P<day>\d\d?)
        (?:T|\s+)
        (?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?
        \s*(?P<half>[AP]M)?
        \s*(?P<offset>Z|UTC|[+-]\d\d:?\d\d)?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_EPOCH = {10: timedelta(seconds=1), 13: timedelta(milliseconds=1)}
_COMPRESSED = 17
_NOON = 12


def parse(value: object, zone: tzinfo) -> datetime | None:
    """Read a moment.

    Understood are: ISO 8601 (``T`` or a space, ``-`` or ``/``, seconds and offset optional), the
    same with AM or PM, the Unix epoch in 10 digits (seconds) or 13 (milliseconds), and
    ``YYYYMMDDHHMMSSsss`` in UTC: the forms of the vendors' documents and of everything the taps
    emit. A date alone is no moment.

    Args:
        value: Text or a whole number.
        zone: For a time without an offset. In the hour that a change of clocks repeats, the
            first of the two is meant.

    Returns:
        An aware datetime with the offset that was written, None when this is no moment.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    try:
        return _digits(text) if text.isdecimal() else _written(text, zone)
    except (ValueError, OverflowError):
        return None


def _digits(text: str) -> datetime | None:
    if unit := _EPOCH.get(len(text)):
        return datetime(1970, 1, 1, tzinfo=UTC) + int(text) * unit
    if len(text) == _COMPRESSED:
        return datetime.strptime(text, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    return None


def _written(text: str, zone: tzinfo) -> datetime | None:
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict(default="")
    hour, half = int(part["hour"]), part["half"].upper()
    if half and hour <= _NOON:
        # 13:00 PM stands in a vendor's own examples: there the half says nothing new.
        hour = hour % _NOON + (_NOON if half == "PM" else 0)
    moment = datetime(
        int(part["year"]),
        int(part["month"]),
        int(part["day"]),
        hour,
        int(part["minute"]),
        int(part["second"] or 0),
        int(part["fraction"][:6].ljust(6, "0")),
        tzinfo=_offset(part["offset"].upper()) or zone,
    )
    return moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta()))


def _offset(text: str) -> tzinfo | None:
    if not text:
        return None
    if text in {"Z", "UTC"}:
        return UTC
    digits = text[1:].replace(":", "")
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(distance if text[0] == "+" else -distance)
