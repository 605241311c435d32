"""One raw object -> one typed call -> the rows of its elements."""

from __future__ import annotations

import json
from importlib.resources import files
from zoneinfo import ZoneInfo

import fastjsonschema
import pytest

from singer_calls.extract import NotACallError, SchemaDrift
from tap_iovox.records import ROWS, Reader, rows
from tap_iovox.schemas import SCHEMAS
from tap_iovox.streams import ELEMENTS

LONDON = ZoneInfo("Europe/London")
PUBLISHED = json.loads(
    files("call_sandbox.vendors").joinpath("iovox_documented.json").read_text("utf-8")
)
OTHER_NAMES = {"call_time_sec": "call_time_seconds", "talk_time_sec": "talk_time_seconds"}


def read(drift=None, **raw):
    return Reader(LONDON, drift or SchemaDrift())({"id": 1, **raw})


def expected(key, value):
    """A published value of a call, typed."""
    if value == "":
        return None
    if key in {"call_start", "call_end", "created"}:
        return value.replace(" ", "T") + "Z"  # London, in winter
    if isinstance(value, list):
        return [{name: expected(name, part) for name, part in item.items()} for item in value]
    if isinstance(value, dict):
        return {name: expected(name, part) for name, part in value.items()}
    return {"id": str, "has_recording": lambda flag: flag == "TRUE"}.get(key, lambda v: v)(value)


@pytest.mark.parametrize("answer", [example["answer"] for example in PUBLISHED])
def test_the_published_calls_are_read_field_by_field(answer):
    """What they lack is null, nothing is odd, and all of it fits the schema."""
    drift = SchemaDrift()
    for raw in answer:
        call = Reader(LONDON, drift)(raw)
        told = {OTHER_NAMES.get(key, key): expected(key, value) for key, value in raw.items()}
        assert {name: value for name, value in call.items() if value is not None} == {
            name: value for name, value in told.items() if value is not None
        }
        fastjsonschema.compile(SCHEMAS["calls"])(call)
    assert (drift.unknown, drift.misfits) == ({}, {})


@pytest.mark.parametrize(
    ("field", "sent", "typed"),
    [
        ("id", 30683207599876, "30683207599876"),
        ("id", "30683207599876", "30683207599876"),
        ("call_start", "2024-02-26 04:39:59", "2024-02-26T04:39:59Z"),
        ("call_start", "2024-07-26 04:39:59", "2024-07-26T03:39:59Z"),
        ("call_start", "2024-07-26T04:39:59+02:00", "2024-07-26T02:39:59Z"),
        ("talk_time_sec", "125", 125),
        ("talk_time_seconds", 125, 125),
        ("call_time_sec", "00:02:16", 136),
        ("call_time", "00:02:16", "00:02:16"),
        ("node_id", 2, "2"),
        ("node_type", "", None),
        ("has_recording", "TRUE", True),
        ("has_recording", "FALSE", False),
        ("has_recording", "0", False),
        ("has_recording", 1, True),
        ("has_recording", False, False),
        ("email_sent", "1", "1"),
        ("email_alert", True, "true"),
        ("direction", None, None),
        ("comments", [], []),
        ("comments", "", None),
        ("call_outcomes", ["Sale"], [{"outcome": "Sale", "details": None}]),
        (
            "call_outcomes",
            {"call_outcome": "Sale", "by": 1},
            [{"outcome": "Sale", "details": {"call_outcome": "Sale", "by": 1}}],
        ),
    ],
)
def test_every_spelling_has_one_type(field, sent, typed):
    """Nothing is odd about any of them."""
    drift = SchemaDrift()
    call = read(drift, **{field: sent})
    names = {**OTHER_NAMES, "email_sent": "email_alert"}
    assert call[names.get(field, field)] == typed
    assert (drift.unknown, drift.misfits) == ({}, {})


def test_an_element_may_carry_the_names_of_the_request():
    """Tasks were never published with content: both spellings are read."""
    named = read(tasks=[{"created": "2024-02-26 10:00:00", "status": "OPEN"}])
    asked = read(tasks=[{"task_created": "2024-02-26 10:00:00", "task_status": "OPEN"}])
    assert named["tasks"] == asked["tasks"]
    assert named["tasks"][0]["created"] == "2024-02-26T10:00:00Z"


def test_a_list_of_one_may_come_as_its_element():
    """As the older API answers."""
    tag = {"text": "Sale", "colour": "GREEN", "source_type": "user"}
    assert read(tags=tag)["tags"] == [tag]


