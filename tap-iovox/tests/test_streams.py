"""Which fields are asked for, and the streams of elements."""

from __future__ import annotations

import json
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import fastjsonschema
import pytest

from call_sandbox.vendors.iovox_calls import FIELDS
from singer_calls.extract import SchemaDrift
from tap_iovox.records import Reader
from tap_iovox.schemas import SCHEMAS
from tap_iovox.streams import ELEMENTS

PUBLISHED = json.loads(
    files("call_sandbox.vendors").joinpath("iovox_documented.json").read_text("utf-8")
)
EVERYTHING = {"calls": None, **dict.fromkeys(ELEMENTS)}
CATEGORIES = {f"{kind}_category_" for kind in ("link", "call", "node", "contact")}


def fields_asked(bench):
    (asked,) = {query["response_fields"] for query in bench.asked()}
    return asked.split(",")


def test_without_a_catalog_only_calls_are_read(bench):
    """Elements are in the calls; streams of their own are for those who select them."""
    output = bench.run()
    assert {*output.by_stream} == {*output.schemas} == {"calls"}
    assert {*fields_asked(bench)} == {*FIELDS}
    assert len(output.schemas["calls"]["schema"]["properties"]) == 30


@pytest.mark.parametrize(
    ("selected", "fields"),
    [
        ({"calls": []}, {"id", "call_start"}),
        ({"calls": ["call_result"]}, {"id", "call_start", "call_result"}),
        ({"calls": ["talk_time_seconds"]}, {"id", "call_start", "talk_time_seconds"}),
        (
            {"calls": ["tags"]},
            {"id", "call_start", "tag_text", "tag_colour", "tag_source_type"},
        ),
        (
            {"calls": ["categories"]},
            {
                "id",
                "call_start",
                *(f"{kind}{name}" for kind in CATEGORIES for name in ("id", "label", "value")),
            },
        ),
        ({"call_tags": ["colour"]}, {"id", "call_start", "tag_text", "tag_colour"}),
        ({"call_tags": []}, {"id", "call_start", "tag_text"}),
        (
            {"call_categories": ["label"]},
            {
                "id",
                "call_start",
                *(f"{kind}{name}" for kind in CATEGORIES for name in ("id", "label")),
            },
        ),
        (
            {"call_comments": ["text", "created"]},
            {"id", "call_start", "comment_id", "comment_text", "comment_created"},
        ),
        (
            {"call_transcriptions": None},
            {
                "id",
                "call_start",
                "transcription_id",
                "transcription_language",
                "transcription_text",
            },
        ),
        (
            {"call_transcription_phrases": ["speaker"]},
            {"id", "call_start", "transcription_id", "transcription_phrases"},
        ),
        ({"call_keywords": ["keyword"]}, {"id", "call_start", "keyword_rules"}),
        (
            {"call_tasks": ["status"]},
            {"id", "call_start", "task_created", "task_status"},
        ),
        ({"call_outcomes": None}, {"id", "call_start", "call_outcomes"}),
        (
            {"calls": ["node_id"], "call_keywords": []},
            {"id", "call_start", "node_id", "keyword_rules"},
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_only_what_is_selected_is_asked_for(bench, selected, fields):
    """The key and the moment always; each documented field at most once."""
    output = bench.run(selected)
    asked = fields_asked(bench)
    assert sorted(asked) == sorted(fields)
    assert {*output.schemas} == {*selected}
    for stream, records in output.by_stream.items():
        properties = {*output.schemas[stream]["schema"]["properties"]}
        assert all({*record} <= properties for record in records)


def test_one_kind_of_category_is_asked_for_alone(bench):
    """Nested objects can be selected in part."""
    catalog = bench.catalog({"calls": ["categories"]})
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if len(entry["breadcrumb"]) == 4:
                entry["metadata"]["selected"] = entry["breadcrumb"][3] == "node_categories"
    bench.catalog = lambda _: catalog
    output = bench.run({"calls": None})
    own = {f"node_category_{name}" for name in ("id", "label", "value")}
    assert {*fields_asked(bench)} == {"id", "call_start", *own}
    assert {*output.calls[0]["categories"]} == {"node_categories"}


def test_two_fields_shrink_the_answers(bench):
    """Only `id` and `call_result`: less than a fifteenth of the bytes."""
    bench.run()
    whole = sum(entry["bytes_out"] for entry in bench.sandbox.journal("iovox"))
    bench.sandbox.reset()
    bench.run({"calls": ["id", "call_result"]})
    few = sum(entry["bytes_out"] for entry in bench.sandbox.journal("iovox"))
    assert few * 15 < whole, (few, whole)


@pytest.mark.parametrize("example", PUBLISHED[1:], ids=["calls", "categories", "insights"])
def test_a_published_request_and_its_answer(bench, example):
    """Its fields selected, the same fields are asked for, and each published value is emitted."""
    bench.sandbox.switches("iovox", calls="documented")
    (fields,) = parse_qs(urlsplit(example["request"]).query)["response_fields"]
    names = fields.split(",")
    properties = {FIELDS[name][0] or name for name in names}
    categories = {name for name in properties if name.endswith("_categories")}
    selected = [*(properties - categories), *(["categories"] if categories else [])]
    output = bench.run(
        {"calls": selected}, start_date="2024-02-26T00:00:00Z", end_date="2024-02-27T00:00:00Z"
    )
    # `tasks` is selected as a whole: the published request leaves out one name of seven.
    whole = {"task_username"} if "task_created" in names else set()
    assert {*fields_asked(bench)} == {*names} | whole
    for call, published in zip(output.calls, reversed(example["answer"]), strict=True):
        expected = Reader(ZoneInfo("Europe/London"), SchemaDrift())(published)
        assert call == {name: expected[name] for name in call}
        assert {*call} == {"id", "call_start", *selected}


def test_elements_come_from_the_same_answers(bench):
    """All nine streams cost not one request more than `calls` alone."""
    bench.run(page_size=100)
    alone = len(bench.asked())
    bench.sandbox.reset()
    bench.sandbox.switches("iovox", outcomes="object")
    output = bench.run(EVERYTHING, page_size=100)
    assert len(bench.asked()) == alone
    assert {*output.by_stream} == {*EVERYTHING}


def test_a_catalog_with_other_keys_loses_no_row(bench):
    """They are the target's: what a row is known by here stays."""
    selected = {"calls": ["id"], "call_keywords": None}
    plain = bench.run(selected).by_stream
    catalog = bench.catalog(selected)
    for stream in catalog["streams"]:
        stream["key_properties"] = stream["key_properties"][:1]
    assert bench.run(catalog=catalog).by_stream == plain
    assert plain["calls"]
    assert plain["call_keywords"]


def test_elements_without_calls(bench):
    """With `calls` deselected its elements are the same, and the bookmark is kept all the same."""
    bench.sandbox.switches("iovox", outcomes="text")
    together = bench.run(EVERYTHING)
    output = bench.run(dict.fromkeys(ELEMENTS))
    assert "calls" not in output.by_stream
    assert "calls" not in output.schemas
    for name in ELEMENTS:
        assert output.records(name) == together.records(name)
    assert output.states[-1] == together.states[-1]
    saved = output.states[-1]["bookmarks"]["calls"]["replication_key_value"]
    assert saved == "2025-11-04T00:00:00Z"


def test_keys_are_unique_and_join_to_their_calls(bench):
    """Every stream's keys: never null, never twice; elements belong to emitted calls."""
    bench.sandbox.switches("iovox", outcomes="object", ties=40)
    output = bench.run(EVERYTHING, page_size=100, window_days=9)
    ids = set(output.ids)
    for name, records in output.by_stream.items():
        schema = output.schemas[name]
        keys = [tuple(record[key] for key in schema["key_properties"]) for record in records]
        assert len(keys) == len(set(keys)), name
        assert all(part is not None for key in keys for part in key)
        assert name == "calls" or {record["call_id"] for record in records} <= ids
        validate = fastjsonschema.compile(SCHEMAS[name])
        for record in records:
            validate(record)


def test_a_second_run_gives_the_same_elements_the_same_keys(bench_of):
    """What came late joins what was there: keys stay, so a warehouse updates in place."""
    with bench_of(calls=300, seed=4) as bench:
        first = bench.run(EVERYTHING)
        bench.sandbox.advance(20 * 86400)
        end = {"end_date": "2025-11-25T00:00:00Z"}
        second = bench.run(EVERYTHING, state=first.states[-1], lookback_days=90, **end)
    assert set(first.ids) < set(second.ids)
    for name, kind in ELEMENTS.items():
        keys = ("call_id", *kind.keys)
        before, after = (
            {tuple(row[key] for key in keys): row for row in output.records(name)}
            for output in (first, second)
        )
        assert before.items() <= after.items()
    assert len(second.records("call_comments")) > len(first.records("call_comments")) * 1.2


def test_late_comments_come_within_the_lookback(bench_of):
    """A comment 18 days after its call: the call is emitted again, the bookmark never goes back."""
    with bench_of(calls=300, seed=4) as bench:
        only = {"calls": ["comments"]}
        first = bench.run(only, end_date="2025-11-03T10:00:00Z")
        bench.sandbox.advance(18 * 86400)
        second = bench.run(
            only, state=first.states[-1], end_date="2025-11-21T10:00:00Z", lookback_days=30
        )
    told = {call["id"] for call in first.calls if call["comments"]}
    late = {call["id"] for call in second.calls if call["comments"]} - told
    assert late & set(first.ids)
    saved = [
        state["bookmarks"]["calls"]["replication_key_value"]
        for state in (first.states[-1], *second.states)
    ]
    assert saved == sorted(saved)


def test_elements_precede_the_state_that_covers_them(bench):
    """After each window: schemas first, then rows, then STATE."""
    output = bench.run(EVERYTHING, window_days=20)
    assert output.kinds[-1] == ("STATE", None)
    first_record = output.kinds.index(("RECORD", "calls"))
    assert all(kind != "SCHEMA" for kind, _ in output.kinds[first_record:])
    assert len(output.states) == 5
    assert {*output.states[-1]["bookmarks"]} == {"calls"}
