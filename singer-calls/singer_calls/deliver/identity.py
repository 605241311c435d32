"""Who a call is: its account, its moment, and two small marks of its numbers.

A key says which call is meant, and keys go wrong: one id for two calls, two ids for one call, one
number in two spellings. The moment and the marks tell such cases apart. A mark has 16 bits and
comes from the last seven digits of a number: no number can be read back from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

RULE = 1  # how marks are made; marks of another rule contradict nothing
WITHHELD = -1  # the mark of a caller who withheld the number
_MARK_DIGITS = 7  # of a number: what all its spellings share
_MINUTE_SECONDS = 60
_QUARTER_SECONDS = 15 * _MINUTE_SECONDS
_ZONES_SECONDS = 14 * 60 * _MINUTE_SECONDS  # the widest offset from UTC


class Account(NamedTuple):
    """Where a vendor counts keys as unique; half of each key of the ledger, so quick to compare.

    Attributes:
        vendor: A short name.
        origin: Scheme and host in lower case, the port only when it is not the scheme's own.
        campaign: The campaign at the vendor, as text.
    """

    vendor: str
    origin: str
    campaign: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same of a call, whatever it is called.

    Attributes:
        moment: When it took place, UTC seconds since the epoch; None when nobody said (``NOW``).
        caller: Mark of the caller's number, ``WITHHELD``, or None for none.
        called: Mark of the called number and the duration, or None for none.
        rule: The rule that made the marks.
    """

    moment: int | None = None
    caller: int | None = None
    called: int | None = None
    rule: int = RULE

    def contradicts(self, known: Identity) -> bool:
        """Whether this is certainly another call than ``known``.

        True when the callers differ, or when the moment moved by a minute or more and not as a
        corrected time zone moves it: by whole quarter hours, up to 14 hours.
        """
        if self.rule == known.rule and _differ(self.caller, known.caller):
            return True
        if self.moment is None or known.moment is None:
            return False
        moved = abs(self.moment - known.moment)
        zone = moved <= _ZONES_SECONDS and moved % _QUARTER_SECONDS == 0
        return moved >= _MINUTE_SECONDS and not zone

    def is_same(self, known: Identity) -> bool:
        """Whether this is certainly the same call as ``known``, whatever their keys.

        A moment whose seconds are 00 proves nothing: some sources give minutes.
        """
        return (
            self.proves
            and self.rule == known.rule
            and (self.moment, self.caller, self.called)
            == (known.moment, known.caller, known.called)
        )

    @property
    def proves(self) -> bool:
        """Whether ``is_same`` can be true of this identity at all."""
        return (
            self.moment is not None
            and self.moment % _MINUTE_SECONDS != 0
            and self.caller is not None
            and self.called is not None
        )


NOBODY = Identity()
"""Of a call of which only the key is known."""


def _differ(one: int | None, other: int | None) -> bool:
    known = one is not None and other is not None and WITHHELD not in {one, other}
    return known and one != other


def mark(number: str | None, *more: object) -> int | None:
    """The mark of a phone number in any spelling, with what else shall count.

    Args:
        number: Digits with or without ``+`` and separators; None or without a digit: no mark.
        more: The duration, for instance.

    Returns:
        16 bits, or None.
    """
    digits = "".join(filter(str.isdecimal, number or ""))[-_MARK_DIGITS:]
    if not digits:
        return None
    text = "|".join([digits, *map(str, more)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=2).digest(), "big")
