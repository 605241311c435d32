"""Fault 6: poison in the input. One bad call is one rejected call; a broken stream ends the run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from call_sandbox.testing import installed, record, schema, state

pytestmark = pytest.mark.usefixtures("covered")
CALLS = 20
MEASURED = Path(__file__).with_name("measured_target.py")
POISON = 8
BYTES_OF_A_CALL = 150  # its id alone, kept in a set, takes as many


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"type":"RECORD","stream":"calls","record":{"CallSessionId":"call-0000', "JSON object"),
        (b'{"type":"RECORD","stream":["calls"],"record":{}}\n', "before the schema"),
        (b"[1, 2]\n", "JSON object"),
        (b"Traceback of a tap, +14155550123\n", "JSON object"),
        (b'{"a":' * 100_000 + b"\n", "JSON object"),
        (b'{"type":"NOTE"}\n', "no Singer message"),
        (b'{"type":"RECORD","stream":"calls"}\n', "lacks record"),
        (b'{"type":"RECORD","stream":"calls","record":null}\n', "not an object"),
        (b'{"type":"RECORD","stream":"calls","record":["+14155550123"]}\n', "not an object"),
        (b'{"type":"RECORD","stream":"others","record":{}}\n', "before the schema"),
        (b'{"type":"SCHEMA","stream":"calls","schema":{"type":"what"}}\n', "lacks properties"),
        (b'{"type":"SCHEMA","stream":"calls","schema":null}\n', "not an object"),
        (b'{"type":"SCHEMA","stream":"calls","schema":{"properties":{"a":7}}}\n', "JSON Schema"),
        (
            b'{"type":"SCHEMA","stream":"x","schema":{"properties":{}},"key_properties":"id"}\n',
            "no list of texts",
        ),
        (b'{"type":"SCHEMA","stream":[],"schema":{"properties":{}}}\n', "no text"),
        (b'{"type":"STATE","value":[1]}\n', "not an object"),
        (b'{"type":"STATE"}\n', "lacks value"),
        (b'{"type":"BATCH","stream":"calls","encoding":{},"manifest":[]}\n', "batch_config"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_a_broken_stream_ends_the_run_in_one_sentence(bench, line, says):
    """What came before it is delivered and in STATE; the sentence quotes nothing."""
    run = bench.run([*bench.calls(POISON, every=1), line, *bench.calls(CALLS, POISON)])
    assert run.code == 1
    (sentence,) = run.sentences
    assert says in sentence
    assert "report" not in sentence
    assert bench.bookmark == POISON
    assert bench.books == dict.fromkeys(bench.keys(POISON), 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"CallerId": None},
        {"CallerId": ["+14155550123"]},
        {"CallDuration": -1.5},
        {"CallDuration": {"seconds": None}},
        {"CallDuration": 1e300},
        {"EventDate": "yesterday at +14155550123"},
        {"CallProvider": "x" * 100_000},
        {"DispositionName": "NUL \0 inside"},
        {"DispositionName": {"deep": [None, {"deeper": None}]}},
        {"CallSessionId": None},
        {"CallSessionId": 17},
        {"Region": "half a pair \ud800"},
        {"SaleAmount": float("nan")},
        {"VendorEventId": "x", "CallSessionId": "k" * 600},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_poisoned_call_is_set_aside_as_it_came_and_the_rest_is_delivered(bench, fields):
    """Its original, byte for byte but for our mark, is in the rejected file."""
    lines = list(bench.calls(CALLS))
    lines[lines.index(bench.record(POISON))] = poisoned = bench.record(POISON, **fields)
    run = bench.run(lines)
    assert run.code == 0, run.errors
    assert "rejected=1" in run.errors
    assert bench.bookmark == CALLS
    assert bench.books == dict.fromkeys(bench.keys(CALLS) - {bench.key(POISON)}, 1)
    (file,) = bench.files("rejected")
    message = json.loads(file.read_bytes().splitlines()[1])
    assert message.pop("set_aside")["outcome"] == "rejected"
    assert repr(message) == repr(poisoned)  # nan is not nan


def test_odd_but_sound_values_are_delivered(bench):
    """A number as JSON number, right-to-left text, long text, fractions, nested nulls unused."""
    odd = {
        0: {"CallerId": 14155550123},
        1: {"DispositionName": "שלום \u202e العربية 🙂"},
        2: {"DispositionName": "y" * 100_000},
        3: {"CallDuration": 60.0, "TalkDuration": 12.000},
        4: {"unknown": {"nested": [None, {"a": None}]}, "City": None},
        5: {"SaleAmount": 12.5},
    }
    lines = [bench.schema(CallerId={"type": ["string", "integer"]})]
    lines += [bench.record(number, **fields) for number, fields in odd.items()]
    run = bench.run([*lines, bench.state(len(odd))])
    assert run.code == 0
    assert bench.books == dict.fromkeys(bench.keys(len(odd)), 1)
    forms = {entry["key"]: entry["form"] for entry in bench.journal()}
    assert forms[bench.key(0)]["CallerId"] == "+14155550123"
    assert forms[bench.key(1)]["DispositionName"] == odd[1]["DispositionName"]
    assert forms[bench.key(3)]["CallDuration"] == "60"
    assert forms[bench.key(5)]["SaleAmount"] == "12.50"


def test_a_failing_stream_map_sets_calls_aside_and_their_file_replays_after_the_fix(bench):
    """The unmapped originals are in the file, so the corrected mapping can read them."""
    bad = bench.keys(3, 6)
    lines = [bench.schema(SaleAmount={"type": ["string", "null"]})]
    lines += [
        bench.record(n, SaleAmount="a lot" if bench.key(n) in bad else "7") for n in range(CALLS)
    ]
    maps = {"calls": {"SaleAmount": "float(SaleAmount)", "City": "'Springfield'"}}
    run = bench.run([*lines, bench.state(CALLS)], stream_maps=maps)
    assert run.code == 0
    assert bench.bookmark == CALLS
    aside = bench.set_aside("rejected")
    assert aside.keys() == bad
    assert {mark["field"] for mark in aside.values()} == {"SaleAmount"}
    assert bench.books.keys() == bench.keys(CALLS) - bad
    (file,) = bench.files("rejected")
    assert b"Springfield" not in file.read_bytes()

    maps["calls"]["SaleAmount"] = "float(SaleAmount) if SaleAmount.isdigit() else None"
    replay = bench.run([], "--input", str(file), stream_maps=maps)
    assert replay.code == 0, replay.errors
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
    cities = {entry["form"]["City"] for entry in bench.journal()}
    assert cities == {"Springfield"}


def test_a_schema_that_changes_in_mid_stream_is_followed(bench):
    """Records are checked by the schema before them, and rejected ones replay with it."""
    lines = [
        bench.schema(),
        bench.record(0),
        bench.record(1, CallerId=14155550001),
        bench.schema(CallerId={"type": "integer"}),
        bench.record(2, CallerId=14155550002),
        bench.record(3),
        bench.state(4),
    ]
    assert bench.run(lines).code == 0
    assert bench.books.keys() == {bench.key(0), bench.key(2)}
    assert bench.set_aside("rejected").keys() == {bench.key(1), bench.key(3)}
    (file,) = bench.files("rejected")
    kinds = [json.loads(line)["type"] for line in file.read_bytes().splitlines()]
    assert kinds == ["SCHEMA", "RECORD", "SCHEMA", "RECORD"]


def test_a_schema_that_is_said_again_is_not_read_again(bench):
    """Some taps say it before each page, or for each parent of a child stream."""
    lines = [line for n in range(CALLS) for line in (bench.schema(), bench.record(n))]
    run = bench.run([*lines, bench.state(CALLS)], stream_maps={"calls": None})
    assert run.code == 0
    assert run.errors.count("null transform") == 1


def test_a_mapping_that_meets_no_stream_is_told(bench):
    """It lets through what it was made to change or to take out."""
    lines = [*bench.calls(2), bench.schema()]
    told = (
        "stream_maps has nothing for the stream calls, its records are taken as they come: it names"
    )
    run = bench.run(lines, stream_maps={"Calls": {"City": "'Rome'"}})
    assert run.errors.count(told) == 1
    for maps in ({"ca*": {"City": "'Rome'"}}, {"x": {"__source__": "calls"}}, {"__else__": None}):
        assert told not in bench.run(lines, stream_maps=maps).errors


def test_an_empty_state_never_erases_a_good_one(bench):
    """Downstream keeps the last line: it must be one that says something."""
    empty = state({})
    run = bench.run([empty, *bench.calls(CALLS), empty])
    assert run.code == 0
    assert run.states
    assert all(value for _, value in run.states)
    assert bench.bookmark == CALLS


def test_a_state_is_passed_on_as_it_came(bench):
    """Numbers with a point, long ones, and text of any script."""
    value = {"bookmarks": {"calls": {"done": 1, "at": 1.25, "n": 12345678901234567890, "t": "ă🙂"}}}
    run = bench.run([bench.schema(), bench.record(0), state(value)])
    assert run.states[-1][1] == value


def test_what_meltano_sends_to_test_the_settings_is_never_posted(bench):
    """`meltano config test` looks for a good exit code, and for these words in the log."""
    stream = "meltano_test_stream"
    run = bench.run([schema(stream), record(stream, {"id": 1})])
    assert run.code == 0
    assert not bench.journal()
    assert "error" not in run.errors.lower()
    assert "exception" not in run.errors.lower()


def test_a_dry_run_reports_and_leaves_no_trace(bench):
    """Nothing is sent, no ledger, no file, no STATE: the next run does it all."""
    lines = [*bench.calls(CALLS), bench.record(CALLS, CallerId=None)]
    run = bench.run(lines, dry_run=True)
    assert run.code == 0
    assert f"would_send={CALLS}" in run.errors
    assert "rejected=1" in run.errors
    assert not bench.journal()
    assert not run.heard
    assert not bench.ledger_file.exists()
    assert not bench.rejected.exists()
    assert bench.run(lines, dry_run=True, max_rejected_percent=0).code == 1


def test_a_dry_run_shows_what_would_be_sent_and_to_whom(bench):
    """Some calls with what is personal masked; all by partner; a partner who would get none."""
    shown = bench.record(1, MediaId=10001, City="Planted-Town", CallSessionId="ab:4075550123")
    lines = [bench.record(n, MediaId=10002) for n in (2, 3)]
    tables = {"partners": {"0312": "10001", "0313": "10002", "0314": "10003"}, "other": {"x": "y"}}
    errors = bench.run(
        [*bench.calls(0), shown, *lines], dry_run=True, stream_map_config=tables
    ).errors
    assert "MediaId=10001" in errors
    assert "CallSessionId=ab:##########" in errors
    assert "City=xxxxxxx-xxxx" in errors
    assert re.search(r"CallerId=\+#{11} ", errors)
    assert re.findall(r" (\d+)  (1000\d)$", errors, re.MULTILINE) == [
        ("2", "10002"),
        ("1", "10001"),
    ]
    assert "partners names MediaId without a call: 10003" in errors
    assert "other names" not in errors
    assert "Planted" not in errors
    assert "4075550123" not in errors
    assert not bench.rejected.exists()


def test_a_dry_run_shows_twenty_partners_and_counts_the_others(bench):
    """One that would send nothing shows none, and what is no call ends it as any run."""
    lines = [bench.record(n, MediaId=20000 + n) for n in range(25)]
    errors = bench.run([*bench.calls(0), *lines], dry_run=True).errors
    assert len(re.findall(r"  1  2\d{4}$", errors, re.MULTILINE)) == 20
    assert "and 5 more" in errors
    run = bench.run(bench.calls(0), dry_run=True)
    assert (run.code, "Would be sent" in run.errors) == (0, False)
    assert bench.run([*bench.calls(3), b"no JSON\n"], dry_run=True).code == 1


def peak_kilobytes(bench, calls):
    """The most memory that a dry run of so many calls ever had."""
    command = {"command": [str(MEASURED)], "launch": installed}
    run = bench.run(bench.calls(calls, every=1000), **command, dry_run=True)
    assert run.code == 0
    assert f"would_send={calls}" in run.errors
    return int(run.said[-1].removeprefix("peak "))


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize(
    "calls", [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_memory_is_flat(bench, say, calls):
    """Within 20 percent of what five thousand calls need, and nothing is kept of each call."""
    few, many = (peak_kilobytes(bench, n) for n in (5000, calls))
    say(f"peak memory, dry run: {few} kB for 5000 calls, {many} kB for {calls}")
    assert many < 1.2 * few
    assert many - few < BYTES_OF_A_CALL * (calls - 5000) / 1024
