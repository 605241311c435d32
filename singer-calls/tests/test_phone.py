"""Phone numbers are read in every common form, and never shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.values import phone


@pytest.mark.parametrize(
    ("value", "country", "e164", "national"),
    [
        ("0722000111", "RO", "+40722000111", "722000111"),
        (722000111, "RO", "+40722000111", "722000111"),
        (Decimal(722000111), "RO", "+40722000111", "722000111"),
        (Decimal("2165388265.0"), "US", "+12165388265", "2165388265"),
        ("0040722000111", "RO", "+40722000111", "722000111"),
        ("+40 722 000 111", "US", "+40722000111", "722000111"),
        ("447598455773", "GB", "+447598455773", "7598455773"),
        ("(805) 555-1234", "US", "+18055551234", "8055551234"),
        ("805-555-1234", "US", "+18055551234", "8055551234"),
        ("805-555-1234,,123#", "US", "+18055551234", "8055551234"),
        ("\u200f+40722000111", "US", "+40722000111", "722000111"),
        ("+390236618300", "US", "+390236618300", "0236618300"),
        ("+44 (0)20 7946 0018", "US", "+442079460018", "2079460018"),
        ("(+40) 722 000 111", "US", "+40722000111", "722000111"),
        ("030/12345678", "DE", "+493012345678", "3012345678"),
        ("805.555.1234", "US", "+18055551234", "8055551234"),
        ("01.23.45.67.89", "FR", "+33123456789", "123456789"),
        ("912.34.56.78", "ES", "+34912345678", "912345678"),
        ("805\u2013555\u20131234", "US", "+18055551234", "8055551234"),
        ("805\u00a0555\u00a01234", "US", "+18055551234", "8055551234"),
        ("\uff0b40722000111", "US", "+40722000111", "722000111"),
        (
            "\u0660\u0667\u0662\u0662\u0660\u0660\u0660\u0661\u0661\u0661",
            "RO",
            "+40722000111",
            "722000111",
        ),
        ("8055551234          ", "US", "+18055551234", "8055551234"),
        (8055551234.0, "US", "+18055551234", "8055551234"),
        # With the calling code of its own country, and no plus.
        ("4915123456789", "DE", "+4915123456789", "15123456789"),
        (4915123456789.0, "DE", "+4915123456789", "15123456789"),
        ("492111234567", "DE", "+492111234567", "2111234567"),
        ("468123456", "SE", "+468123456", "8123456"),
        ("62812345678", "ID", "+62812345678", "812345678"),
        ("47123456", "NO", "+4747123456", "47123456"),  # no trunk prefix there
        ("1 805 555 1234", "US", "+18055551234", "8055551234"),
        # After 00, where the country dials another prefix.
        ("0061412345678", "AU", "+61412345678", "412345678"),
        ("0081 90 3609 4545", "JP", "+819036094545", "9036094545"),
        ("0044 20 7946 0018", "AU", "+442079460018", "2079460018"),
    ],
)
def test_one_number_has_one_form_however_it_is_written(value, country, e164, national):
    """Trunk zeros, calling codes, punctuation and JSON numbers make no difference."""
    number = phone.parse(value, country)
    assert number is not None
    assert (number.e164, number.national) == (e164, national)


@pytest.mark.parametrize(
    "value",
    [
        "sip:+18055550101@198.51.100.7:5060;user=phone",
        "SIPS:+18055550101;npdi@host.example",
        "sip:%2B18055550101@host.example",
        "sip:+18055550101:secret@198.51.100.7",
        "sip:8055550101",
        "8055550101@10.0.0.1",
        "tel:+1-805-555-0101;ext=9",
        "tel:8055550101;phone-context=+1",
        '"Ana Test" <8055550101>',
        "Ana Test <sip:+18055550101@203.0.113.155>;tag=as6f",
        '"Anonymous" <8055550101>',
        "<8055550101>",
        *(f"(805) 555-0101{extension}" for extension in ("x12", " ext. 12", " EXT 12", "#12")),
        *(f"805-555-0101{extension}" for extension in (",12", ",,12#", ";12", ";ext=12")),
        "8055550101 extension 12",
    ],
)
def test_names_addresses_and_extensions_are_left_aside(value):
    """What Asterisk, SIP trunks and exports write around a number."""
    number = phone.parse(value, "US")
    assert number is not None
    assert number.e164 == "+18055550101"


@pytest.mark.parametrize("country", ["DE", "AT", "US"])
def test_a_column_of_floats_adds_no_digit(country):
    """3012345678.0 is not 30123456780."""
    number = phone.parse("3012345678.0", country)
    assert number is not None
    assert number.national == "3012345678"


def test_mexico_s_mobile_1_is_no_part_of_the_number():
    """Abolished in 2019, still sent."""
    for value in ("+5215512345678", "+525512345678", "5215512345678"):
        assert getattr(phone.parse(value, "MX"), "e164", None) == "+525512345678"


@pytest.mark.parametrize(
    ("value", "country"),
    [
        ("+15559999999", "US"),
        ("+40722000111", "RO"),
        ("+442079460018", "GB"),
        ("+14165550123", "CA"),
    ],
)
def test_the_country_is_told_by_the_digits(value, country):
    """Also for numbers that are possible but assigned to nobody."""
    number = phone.parse(value, "DE")
    assert number is not None
    assert number.country == country


@pytest.mark.parametrize(
    "value",
    [
        "",
        "anonymous",
        "911",
        "5551234",
        "0722",
        "1" * 300,
        "x" * 100000,
        "\x00",
        None,
        True,
        722000000.0,
        ["0722000111"],
        {},
        Decimal("722000111.5"),
        Decimal("Infinity"),
        Decimal("1e999999999"),
        "0722000111",
        -1,
        10**25,
        float("nan"),
        float("inf"),
        "8.055551234e9",
        f"{'Ana' * 100} <8055550101>",
        "+22501234567",  # eight digits until 2021
    ],
)
def test_what_is_no_number_is_none(value):
    """Nothing is invented, and nothing is raised that could quote the value."""
    assert phone.parse(value, "US") is None


NO_NUMBERS = [
    *("sip:bob@203.0.113.155", "bob@203.0.113.155", "sip:203.0.113.155", "203.0.113.155"),
    *("203.0.113.155:5060", "203.0.113.0/24", "10.10.10.10", "203.0.113.155 x2"),
    *("SIP/203.0.113.155-0001", "2001:db8::8055550101", "host8055550101.example"),
    *("805555XXXX", "+1 805-555-XXXX", "+44 20 7946 0XXX", "+1805555****", "XXX-XXX-0101"),
    *("805555####", "805555????", "805555....", "80555501xx", "8055550101 (mobile)"),
    *("1-800-FLOWERS", "Ext.80002", "Ana 8055550101", "8055550101 or 8055550102"),
    *("++18055550101", "+1+8055550101", "8055550101, 8055550102", "805_555_0101"),
    *("2026-01-31", "31/01/2026", "2026.1.31", "2026-01-31 09:30:00", "09:30:00"),
    *("805555010.1", "8055550101.5", "-8055550101", "$8055550101", "8055550101%"),
    *('"8055550101" <bob>', "unknown 8055550101", "<>", "sip:", "@8055550101", "805(XXXX)"),
    *("PJSIP/8055550101", "0301234X56", "0301234#56", "03012 34x56"),
]  # fmt: skip


@pytest.mark.parametrize("country", ["US", "DE", "AT", "FR", "DK", "RO"])
def test_digits_are_not_hunted_for(country):
    """Hosts, masks, letters, dates and decimals hold digits, and no number."""
    for value in NO_NUMBERS:
        assert phone.parse(value, country) is None, value
        assert not phone.is_withheld(value), value


@settings(deadline=None)
@given(st.text() | st.integers(), st.sampled_from(["US", "RO", "GB", "ES"]))
def test_any_value_gives_a_number_or_none(value, country):
    """Whatever the source sends, reading it ends well, and E.164 is read as itself again."""
    number = phone.parse(value, country)
    assert number is None or phone.parse(number.e164, "DE") == number


_around = st.sampled_from(["", " ", "-", ".", "/", " (", ") ", "x", "@", ";", ",", ":", "<", ">"])
_pieces = st.sampled_from(
    ["+", "00", "sip:", "tel:", "ext", "X", "*", "#", "a", "\u0661", "_", "e"]
)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9999).map(str) | _around | _pieces, max_size=12).map("".join),
    st.sampled_from(["US", "RO", "GB", "ES", "DE", "IT", "FR", "MX"]),
)
def test_the_digits_that_go_out_are_in_what_came_in(value, country):
    """In one piece, and nothing that is no part of a number stands in them."""
    number = phone.parse(value, country)
    if number is not None:
        came = "".join(str(int(c)) for c in value if c.isdecimal())
        assert number.national in came
        name = value.partition("@")[0]  # before the host of an address
        assert not set(name) & set("X*") or number.calling_code == 1


@pytest.mark.parametrize("word", ["anonymous", "restricted", "unavailable"])
@pytest.mark.parametrize("form", ["{}", "+{}", "1{}", "+1{}", "sip:+{}@host", "+1-{}"])
def test_a_word_typed_on_a_keypad_is_withheld(word, form):
    """Twilio's list; 737 is an area of Texas too."""
    keys = {
        letter: str(2 + n)
        for n, letters in enumerate(("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"))
        for letter in letters
    }
    value = form.format("".join(keys[letter] for letter in word))
    assert phone.is_withheld(value)
    assert phone.parse(value, "US") is None
    if form == "{}":
        assert phone.is_withheld(int(value))


