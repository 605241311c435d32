"""Calls in PostgreSQL: every column's type, nested parts, late changes, element tables."""

# ruff: noqa: S608 - the queries and the database are the tests' own
from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from call_sandbox import testing

ROOT = Path(__file__).parents[2]
DAY = 86400
# JSON Schema -> the type of the column.
COLUMNS = {
    "string": "text",
    "string date-time": "timestamp without time zone",
    "string date": "date",
    "integer": "bigint",
    "number": "numeric",
    "boolean": "boolean",
    "array": "jsonb[]",
    "object": "jsonb",
}


@pytest.fixture
def rows(database):
    """``rows(sql)``: what the warehouse answers."""
    engine = sa.create_engine(database)

    def ask(sql):
        with engine.connect() as connection:
            return connection.exec_driver_sql(sql).fetchall()

    yield ask
    engine.dispose()


@pytest.fixture
def warehouse(pipeline, database):
    """``warehouse("invox-to-postgres")``: a pipeline that loads into the database."""
    return lambda job, **options: pipeline(job, database=database, **options)


def expected_columns(tap, stream):
    """Column -> type, as the tap's own schema says."""
    module = tap.replace("-", "_")
    schema = json.loads((ROOT / tap / module / "schemas" / f"{stream}.json").read_text())
    found = {}
    for name, spec in schema["properties"].items():
        types = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
        kind = next(t for t in types if t != "null")
        found[name] = COLUMNS[" ".join([kind, *([spec["format"]] if "format" in spec else [])])]
    return found


def columns(rows, schema, table):
    """Column -> type, as PostgreSQL says."""
    found = rows(
        "SELECT column_name, CASE udt_name WHEN '_jsonb' THEN 'jsonb[]' ELSE data_type END "
        f"FROM information_schema.columns WHERE table_schema = '{schema}' "
        f"AND table_name = '{table}'"
    )
    return dict(found)


