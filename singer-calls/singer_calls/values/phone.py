"""Phone numbers: read in any common form, written as E.164 or national digits."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import phonenumbers
from phonenumbers import NumberParseException, ValidationResult

_NORTH_AMERICA = 1
_LONGEST = 20  # digits, more than any number has

# What phone systems put in the place of a number that the caller withheld.
_WITHHELD_WORDS = frozenset(
    (
        "anonymous",
        "blocked",
        "hidden",
        "private",
        "restricted",
        "unavailable",
        "unknown",
        "withheld",
    )
)
# Carriers also send those words as typed on a keypad: +266696687 spells ANONYMOUS.
_WITHHELD_NUMBERS = frozenset(
    "+" + phonenumbers.convert_alpha_characters_in_number(word) for word in _WITHHELD_WORDS
)


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number. Its ``repr`` shows no digits of it.

    Attributes:
        country: ISO 3166 alpha-2 code. Where countries share a calling code and the digits don't
            tell which it is, the main one (``US`` for +1).
        calling_code: The number after the ``+``: 1, 40, 44.
        national: The national significant digits: no trunk 0, but the leading 0 of Italy.
    """

    country: str
    calling_code: int
    national: str = field(repr=False)

    @property
    def e164(self) -> str:
        """``+40722000111``."""
        return f"+{self.calling_code}{self.national}"


def is_country(code: str) -> bool:
    """Whether this is the ISO 3166 alpha-2 code of a country with phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def is_withheld(value: object) -> bool:
    """Whether this says that the caller withheld the number: ``anonymous``, ``Private number``."""
    text = str(value).casefold().strip()
    words = text.removeprefix("sip:").replace("@", " ").replace("_", " ").split()
    return text in _WITHHELD_NUMBERS or any(word in _WITHHELD_WORDS for word in words)


def parse(value: object, default_country: str) -> Phone | None:
    """Read a phone number.

    A number counts when its length is one that its country uses. It need not be assigned:
    vendors' test numbers are not, and a lost call costs more than a wrong one.

    Args:
        value: Text in any common form, or a whole number (a JSON number has lost its leading 0).
            An extension is dropped.
        default_country: ISO 3166 alpha-2 code, for numbers without a calling code.

    Returns:
        The number, None when this is none.
    """
    if isinstance(value, Decimal):
        short = value.is_finite() and value.adjusted() < _LONGEST  # int() of 1e999999999 never ends
        value = int(value) if short and value == value.to_integral_value() else None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        number = phonenumbers.parse(str(value), default_country)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    calling_code = number.country_code or 0
    national = phonenumbers.national_significant_number(number)
    if calling_code == _NORTH_AMERICA and national[0] in "01":
        return None  # no area begins so: a number of another country, read with the wrong one
    return Phone(
        country=phonenumbers.region_code_for_number(number)
        or phonenumbers.region_code_for_country_code(calling_code),
        calling_code=calling_code,
        national=national,
    )
