"""Durations of calls in whole seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

from singer_calls.values.numbers import decimal

_NUMBER = re.compile(r"\d{1,16}(\.\d{0,40})?(e\+?\d{1,2})?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d{1,4}):(?=[0-5]\d:))?(\d{1,5}):([0-5]\d)(?:[.,]\d{1,9})?", re.ASCII)
_ISO = re.compile(
    r"PT(?=\d)(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,7})(?:[.,]\d{1,9})?S)?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_SECONDS = 31 * 24 * 3600  # an epoch in the place of a duration is none


def seconds(value: object) -> int:
    """A duration as whole seconds; parts of a second are cut, since seconds are paid for.

    Args:
        value: A number of seconds (``74``, ``74.6``, ``"74"``), a clock (``"01:14"``,
            ``"00:01:14"``, ``"00:01:14.250"``), ISO 8601 (``"PT1M14S"``), or the timedelta that
            an expression made.

    Raises:
        ValueError: The value is none of these, negative, or longer than a month.
    """
    exact = _exact(value)
    if exact is None or not 0 <= exact <= _LONGEST_SECONDS:
        raise ValueError("not a duration")
    return int(exact)


def _exact(value: object) -> Decimal | int | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if isinstance(value, (float, Decimal)):
        exact = decimal(value)
        return exact if exact.is_finite() else None
    if isinstance(value, timedelta):
        return value // timedelta(seconds=1)
    text = value.strip() if isinstance(value, str) else ""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if match := _CLOCK.fullmatch(text) or _ISO.fullmatch(text):
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + rest
    return None
