"""Durations of calls in whole seconds."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})")
_LONGEST = 2**53  # what JSON readers keep exactly


def seconds(value: object) -> int:
    """A duration as whole seconds.

    Args:
        value: A number of seconds (``74``, ``74.6``, ``"74"``; parts of a second are cut), or a
            clock (``"01:14"``, ``"00:01:14"``).

    Raises:
        ValueError: The value is none of these, or negative.
    """
    if type(value) is int:
        result = value
    elif isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        hours, minutes, rest = (int(part or 0) for part in clock.groups())
        result = hours * 3600 + minutes * 60 + rest
    elif isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a duration")
    else:
        try:
            result = int(Decimal(str(value).strip()))
        except (InvalidOperation, ValueError, OverflowError):
            raise ValueError("not a duration") from None
    if not 0 <= result < _LONGEST:
        raise ValueError("not a duration")
    return result
