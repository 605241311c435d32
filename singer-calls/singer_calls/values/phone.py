"""Phone numbers: read in any common form, written as E.164 or national digits.

A text is matched against a grammar before any digit is looked at, so that the digits that go out
are those of a number and not of an IP address, a mask or a decimal point:

    text       ["display name"] <address> | address
    address    tel: or sip: uri, of which the user part counts | number
    number     + and digits, in groups between spaces - . / and parentheses, then perhaps an
               extension, which is dropped
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, ValidationResult

from singer_calls.values.numbers import whole

NO_COUNTRY = "001"
"""``Phone.country`` of numbers of no one country: +800, +870, +881, +883 (UN M.49: the world)."""

_NORTH_AMERICA = 1
_MEXICO = 52
_LONGEST = 10**20
_KEPT = 1024  # numbers read last: most calls go to few, and many callers call again
_LONGEST_CHARS = 256  # characters, display name and SIP parameters included

# What phone systems put in the place of a number that the caller withheld.
_WITHHELD_WORDS = frozenset(
    (
        *("anonymous", "blocked", "hidden", "private", "restricted", "unavailable", "unknown"),
        *("withheld", "suppressed", "undisclosed", "clir", "none", "null", "nil", "n/a", "na"),
    )
)
_WITHHELD_PHRASE = re.compile(
    r"(no|not) (caller ?id|cid|number|available|provided|disclosed|shown)|out of area"
)
# Carriers also send those words as typed on a keypad: +266696687 spells ANONYMOUS, +17378742833
# RESTRICTED. Without a + the short ones are somebody's number behind a 1.
_LONG, _SHORT = (
    "|".join(map(phonenumbers.convert_alpha_characters_in_number, words))
    for words in (
        ("anonymous", "restricted", "unavailable"),
        ("blocked", "private", "unknown"),
    )
)
_WITHHELD_NUMBER = re.compile(rf"\+?1?(?:{_LONG})|(?:\+1?)?(?:{_SHORT})|\+?1?0{{7,}}|\+?0+")

_SEPARATORS = str.maketrans("", "", " -./()")
_NAMED = re.compile(r'(?:"[^"<>]*")?[^"<>]*<([^<>]+)>(?:;.*)?')
_URI = re.compile(r"(?:tel|sips?):", re.IGNORECASE)
_DECIMALS = re.compile(r"(\+?\d{5,})\.0+")
_NUMBER = re.compile(
    r"""(?P<number>
          \(?\+?[ (]?\d (?:[ \-./()]{0,3}\d)*
        )
        (?:[ ]?(?:,+|;|;?[ ]?ext(?:ension|n|\.)?=?:?|(?P<mask>[x\#]))[ ]?\d{1,7}\#?)?""",
    re.VERBOSE | re.IGNORECASE,
)
# Of the same characters as a number: an IPv4 address, a date, and a number with one decimal.
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_NO_NUMBER = re.compile(
    rf"""(?<![\d.]) {_OCTET} (?:\.{_OCTET}){{3}} (?!\.?\d)
       | ^ (?:19|20)\d\d([\-/.])\d\d?\1\d\d? $
       | ^ \d\d?([\-/.])\d\d?\2(?:19|20)\d\d $
       | \.\d $""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number. Its ``repr`` shows no digits of it.

    Attributes:
        country: ISO 3166 alpha-2 code. Where countries share a calling code and the digits don't
            tell which it is, the main one (``US`` for +1); or ``NO_COUNTRY``.
        calling_code: The number after the ``+``: 1, 40, 44.
        national: The national significant digits: no trunk 0, but the leading 0 of Italy.
    """

    country: str
    calling_code: int
    national: str = field(repr=False)

    @property
    def digits(self) -> str:
        """``40722000111``."""
        return f"{self.calling_code}{self.national}"

    @property
    def e164(self) -> str:
        """``+40722000111``."""
        return f"+{self.digits}"


def is_country(code: str) -> bool:
    """Whether this is the ISO 3166 alpha-2 code of a country with phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def is_withheld(value: object) -> bool:
    """Whether this says that the caller withheld the number.

    A word (``anonymous``, ``Private number``, ``No Caller ID``), such a word typed on a keypad
    (+17378742833 spells RESTRICTED), or zeros. A text with any other digit is none.
    """
    text = _text(value)
    return text is not None and _is_withheld(_address(text))


def parse(value: object, default_country: str) -> Phone | None:
    """Read a phone number.

    A number counts when its length is one that its country uses. It need not be assigned:
    vendors' test numbers are not, and a lost call costs more than a wrong one.

    Args:
        value: Text in any common form, or a whole number (a JSON number has lost its leading 0).
            An extension is dropped.
        default_country: ISO 3166 alpha-2 code, for numbers without a calling code.

    Returns:
        The number, None when this is none, and when it is withheld.
    """
    text = _text(value)
    return None if text is None else _parse(text, default_country)


@lru_cache(maxsize=_KEPT)
def _parse(text: str, default_country: str) -> Phone | None:
    address = _address(text)
    if _is_withheld(address) or (match := _matched(address)) is None:
        return None
    digits = "".join(filter(str.isdecimal, match["number"]))
    try:
        if "+" in match["number"]:
            number = phonenumbers.parse(f"+{digits}")
        else:
            number = _from_abroad(digits, default_country) or phonenumbers.parse(
                digits, default_country
            )
    except NumberParseException:
        return None
    national = phonenumbers.national_significant_number(number)
    code = number.country_code or 0
    if code == _MEXICO and len(national) == 11 and national[0] == "1":  # noqa: PLR2004
        # The 1 of mobile numbers was abolished in 2019; some networks still send it.
        national = national[1:]
        number = phonenumbers.parse(f"+{code}{national}")
    if match["mask"] and code != _NORTH_AMERICA:
        return None  # numbers have no fixed length: in 0301234x56 the x may stand for a digit
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    if code == _NORTH_AMERICA and national[0] in "01":
        return None  # no area begins so: a number of another country, read with the wrong one
    return Phone(
        country=phonenumbers.region_code_for_number(number)
        or phonenumbers.region_code_for_country_code(code),
        calling_code=code,
        national=national,
    )


def _from_abroad(digits: str, country: str) -> PhoneNumber | None:
    """A number with a calling code but no plus: after ``00``, which PBXs of all countries write.

    Or with the code of its own country, as exports drop the plus. A national number that begins
    with these digits would have its trunk prefix before them, where the country has one; where it
    has none, and both readings are valid, it is the national one.
    """
    code = str(phonenumbers.country_code_for_region(country))
    if not digits.startswith(("00", code)):
        return None
    try:
        abroad = phonenumbers.parse(f"+{digits.removeprefix('00')}")
        if not phonenumbers.is_valid_number(abroad):
            return None
        here = phonenumbers.parse(digits, country)
    except NumberParseException:
        return None
    has_trunk_prefix = phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True)
    return abroad if has_trunk_prefix or not phonenumbers.is_valid_number(here) else None


def _text(value: object) -> str | None:
    """The value as text of plain digits, dashes and spaces; None where it can't be a number."""
    if isinstance(value, (float, Decimal)):
        value = whole(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 <= value < _LONGEST else None
    if not isinstance(value, str) or len(value) > _LONGEST_CHARS:
        return None
    return (value if value.isascii() else "".join(map(_plain, value))).strip()


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    # Marks of the direction of writing, spaces that don't break, long dashes; copied from pages.
    return {"Cf": "", "Zs": " ", "Pd": "-"}.get(category, {"\uff0b": "+"}.get(character, character))


def _address(text: str) -> str:
    """Without the display name, and of a URI the user part."""
    if named := _NAMED.fullmatch(text):
        text = named[1].strip()
    scheme = _URI.match(text)
    if scheme:
        text = text[scheme.end() :].strip()
    user, at, _host = text.partition("@")
    if scheme or at:
        text = unquote(user.partition(";")[0].partition(":")[0])
    return text.strip()


@lru_cache(maxsize=_KEPT)
def _is_withheld(address: str) -> bool:
    if _WITHHELD_NUMBER.fullmatch(address.translate(_SEPARATORS)):
        return True
    words = " ".join(address.casefold().replace("_", " ").replace("-", " ").split())
    if any(character.isdecimal() for character in words):
        return False
    return not _WITHHELD_WORDS.isdisjoint(words.split()) or bool(_WITHHELD_PHRASE.search(words))


def _matched(address: str) -> re.Match[str] | None:
    """The number and its extension, None where the text is no number."""
    if decimals := _DECIMALS.fullmatch(address):
        address = decimals[1]  # a number that went through a column of floats
    match = _NUMBER.fullmatch(address)
    return None if match is None or _NO_NUMBER.search(match["number"]) else match
