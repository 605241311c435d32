"""Booleans in every spelling that a vendor was seen to use."""

from __future__ import annotations

from decimal import Decimal

from singer_calls.values.numbers import whole

_SPELLINGS = {
    "true": True,
    "1": True,
    "1.0": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "0.0": False,
    "no": False,
    "off": False,
}


def boolean(value: object) -> bool:
    """A boolean: ``true``, ``1``, ``yes``, ``on`` or ``false``, ``0``, ``no``, ``off``, any case.

    Of numbers, 1.0 is 1, also where a column of floats has become text.

    Raises:
        ValueError: The value is none of these.
    """
    if isinstance(value, (float, Decimal)):
        value = whole(value)  # a database's numeric 1.0
    try:
        return _SPELLINGS[str(value).strip().lower()]
    except (KeyError, ValueError):  # ValueError: an int of thousands of digits
        raise ValueError("not a boolean") from None
