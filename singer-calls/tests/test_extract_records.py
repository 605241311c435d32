"""A list of a vendor's: an element that is no call costs itself, unless the list is broken."""

from __future__ import annotations

import json
import logging
import math
from functools import partial
from zoneinfo import ZoneInfo

import msgspec
import pytest

from singer_calls.extract import (
    RetriableError,
    SchemaDrift,
    conform,
    functions,
    integer,
    text,
    tree,
    usable,
)

FIELDS = {"id": integer, "name": text}


def records(elements, drift=None):
    drift = drift or SchemaDrift()
    convert = partial(conform, fields=FIELDS, drift=drift, key="id")
    return list(usable(elements, convert, drift, "of today"))


@pytest.mark.parametrize(
    ("sent", "written"),
    [(5, "5"), (5.0, "5"), (30683207599876.0, "30683207599876"), (1.5, "1.5"), (True, "true")],
)
def test_a_number_has_one_spelling(sent, written):
    """Else one call has two ids, and is paid twice."""
    assert text(sent) == written


@pytest.mark.parametrize("sent", [float("nan"), float("inf"), [], {}, None])
def test_what_is_no_value_is_no_text(sent):
    """A caller named nan is nobody."""
    with pytest.raises(ValueError, match="not a text"):
        text(sent)


def test_an_object_of_unknown_form_can_always_be_written():
    """Half a letter in its names or values, a number without end, and depth: none ends the run."""
    odd = {"a\ud83d": ["b\ud83d", {"n": 10**40, "nan": math.nan}]}
    assert json.loads(msgspec.json.encode(tree(odd))) == {"a?": ["b?", {"n": 10**40, "nan": None}]}
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    for misfit in ({"deep": deep}, [["a", 1]], "x", 5):
        with pytest.raises(ValueError, match=r"too deep|not an object"):
            tree(misfit)


CALL, NAMELESS = {"id": 1, "name": "a"}, {"name": "b"}


@pytest.mark.parametrize(
    "odd", [NAMELESS, {"id": "x", "name": "b"}, None, 7, "x", [], {}, {"error": "no"}]
)
def test_one_element_that_is_no_call_costs_itself(odd):
    """Among calls; it is told by its place and never by its content."""
    drift = SchemaDrift()
    assert [r["id"] for r in records([CALL, odd, {"id": 2}], drift)] == [1, 2]
    (told,) = drift.unusable
    assert told.startswith("element 2 of the list of today (")
    assert drift.usable == 2


def test_a_call_alone_that_lacks_its_id_costs_itself():
    """It would end every run at the same place."""
    assert records([NAMELESS]) == []


@pytest.mark.parametrize(
    "elements",
    [
        [{"error": "maintenance"}],
        [None],
        ["x"],
        [{}],
        [NAMELESS, NAMELESS],
        [CALL, NAMELESS, NAMELESS],
    ],
)
def test_a_list_that_is_broken_as_a_whole_is_asked_for_again(elements):
    """Nothing in it is known for a call, or most of it is none: its id may have a new name."""
    with pytest.raises(RetriableError, match="not one of calls"):
        records(elements)


def test_the_report_is_a_few_lines_whatever_a_vendor_makes_up(caplog):
    """3,000 names are one line, and none of them forges another or steers a terminal."""
    drift = SchemaDrift()
    for n in range(3000):
        drift.count_unknown(f"field\n{n}\x1b[31m\u202e")
    drift.count_misfit("name")
    drift.unusable = [f"element {n} of the list of today (not an object)" for n in range(50)]
    drift.count_lost(3)
    with caplog.at_level(logging.WARNING):
        drift.report("Vendor", logging.getLogger("told"))
        drift.report("Vendor", logging.getLogger("told"))
    assert len(caplog.messages) == 4
    assert all(message.isprintable() for message in caplog.messages)
    assert "and 980 more" in caplog.messages[0]
    assert "and 30 more" in caplog.messages[2]
    assert "3 letters" in caplog.messages[3]


@pytest.mark.parametrize(
    "value", ["1_2", "1e5", "0x10", "٣", "", " ", "1.0", "9" * 5000, 1.5, True, 2**63, None]
)
def test_a_whole_number_is_digits_and_nothing_else(value):
    """What Python reads as one is not enough."""
    with pytest.raises(ValueError, match="not a whole number"):
        integer(value)
    assert integer(" -12 ") == -12


def test_a_flat_schema_says_how_its_fields_are_read():
    """By type and format, but for the fields that have a function of their own."""
    string, null = "string", "null"
    schema = {
        "properties": {
            "id": {"type": string},
            "at": {"type": [string, null], "format": "date-time"},
            "count": {"type": ["integer", null]},
            "open": {"type": ["boolean", null]},
            "length": {"type": ["integer", null]},
            "tags": {"type": ["array", null]},
        }
    }
    table = functions(schema, ZoneInfo("Europe/Bucharest"), length=len, tags=list)
    raw = {"id": 7, "at": "2026-03-01 12:00:00", "count": "5", "open": "yes", "length": "abc"}
    assert conform(raw | {"tags": "ab"}, table, SchemaDrift(), key="id") == {
        "id": "7", "at": "2026-03-01T10:00:00Z", "count": 5, "open": True, "length": 3,
        "tags": ["a", "b"],
    }  # fmt: skip
    with pytest.raises(KeyError, match="array"):
        functions(schema, ZoneInfo("UTC"))