@pytest.mark.parametrize(
    ("value", "withheld"),
    [
        *(("+2562533", True), ("2562533", True), ("+12562533", True), ("12562533", False)),
        *(("0", True), (0, True), ("0000000000", True), ("+10000000000", True), ("000-0000", True)),
        *(("10", False), ("1000", False), ("+18000000000", False), ("8055550000", False)),
    ],
)
def test_short_words_and_zeros_are_withheld_but_no_number_is(value, withheld):
    """BLOCKED on a keypad is a Danish number behind a 1."""
    assert phone.is_withheld(value) is withheld


@pytest.mark.parametrize(
    "value",
    [
        "anonymous",
        "Anonymous",
        "Private number",
        "NUMBER WITHHELD",
        "number_withheld",
        "+266696687",
        "unknown",
        "Unavailable",
        "sip:anonymous@anonymous.invalid",
        '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1',
        "No Caller ID",
        "Not Available",
        "not_available",
        "none",
        "N/A",
        "hidden by caller",
        "PRIVATE-CALLER",
        "Out of Area",
    ],
)
def test_a_withheld_number_is_known_as_such(value):
    """In the words of phone systems, and in the digits that spell them."""
    assert phone.is_withheld(value)


@pytest.mark.parametrize(
    "value",
    ["0722000111", "+18885551212", 2165388265, "", "Private 0722000111", None, True, [], "Nathan"],
)
def test_a_number_is_not_taken_for_withheld(value):
    """Only a word says so."""
    assert not phone.is_withheld(value)


def test_countries_are_iso_codes():
    """GB is one, UK is not."""
    assert phone.is_country("GB")
    assert not phone.is_country("UK")


def test_a_number_does_not_show_its_digits():
    """Its repr may stand in a log or a traceback."""
    assert "722000111" not in repr(phone.parse("0722000111", "RO"))
