"""A table of parameters writes what may be sent, and says what may not without its value."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.deliver.parameters import (
    DIGITS,
    DURATION,
    MONEY,
    NUMBER,
    WHOLE,
    Parameter,
    choice,
    given,
    ignored,
    markdown,
    render,
    text,
    unknown_names,
    url,
)
from singer_calls.deliver.warn_once import WarnOnce

_TABLE = (
    Parameter("Session", text(5), "The key", required=True),
    Parameter("Campaign", WHOLE, "The campaign", required=True, setting="campaign_id"),
    Parameter("Zip", DIGITS, "Postcode", decoration=True),
)
_KINDS = [
    text(),
    text(64),
    WHOLE,
    NUMBER,
    MONEY,
    DURATION,
    DIGITS,
    url("https"),
    choice("Mobile", "Landline"),
]


@pytest.mark.parametrize(
    ("kind", "value", "rendered"),
    [
        (WHOLE, 180, 180),
        (WHOLE, "180", 180),
        (WHOLE, " 0180 ", 180),
        (WHOLE, Decimal("180.0"), 180),
        (WHOLE, 0, 0),
        (NUMBER, Decimal("12.50"), "12.50"),
        (NUMBER, "-3", "-3"),
        (NUMBER, 1.5, "1.5"),
        (DIGITS, "02134", "02134"),
        (NUMBER, 0.1 + 0.2, "0.3"),
        (NUMBER, 100 * 1.1, "110"),
        *((MONEY, value, "0.30") for value in (0.1 + 0.2, "0.3", Decimal("0.300"), 0.299999)),
        *((MONEY, value, "110") for value in (100 * 1.1, 110, "110.00", Decimal("110.00"))),
        *((MONEY, value, "12.50") for value in ("12.5", "12.50", 12.5, Decimal("12.495"))),
        (MONEY, Decimal(10) / 3, "3.33"),
        (MONEY, "-3.005", "-3.01"),
        (MONEY, "-0.001", "0"),
        *((DURATION, value, 490) for value in ("00:08:10", 490.9, "490", Decimal(490))),
        *((text(), value, "5") for value in (5, 5.0, Decimal("5.0"), Decimal("5e0"), "5")),
        (text(), "5.0", "5.0"),
        (text(), "1769852400.10", "1769852400.10"),
        (text(), Decimal("1769852400.10"), "1769852400.10"),
        (text(), 0.1 + 0.2, "0.3"),
        (text(), Decimal("1E+3"), "1000"),
        (text(), True, "true"),
        (text(3), "ănă", "ănă"),
        (choice("Mobile"), "MOBILE", "Mobile"),
        (url("https"), "HTTPS://host.example/a?b", "HTTPS://host.example/a?b"),
    ],
)
def test_a_value_is_rendered_in_one_form(kind, value, rendered):
    """Numbers come as numbers, decimals or text."""
    assert kind.render(value) == rendered


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(
            (WHOLE, value)
            for value in (-1, "-1", Decimal("1.5"), 1.5, "1,000", True, "9" * 17, "٣")
        ),
        *(
            (MONEY, value)
            for value in ("12,50", "$12.50", "1,234.50", "1e3", True, "1" * 17, float("inf"), [1])
        ),
        *((DURATION, value) for value in ("1e1000000", "1_2", -1, True, "a while", [1], {})),
        *(
            (text(), value)
            for value in (10**40, Decimal("1e999999999"), 1e300, Decimal("sNaN"), float("nan"), {1})
        ),
        *((NUMBER, value) for value in ("1,5", "NaN", Decimal("NaN"), Decimal("1E+999999"), "1e3")),
        *((text(3), value) for value in ("abcd", [], {}, None, "a\0b", "\ud800")),
        *((url("https"), value) for value in ("http://host.example", "https://", "host.example")),
        (DIGITS, "SW1A 1AA"),
        (choice("Mobile"), "Tablet"),
    ],
)
def test_a_wrong_value_is_refused(kind, value):
    """With a reason that says what would be right."""
    with pytest.raises(InvalidCallError, match=r"must be|holds|is a number"):
        kind.render(value)


@settings(deadline=None)
@any_of(st.sampled_from(_KINDS), st.text().map("+4072200{}".format) | st.integers(10**9))
def test_no_reason_quotes_the_value(kind, value):
    """A value may be a phone number."""
    said = ""
    try:
        kind.render(value)
    except InvalidCallError as error:
        said = str(error)
    assert str(value) not in said


def test_blank_means_absent_and_settings_speak_for_it():
    """None, white text and empty lists say nothing; 0 and false do."""
    settings = {"campaign_id": 7}
    record = {"Session": " ", "Campaign": None, "Zip": 0}
    assert given(_TABLE, record, settings) == {"Campaign": 7, "Zip": 0}
    assert given(_TABLE, {"Campaign": 8}, settings) == {"Campaign": 8}


def test_a_missing_one_is_named_with_its_remedy():
    """The setting that would speak for it is named too."""
    with pytest.raises(InvalidCallError, match="Campaign: is missing: map it, or set campaign_id"):
        render(_TABLE, {"Session": "a"})


def test_a_wrong_decoration_is_left_out_with_a_warning():
    """A call is not lost over a postcode."""
    rendered = render(_TABLE, {"Session": "a", "Campaign": 1, "Zip": "SW1"})
    assert rendered.values == {"Session": "a", "Campaign": 1}
    assert rendered.warnings == ("Zip must be digits only: left out",)


def test_unknown_names_are_the_mapping_s_not_singer_s():
    """What Singer adds to each record is no mistake."""
    assert unknown_names(_TABLE, {"Zip": 1, "zip": 1, "_sdc_batched_at": ""}) == ["zip"]


def test_thousands_of_unknown_names_are_one_warning():
    """And what the data chose to call them can forge no line of a log."""
    record = {f"field {n}": 1 for n in range(3000)}
    (warning,) = ignored("impact.com", _TABLE, record | {"Zip": 1})
    assert len(warning) < 200
    assert "and 2995 more are no parameters of impact.com" in warning
    (warning,) = ignored("impact.com", _TABLE, {"a\nb\x1b[31m\u202e" + "x" * 5000: 1})
    assert warning.isascii()
    assert warning.isprintable()
    assert len(warning) < 200
    assert ignored("impact.com", _TABLE, {"Zip": 1, "_sdc_batched_at": ""}) == []


def test_a_run_has_no_end_of_warnings(caplog):
    """A source whose names differ from record to record is told so once."""
    warnings = WarnOnce(logging.getLogger("warnings"))
    for n in range(3000):
        warnings([f"field {n} is no parameter", "said before"])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 51
    assert sum("said before" in line for line in lines) == 1
    assert "not shown" in lines[-1]


def test_the_table_for_the_readme_has_a_row_for_each():
    """And says where a setting may stand in."""
    lines = markdown(_TABLE).splitlines()
    assert len(lines) == 2 + len(_TABLE)
    assert "yes or setting `campaign_id`" in lines[3]