def test_what_does_not_fit_is_null_and_counted_by_name():
    """The rest of the call goes on; the names are all that is told."""
    drift = SchemaDrift()
    call = read(
        drift,
        call_start="yesterday",
        talk_time_sec="a lot",
        has_recording="perhaps",
        tags=["gold", {"text": {"en": "x"}, "colour": "RED"}],
        categories={"link_categories": "none"},
        surprise=1,
    )
    assert call["call_start"] is call["talk_time_seconds"] is call["has_recording"] is None
    assert call["tags"] == [{"text": None, "colour": "RED", "source_type": None}]
    assert call["categories"]["link_categories"] == []
    assert drift.misfits == {
        "call_start": 1,
        "talk_time_seconds": 1,
        "has_recording": 1,
        "tags": 1,
        "tags.text": 1,
        "categories.link_categories": 1,
    }
    assert drift.unknown == {"surprise": 1}


def test_an_unknown_field_inside_a_part_is_counted_as_one_at_the_top_is():
    """By its path."""
    drift = SchemaDrift()
    read(
        drift,
        comments=[{"comment_id": "1", "mood": "good"}, {"comment_id": "2", "mood": ""}],
        categories={"new_categories": [], "link_categories": [{"category_id": 1, "weight": 2}]},
    )
    assert drift.unknown == {
        "comments.mood": 2,
        "categories.new_categories": 1,
        "categories.link_categories.weight": 1,
    }


def test_a_date_without_a_time_of_day_stays_that_date():
    """It doesn't become 23:00 of the day before."""
    (task,) = read(tasks=[{"due_date": "2024-07-05", "created": "2024-07-05 00:30:00"}])["tasks"]
    assert task["due_date"] == "2024-07-05T00:00:00Z"
    assert task["created"] == "2024-07-04T23:30:00Z"


@pytest.mark.parametrize("raw", [{}, {"id": ""}, {"id": None}, [], "call", None])
def test_a_call_without_an_id_is_no_record(raw):
    """It can't be told from others."""
    with pytest.raises(NotACallError):
        Reader(LONDON, SchemaDrift())(raw)


def test_elements_of_the_published_calls():
    """One row per element, with the call's id and moment, and all of it fits the schemas."""
    merged = {}
    for example in PUBLISHED:
        merged.update(example["answer"][0])
    call = Reader(LONDON, SchemaDrift())(merged)
    found = {name: rows(name, ["call_id", *kind.keys], call) for name, kind in ELEMENTS.items()}
    assert {name: len(list_) for name, list_ in found.items()} == {
        "call_categories": 4,
        "call_comments": 0,
        "call_transcriptions": 1,
        "call_transcription_phrases": 24,
        "call_tags": 1,
        "call_keywords": 3,
        "call_tasks": 0,
        "call_outcomes": 0,
    }
    head = {"call_id": "30683207599876", "call_start": "2024-02-26T04:39:59Z"}
    assert found["call_keywords"][2] == {
        **head,
        "position": 2,
        "keyword_rule": "Caller mentioned make - Nissan",
        "keyword": "Nissan",
        "count": 1,
    }
    assert found["call_transcription_phrases"][23] == {
        **head,
        "transcription_id": "AYfm_84yRn5pZWaxmpo3",
        "position": 23,
        "phrase": "Bye, bye.",
        "speaker": "caller",
        "start": 123450,
        "end": 123770,
        "turn": 23,
    }
    for name, list_ in found.items():
        for row in list_:
            fastjsonschema.compile(SCHEMAS[name])(row)
            assert {*row} == {*SCHEMAS[name]["properties"]}


def test_every_kind_of_element_has_rows_and_a_schema():
    """The tables name the same streams."""
    assert {*ROWS} == {*ELEMENTS} == {*SCHEMAS} - {"calls"}


def test_an_element_without_an_id_is_known_by_its_place():
    """And one that is sent twice is one row, the later."""
    comments = [
        {"text": "a"},
        {"comment_id": "", "text": "b"},
        {"comment_id": "x", "text": "c"},
        {"comment_id": "x", "text": "d"},
    ]
    found = rows("call_comments", ["call_id", "comment_id"], read(comments=comments))
    assert [(row["comment_id"], row["text"]) for row in found] == [
        ("0", "a"),
        ("1", "b"),
        ("x", "d"),
    ]


def test_a_keyword_rule_without_keywords_is_a_row():
    """That it matched is told, too."""
    call = read(keyword_rules=[{"keyword_rule": "Visit"}])
    (row,) = rows("call_keywords", ["call_id", "position"], call)
    assert (row["keyword_rule"], row["keyword"], row["count"]) == ("Visit", None, None)