def primary_key(rows, schema, table):
    """The columns of the table's primary key."""
    found = rows(
        "SELECT column_name FROM information_schema.key_column_usage "
        f"WHERE table_schema = '{schema}' AND table_name = '{table}'"
    )
    return {name for (name,) in found}


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_invox_calls_keep_their_types_and_are_there_once(warehouse, sandbox, rows):
    """A second run adds what is new, updates what changed, and repeats nothing."""
    job = warehouse("invox-to-postgres")
    assert job.run().code == 0
    assert columns(rows, "invox", "calls") == expected_columns("tap-invox", "calls")
    assert primary_key(rows, "invox", "calls") == {"call_id"}
    first = rows("SELECT count(*), count(DISTINCT call_id) FROM invox.calls")
    assert first == [(120, 120)]
    utc = 'to_char(date, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'
    stored = dict(rows(f"SELECT call_id, {utc} FROM invox.calls"))
    read = job.tap.runs[0].output.records("calls")
    assert stored == {call["call_id"]: call["date"] for call in read}
    in_progress = rows("SELECT call_id FROM invox.calls WHERE status = 'Calling'")
    assert in_progress

    assert job.run().code == 0
    assert rows("SELECT count(*) FROM invox.calls") == [(120,)]

    sandbox.advance(DAY)
    assert job.run().code == 0
    assert rows("SELECT count(*), count(DISTINCT call_id) FROM invox.calls")[0][0] > first[0][0]
    ids = ", ".join(f"'{call_id}'" for (call_id,) in in_progress)
    final = rows(f"SELECT status, duration FROM invox.calls WHERE call_id IN ({ids})")
    assert len(final) == len(in_progress)
    assert all(status != "Calling" and duration is not None for status, duration in final)


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_iovox_elements_are_tables_that_join_to_their_calls(warehouse, rows):
    """Every stream is a table with the schema's types; no element is without its call."""
    job = warehouse("iovox-to-postgres", select=True)
    assert job.run().code == 0
    schemas = ROOT / "tap-iovox" / "tap_iovox" / "schemas"
    streams = sorted(file.stem for file in schemas.glob("*.json"))
    assert len(streams) == 9
    seen = {}
    for stream in streams:
        found = columns(rows, "iovox", stream)
        stored = {name for name in found if name.startswith("recording_")}
        assert len(stored) == (6 if stream == "calls" else 0)
        described = {name: kind for name, kind in found.items() if name not in stored}
        assert described == expected_columns("tap-iovox", stream), stream
        seen[stream] = rows(f"SELECT count(*) FROM iovox.{stream}")[0][0]
        if stream != "calls":
            orphans = rows(
                f"SELECT count(*) FROM iovox.{stream} e "
                "LEFT JOIN iovox.calls c ON c.id = e.call_id WHERE c.id IS NULL"
            )
            assert orphans == [(0,)], stream
    assert seen["call_tags"] > 0
    nested = rows("SELECT sum(cardinality(tags)) FROM iovox.calls")
    assert nested == [(seen["call_tags"],)]
    phrases = rows(
        "SELECT sum(jsonb_array_length(t -> 'phrases')) FROM iovox.calls, unnest(transcriptions) t"
    )
    assert phrases == [(seen["call_transcription_phrases"],)]

    assert job.run().code == 0
    again = {s: rows(f"SELECT count(*) FROM iovox.{s}")[0][0] for s in streams}
    assert again == seen


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_late_insights_update_the_call_and_add_their_elements(warehouse, sandbox, rows):
    """A comment written later reaches the nested call and the table of comments."""
    job = warehouse("iovox-to-postgres", select=True)
    assert job.run().code == 0
    before = rows("SELECT count(*) FROM iovox.call_comments")[0][0]
    sandbox.advance(DAY)
    assert job.run().code == 0
    after = rows("SELECT count(*) FROM iovox.call_comments")[0][0]
    assert after > before
    nested = rows("SELECT sum(cardinality(comments)) FROM iovox.calls")
    assert nested == [(after,)]


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_live_calls_are_events_that_add_up(warehouse, rows):
    """Each sight of a call is a row of its own: the same calls, seen twice, are there twice."""
    job, look = warehouse("invoca-live-to-postgres"), {"watch_seconds": 0}
    assert job.run(tap=look).code == 0
    stream = "calls_in_progress"
    expected = expected_columns("tap-invoca-calls", stream)
    del expected["demographics_data"]  # personal: only with include_demographics
    assert columns(rows, "invoca", stream) == expected
    once = rows("SELECT count(*), count(DISTINCT transaction_id) FROM invoca.calls_in_progress")
    assert once[0][0] == once[0][1] > 0
    ((seen,),) = rows("SELECT DISTINCT observed_at FROM invoca.calls_in_progress")
    later = lambda: datetime.now(UTC).replace(microsecond=0, tzinfo=None) > seen  # noqa: E731
    testing.wait_until(later, "another second than that of the first look")
    assert job.run(full_refresh=True, tap=look).code == 0
    twice = rows("SELECT count(*), count(DISTINCT transaction_id) FROM invoca.calls_in_progress")
    assert twice == [(2 * once[0][0], once[0][1])]


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_without_a_server_the_calls_are_lines_of_json(pipeline, sandbox, tmp_path):
    """The embedded default keeps numbers, booleans, nulls and nested parts as they are."""
    folder = tmp_path / "output" / "iovox"
    folder.mkdir(parents=True)
    assert pipeline("iovox-to-warehouse", select=True).run().code == 0
    lines = (folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    calls = [json.loads(line) for line in lines]
    assert len({call["id"] for call in calls}) == len(calls) > 100
    assert {type(call["call_time_seconds"]) for call in calls} <= {int, type(None)}
    assert {type(call["has_recording"]) for call in calls} <= {bool, type(None)}
    assert any(call["tags"] for call in calls)
    tags = sum(len(call["tags"] or []) for call in calls)
    assert len((folder / "call_tags.jsonl").read_text().splitlines()) == tags
    assert sandbox.journal("iovox")
