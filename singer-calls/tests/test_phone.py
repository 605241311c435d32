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
    ],
)
def test_one_number_has_one_form_however_it_is_written(value, country, e164, national):
    """Trunk zeros, calling codes, punctuation and JSON numbers make no difference."""
    number = phone.parse(value, country)
    assert number is not None
    assert (number.e164, number.national) == (e164, national)


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
    ],
)
def test_what_is_no_number_is_none(value):
    """Nothing is invented, and nothing is raised that could quote the value."""
    assert phone.parse(value, "US") is None


@settings(deadline=None)
@given(st.text() | st.integers(), st.sampled_from(["US", "RO", "GB", "ES"]))
def test_any_value_gives_a_number_or_none(value, country):
    """Whatever the source sends, reading it ends well, and E.164 is read as itself again."""
    number = phone.parse(value, country)
    assert number is None or phone.parse(number.e164, "DE") == number


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
    ],
)
def test_a_withheld_number_is_known_as_such(value):
    """In the words of phone systems, and in the digits that spell them."""
    assert phone.is_withheld(value)


@pytest.mark.parametrize("value", ["0722000111", "+18885551212", 2165388265, ""])
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
