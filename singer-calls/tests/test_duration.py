"""Durations and booleans."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.values.boolean import boolean
from singer_calls.values.duration import seconds


@given(st.integers(0, 10**6))
def test_every_spelling_of_a_duration_is_the_same_number(n):
    """Number, text and clock."""
    clock = f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}"
    assert {seconds(n), seconds(str(n)), seconds(float(n)), seconds(f" {clock} ")} == {n}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((74.9, 74), ("74.9", 74), (Decimal("74.9"), 74), ("74.", 74), (Decimal("1e2"), 100)),
        *(("01:14", 74), ("90:00", 5400), ("00:08:10", 490), ("0:00:05", 5)),
        *(("00:08:10.999", 490), ("00:08:10,5", 490), ("100:00:00", 360_000), ("99:59", 5999)),
        *((timedelta(seconds=74.9), 74), (timedelta(hours=1), 3600)),
        *(("PT8M10S", 490), ("PT1H", 3600), ("pt490.9s", 490), ("0", 0), ("1e2", 100)),
    ],
)
def test_parts_of_a_second_are_cut(value, expected):
    """Whole seconds, never rounded up: a second may be paid."""
    assert seconds(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "n/a",
        "-5",
        -5,
        True,
        None,
        [],
        {},
        "1:2:3:4",
        "12:5",
        "nan",
        float("inf"),
        float("nan"),
        10**30,
        1769851800,
        -0.5,
        timedelta(seconds=-1),
        timedelta(days=32),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("1e999999999"),
        "1 s",
        "1_2",
        "1e1000000",
        f"1e{'9' * 30}",
        "9" * 100_000,
        "0" * 100_000,
        "\u0661\u0662",
        "1:60",
        "0:61:00",
        "00:08:10 PM",
        "PT",
        "P1M",
        "12,5",
    ],
)
def test_what_is_no_duration_is_a_value_error(value):
    """ValueError is what makes a field null."""
    with pytest.raises(ValueError, match="not a duration"):
        seconds(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("TRUE", True), ("true", True), (1, True), ("1", True), (True, True), ("yes", True)),
        *(("FALSE", False), ("false", False), (0, False), ("0", False), (False, False)),
        ("No ", False),
    ],
)
def test_every_spelling_of_a_boolean_is_read(value, expected):
    """A test of "not '0'" would take "FALSE" for true."""
    assert boolean(value) is expected


@pytest.mark.parametrize("value", ["", "maybe", 2, None, []])
def test_what_is_no_boolean_is_a_value_error(value):
    """ValueError is what makes a field null."""
    with pytest.raises(ValueError, match="not a boolean"):
        boolean(value)
