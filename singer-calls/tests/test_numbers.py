"""A whole number is one number, however it is spelled; a text never is one."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.values.boolean import boolean
from singer_calls.values.numbers import decimal, whole, whole_numbers

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize("spelled", ["5", "5.0", "5e0", "50e-1", "5.000"])
def test_every_spelling_of_a_whole_number_is_the_same_int(spelled):
    """At the top, in a list, in an object."""
    record = json.loads(f'{{"a": {spelled}, "b": [{spelled}, {{"c": {spelled}}}]}}')
    exact = json.loads(json.dumps(record), parse_float=Decimal)
    for one in (record, exact):
        assert repr(whole_numbers(one)) == "{'a': 5, 'b': [5, {'c': 5}]}"


@pytest.mark.parametrize(
    "value",
    ["5.0", "123.0", True, None, 0.5, Decimal("0.1"), Decimal("1e60"), Decimal("NaN"), [], {}],
)
def test_nothing_else_is_touched(value):
    """A text least of all: 1769852400.1 and 1769852400.10 are two calls."""
    record = {"a": value, "b": [value]}
    assert whole_numbers(record) is record
    assert record == {"a": value, "b": [value]}


def test_an_exponent_is_not_written_out():
    """1e999999999 would never end."""
    assert whole(Decimal("1e999999999")) == Decimal("1e999999999")
    assert whole(Decimal("1e-999999999")) == Decimal("1e-999999999")
    assert whole(float("inf")) == float("inf")
    endless = Decimal("1.5e-999999999999999999")  # no whole number can be made of it
    assert whole(endless) is endless
    assert whole(Decimal("-0.0")) == 0
    assert type(whole(-0.0)) is int


def test_a_record_nested_without_end_is_left_as_it_is():
    """Looking for its end costs the run."""
    deep: list = [5.0]
    for _ in range(5000):
        deep = [deep]
    assert whole_numbers({"a": deep})["a"] is deep


@given(st.dictionaries(st.text(), json_values))
def test_a_record_s_own_objects_stay_as_they_are(record):
    """A new record is made: the original goes to the file of what is set aside."""
    before = repr(record)
    changed = whole_numbers(record)
    assert repr(record) == before
    assert repr(whole_numbers(changed)) == repr(changed)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.1 + 0.2, "0.3"),
        (100 * 1.1, "110"),
        (49.99 * 2, "99.98"),
        (Decimal("12.50"), "12.50"),
        (7, "7"),
    ],
)
def test_a_float_has_the_digits_that_people_meant(number, written):
    """Not the seventeen of its binary form."""
    assert str(decimal(number)) == written


@pytest.mark.parametrize(
    ("value", "truth"),
    [(1.0, True), ("1.0", True), (Decimal("1.00"), True), (0.0, False), (Decimal(0), False)],
)
def test_a_whole_number_is_a_truth(value, truth):
    """A database's numeric column has a point."""
    assert boolean(value) is truth


@pytest.mark.parametrize("value", [1.5, Decimal("0.5"), "1.5", "1" * 5000])
def test_any_other_number_is_no_truth(value):
    """Nor a text with a point."""
    with pytest.raises(ValueError, match="not a boolean"):
        boolean(value)


def test_a_number_that_python_refuses_to_write_is_no_truth():
    """Its error names the limit of the interpreter."""
    with pytest.raises(ValueError, match="not a boolean"):
        boolean(10**5000)
