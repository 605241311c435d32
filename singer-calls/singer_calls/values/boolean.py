"""Booleans in every spelling that a vendor was seen to use."""

from __future__ import annotations

_SPELLINGS = {
    "true": True,
    "1": True,
    "yes": True,
    "false": False,
    "0": False,
    "no": False,
}


def boolean(value: object) -> bool:
    """A boolean from ``true``, ``1``, ``yes`` or ``false``, ``0``, ``no`` in any case.

    Raises:
        ValueError: The value is none of these.
    """
    try:
        return _SPELLINGS[str(value).strip().lower()]
    except KeyError:
        raise ValueError("not a boolean") from None
