"""What a user sees: a run from its command line to its output, its messages and its exit code."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOX_API_KEY
from call_sandbox.testing import wait_until
from singer_calls.extract import Window
from singer_calls.values.clock import utc_text
from tap_invox.client import Invox
from tap_invox.tap import TapInvox

from .conftest import CALLS, DAYS

LOG = logging.getLogger(__name__)


def text(epoch: float) -> str:
    """Epoch seconds as a setting."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def began(sandbox) -> str:
    """A start_date before the first call."""
    return text(sandbox.now - (DAYS + 1) * 86400)


# Reading


def test_without_start_date_all_calls_come_in_one_answer(invox):
    """Each once; the bookmark is the start of the run."""
    run = invox.run()
    assert (run.code, run.errors) == (0, [])
    (request,) = invox.sandbox.journal("invox")
    assert request["query"] == {}
    assert len(run.ids) == CALLS
    assert {*run.ids} == invox.all_ids()
    (bookmark,) = run.bookmarks
    assert abs(datetime.fromisoformat(bookmark) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"id_key": "id", "duration": "hms", "order": "desc", "to_date": "exclusive"},
        {"duration": "string", "order": "shuffled", "missing": "absent", "day": "name"},
        {"date": "iso", "missing": "empty", "status": "q850"},
        {"row_cap": 50},
    ],
)
def test_windows_give_the_same_calls_whatever_is_unknown(invox_at, switches):
    """Every ambiguity of the documents is a switch; also an answer that is too long."""
    now, switches = int(time.time()) - 3600, {"invox": switches}
    with Sandbox(calls=CALLS, seed=3, days=DAYS, now=now, switches=switches) as sandbox:
        invox = invox_at(sandbox)
        start_date = text(now - (DAYS + 1) * 86400)
        run = invox.run(start_date=start_date, window_days=9, windows_in_flight=3)
        sandbox.switches("invox", row_cap=0)
        assert run.code == 0, run.err
        assert len(run.ids) == CALLS
        assert {*run.ids} == invox.all_ids()
        over = [r for r in run.records() if r["status"] != "Calling"]
        # Who never talked may have none.
        assert all(type(r["duration"]) is int for r in over if r["status"] == "Answered")
        assert {type(r["duration"]) for r in over} == {int, type(None)}
        assert all(
            re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r["date"]) for r in run.records()
        )


def test_the_same_call_reads_the_same_in_every_window_size(invox, began):
    """The records, not just their ids."""
    runs = [
        invox.run(start_date=began, window_days=days, end_date=text(invox.sandbox.now))
        for days in (1, 7, 100)
    ]
    first, *others = ({r["call_id"]: r for r in run.records()} for run in runs)
    assert len(first) >= CALLS - 1
    assert all(other == first for other in others)


@pytest.mark.parametrize("way", [{}, {"incremental_by": "call_id"}], ids=str)
def test_a_call_that_is_listed_as_it_began_and_as_it_ended_is_emitted_as_both(invox_at, way):
    """Which of two counts is not for the tap to say; what is the same twice is there once."""
    with Sandbox(calls=CALLS, seed=3, days=2, switches={"invox": {"twice": 3}}) as sandbox:
        invox = invox_at(sandbox)
        settings = {"start_date": text(sandbox.now - 9 * 86400)} | way
        twice = invox.run(**settings)
        sandbox.switches("invox", twice=0)
        once = invox.run(**settings)
    kept = {record["call_id"]: record for record in twice.records()}
    assert [*kept.values()] == once.records()
    again = len(twice.ids) - CALLS
    assert CALLS / 4 < again < CALLS / 3  # some of a third have not ended, and are the same twice
    began = [call for call in twice.records() if call != kept[call["call_id"]]]
    assert len(began) == again
    assert {call["status"] for call in began} == {"Calling"}
    assert f"listed {again} calls again with other content" in twice.err
    assert "again" not in once.err


def test_a_call_that_changes_36_hours_after_its_start_is_emitted_again(invox_at):
    """With the change; the runs come every three hours and their bookmarks never go back."""
    now = int(time.time()) - 5 * 86400
    with Sandbox(calls=200, seed=5, days=2, now=now) as sandbox:
        invox, state, bookmarks, seen = invox_at(sandbox), None, [], {}
        for _ in range(17):
            run = invox.run(state, start_date=text(now - 3 * 86400), end_date=text(sandbox.now))
            assert run.code == 0
            state = run.states[-1]
            bookmarks += run.bookmarks
            for record in run.records():
                seen.setdefault(record["call_id"], []).append((sandbox.now, record))
            sandbox.advance(3 * 3600)
    assert bookmarks == sorted(bookmarks)
    late = []
    for versions in seen.values():
        last = versions[-1][1]
        changed = next(at for at, record in versions if record["summary"] == last["summary"])
        began = datetime.fromisoformat(last["date"]).timestamp()
        if last["summary"] and versions[0][1]["summary"] is None:
            late.append((changed - began) / 3600)
    assert max(late) > 36


@pytest.mark.parametrize(
    ("form", "first", "last"),
    [
        ("Y-m-d H:i:s", "2026-07-01 02:59:59", "2026-07-03 03:00:00"),
        ("Y-m-dTH:i:s", "2026-07-01T02:59:59", "2026-07-03T03:00:00"),
        ("Y-m-dTH:i:sP", "2026-07-01T02:59:59+03:00", "2026-07-03T03:00:00+03:00"),
        ("Y-m-d", "2026-07-01", "2026-07-04"),
        ("U", "1782863999", "1783036800"),
    ],
)
def test_the_form_of_the_dates_is_a_setting(sandbox, form, first, last):
    """INVOX publishes none; whole days are asked for so that none is missed."""
    config = {"api_key": INVOX_API_KEY, "api_url": f"{sandbox.url}/invox", "date_form": form}
    stream = TapInvox(config=config).streams["calls"]
    stream.prepare()
    sandbox.faults("invox", "204")
    window = Window(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 3, tzinfo=UTC))
    assert list(stream.read(window, divisible=False)) == []
    (request,) = sandbox.journal("invox")
    assert request["query"] == {"from_date": first, "to_date": last}


def test_a_window_without_calls_may_be_a_204(invox, began):
    """No calls, the bookmark saved, exit 0."""
    invox.sandbox.faults("invox", "204")
    run = invox.run(start_date=began, window_days=100)
    assert (run.code, run.ids, run.errors) == (0, [], [])
    assert len(run.bookmarks) == 1


# By id


@pytest.mark.usefixtures("covered")
@pytest.mark.parametrize("inclusive", ["exclusive", "inclusive"])
def test_by_id_only_newer_calls_are_asked_for_and_none_twice(invox_at, inclusive):
    """Whether the vendor sends the last call once more or not."""
    now = int(time.time()) - 5 * 86400
    with Sandbox(
        calls=100, seed=5, days=2, now=now, switches={"invox": {"last_call_id": inclusive}}
    ) as sandbox:
        invox = invox_at(sandbox)
        config = {"incremental_by": "call_id", "lookback_days": 0}
        first = invox.run(**config)
        sandbox.advance(86400)
        second = invox.run(first.states[-1], **config)
        (request,) = sandbox.journal("invox")[1:]
        assert request["query"] == {"last_call_id": str(first.bookmarks[-1])}
        assert not {*first.ids} & {*second.ids}
        assert {*first.ids, *second.ids} == invox.all_ids()
        assert second.bookmarks[-1] == max(second.ids)


@pytest.mark.usefixtures("covered")
def test_by_id_the_bookmark_waits_for_calls_that_are_not_over(invox_at):
    """A call that is still Calling comes again, when it is over."""
    now = int(time.time()) - 4 * 3600
    with Sandbox(calls=2000, seed=5, days=1, now=now) as sandbox:
        invox = invox_at(sandbox)
        first = invox.run(incremental_by="call_id")
        calling = [r["call_id"] for r in first.records() if r["status"] == "Calling"]
        assert calling
        assert first.bookmarks[-1] == min(calling) - 1
        sandbox.advance(3 * 3600)
        second = invox.run(first.states[-1], incremental_by="call_id")
        again = {r["call_id"]: r["status"] for r in second.records()}
        assert all(again[identity] != "Calling" for identity in calling)


@pytest.mark.parametrize(
    ("status", "date", "bookmark"),
    [
        ("Calling", None, 5),  # not known to be old: a date of another form is none
        ("CALLING", "2999-01-01T00:00:00Z", 5),
        pytest.param("calling", utc_text(datetime.now(UTC) - timedelta(hours=1)), 5, id="hour ago"),
        ("Calling", "2026-01-01T00:00:00Z", 7),  # older than the lookback
        ("Answered", None, 7),
        ("Answered", "2999-01-01T00:00:00Z", 7),  # no run would ever come to it
    ],
)
def test_by_id_a_call_that_goes_on_is_waited_for(monkeypatch, status, date, bookmark):
    """However its word is written and its date can't be read: it would not come again."""
    calls = [{"call_id": 6, "status": status, "date": date}]
    calls += [{"call_id": 7, "status": "Answered", "date": "2026-01-02T00:00:00Z"}]
    monkeypatch.setattr(Invox, "since", lambda *_: calls)
    tap = TapInvox(config={"api_key": "x", "incremental_by": "call_id"})
    list(tap.streams["calls"].get_records(None))
    assert tap.state["bookmarks"]["calls"]["replication_key_value"] == bookmark


@pytest.mark.usefixtures("covered")
def test_by_id_the_dates_still_bound_what_is_emitted(invox_at):
    """start_date is inclusive and end_date exclusive, whatever the vendor answers around them."""
    now = int(time.time()) - 5 * 86400
    with Sandbox(calls=200, seed=5, days=4, now=now) as sandbox:
        invox = invox_at(sandbox)
        every = {r["call_id"]: r["date"] for r in invox.run(incremental_by="call_id").records()}
        start, end = sorted(every.values())[50], sorted(every.values())[150]
        bounded = invox.run(incremental_by="call_id", start_date=start, end_date=end)
        expected = {identity for identity, at in every.items() if start <= at < end}
        assert 0 < len(expected) < len(every)
        assert sorted(bounded.ids) == sorted(expected)


# Ending early


def test_ten_kills_lose_no_call_and_move_no_bookmark_back(invox, began):
    """SIGKILL at a random call of each of ten windows, resumed from the last STATE."""
    seed = random.randrange(10**6)  # noqa: S311
    LOG.warning("seed of the kills: %d", seed)
    chance = random.Random(seed)  # noqa: S311
    state, emitted, bookmarks, kills = None, set(), [], 0
    while True:
        tap = invox.start(state, eager=False, start_date=began, window_days=2, lookback_days=1)
        heard, limit = 0, None
        while kills < 10 and (line := tap.hear()):
            heard += len(line)
            # Within the window after the first one that this run saves.
            if b'"STATE"' in line and limit is None and heard > 5000:
                limit = heard + chance.randrange(12_000)
            if limit is not None and heard >= limit:
                tap.kill()
                kills += 1
                break
        run = invox.end(tap)
        emitted |= {*run.ids}
        bookmarks += run.bookmarks
        state = run.states[-1] if run.states else state
        if run.code == 0:
            break
        assert run.code == -signal.SIGKILL
    assert kills == 10  # there are windows for some sixteen
    assert bookmarks == sorted(bookmarks)
    assert emitted == invox.all_ids()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("fault", ["late 30", "429 retry-after 200"])
def test_a_signal_stops_at_once_with_the_last_bookmark(invox, began, number, fault):
    """While the vendor is awaited, or its pause: exit code 128 and the number, no traceback."""
    invox.sandbox.faults("invox", {"fault": fault, "after": 2})
    tap = invox.start(eager=False, start_date=began, window_days=10, windows_in_flight=1)
    for _ in range(2):
        while b'"STATE"' not in tap.hear():
            pass
    began_stopping = time.monotonic()
    run = invox.end(tap.send(number))
    assert time.monotonic() - began_stopping < 5
    assert run.code == 128 + number
    assert "Traceback" not in run.err
    assert run.errors == []
    assert len(run.bookmarks) == 2
    assert "the last saved bookmark stays" in run.err


@pytest.mark.usefixtures("covered")
def test_a_signal_while_writing_cuts_no_message(invox):
    """The last line is whole."""
    tap = invox.start(eager=False)
    tap.hear()
    tap.hear()
    run = invox.end(tap.send(signal.SIGTERM))
    assert run.code == 128 + signal.SIGTERM
    assert run.out.endswith(b"\n")
    assert 0 < len(run.ids) < CALLS
    assert run.bookmarks == []


def test_two_signals_end_a_run_whose_reader_takes_nothing(invox):
    """Nothing that waits in a buffer is waited for."""
    ends = os.pipe()
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
        run = invox.start(stdout=ends[1])
        wchan = Path(f"/proc/{run.pid}/wchan")
        wait_until(lambda: "pipe_write" in wchan.read_text(), "it waits for its reader", 20)
        run.send(signal.SIGTERM)
        wait_until(lambda: not run.send(signal.SIGTERM).running, "it ends", 20)
        assert invox.end(run).code == 128 + signal.SIGTERM
    finally:
        for end in ends:
            os.close(end)


@pytest.mark.usefixtures("covered")
def test_a_reader_that_is_gone_ends_the_run_in_one_sentence(invox):
    """The target died: exit code 1, no traceback."""
    tap = invox.start(eager=False)
    tap.hear()
    run = invox.end(tap.deafen())
    assert run.code == 1
    assert "Traceback" not in run.err
    assert "Exception ignored" not in run.err
    (sentence,) = run.errors
    assert "The reader of this tap's output is gone" in sentence


def test_a_full_disk_ends_the_run_in_one_sentence(invox):
    """With the system's own word for it."""
    with Path("/dev/full").open("wb") as full:
        run = invox.end(invox.start(stdout=full.fileno()))
    assert run.code == 1
    assert "Traceback" not in run.err
    (sentence,) = run.errors
    assert "No space left on device" in sentence


# Messages


@pytest.mark.usefixtures("covered")
@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"api_key": ""}, "Setting api_key is empty: set it."),
        ({"api_key": "wrong"}, "INVOX refuses the credentials (HTTP 401): check the setting"),
        ({"api_url": "http://app.invox.eu"}, "Setting api_url must begin with https://"),
        ({"incremental_by": "id"}, "Setting incremental_by must be one of date, call_id."),
        ({"timezone": "Bucharest"}, "Setting timezone is not a known IANA zone"),
        ({"start_date": "2026-13-01"}, "Setting start_date is not a date"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "Setting end_date must be later"),
        ({"window_days": 0}, "Setting window_days must be at least 1."),
        ({"window_days": "many"}, "Setting window_days must be of type integer."),
    ],
)
def test_a_wrong_setting_ends_in_one_sentence(invox, config, sentence):
    """What, where and what to do; exit code 1."""
    run = invox.run(**config)
    assert run.code == 1
    (error,) = run.errors
    assert sentence in error
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("html", "INVOX answered something that is not a list of calls, 2 times in a row"),
        ("200-with-error", "INVOX answered something that is not a list of calls, 2 times in a"),
        ("cut_json", "INVOX cut its answer short, or the answer is not JSON, 2 times in a row"),
        (
            "504",
            "INVOX answered HTTP 504, 2 times in a row: run again later; if it stays so, set st",
        ),
        ("400", "INVOX answered HTTP 400: check the setting api_url"),
        ("302", "INVOX answered HTTP 302: check the setting api_url"),
        ("503 retry-after 86400", "more than retry_after_max (300 s): run again later."),
    ],
)
def test_a_vendor_that_does_not_answer_well_ends_the_run_in_one_sentence(invox, fault, sentence):
    """After the tries that make sense."""
    invox.sandbox.faults("invox", fault)
    run = invox.run(backoff_max_tries=2)
    assert run.code == 1
    (error,) = run.errors
    assert sentence in error
    assert "Traceback" not in run.err


@pytest.mark.usefixtures("covered")
@pytest.mark.parametrize(
    ("option", "content", "sentence"),
    [
        ("--state", '\ufeff{"bookmarks": 1}', "The state is not one of a Singer tap"),
        ("--state", "{", "The file given with --state is not a JSON object in UTF-8."),
        ("--state", "[]", "The file given with --state is not a JSON object in UTF-8."),
        ("--state", '{"bookmarks": 1}', "The state is not one of a Singer tap"),
        (
            "--state",
            '{"bookmarks":{"calls":{"replication_key":"date","replication_key_value":"now"}}}',
            "The saved bookmark of stream calls is not of the form",
        ),
        (
            "--state",
            '{"bookmarks": {}}'.encode("utf-16"),
            "The file given with --state is not a JSON object in UTF-8.",
        ),
        (
            "--catalog",
            '{"streams":{"calls":{}}}',
            "is no catalog: each of its streams has a tap_str",
        ),
        ("--catalog", '{"streams":[{"stream":"calls"}]}', "is no catalog"),
        ("--catalog", "nothing", "The file given with --catalog is not a JSON object in UTF-8."),
        (
            "--catalog",
            '{"streams":[{"tap_stream_id":"kalls","schema":{},"metadata":[]}]}',
            "The catalog has streams that tap-invox does not know: kalls; known: calls.",
        ),
    ],
)
def test_a_wrong_file_ends_in_one_sentence(invox, option, content, sentence):
    """Not in a traceback from a JSON reader."""
    file = invox.folder / "given.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    run = invox.run(None, f"{option}={file}")
    assert run.code == 1
    (error,) = run.errors
    assert sentence in error
    assert "Traceback" not in run.err


def test_discover_and_about_need_no_settings(tmp_path):
    """Neither network nor credentials nor a file."""
    for option in ("--discover", "--about", "--about --format=json", "--about --format=markdown"):
        done = subprocess.run(
            [Path(sys.executable).with_name("tap-invox"), *option.split()],
            capture_output=True,
            cwd=tmp_path,
            check=True,
        )
        assert b"Traceback" not in done.stderr
        assert b"calls" in done.stdout
    assert TapInvox(validate_config=False).catalog_dict["streams"][0]["key_properties"] == [
        "call_id"
    ]


@pytest.mark.usefixtures("covered")
@pytest.mark.parametrize(
    ("key", "code", "errors"), [(None, 0, []), ("wrong", 1, ["INVOX refuses the credentials"])]
)
def test_the_connection_test_reads_one_call(invox, key, code, errors):
    """``--test`` ends as any run does."""
    run = invox.run(None, "--test", **({"api_key": key} if key else {}))
    assert (run.code, len(run.ids)) == (code, 1 - code)
    assert [error[:29] for error in run.errors] == errors
    assert "Traceback" not in run.err


def test_no_log_line_has_a_number_a_key_or_a_query(invox, began):
    """All levels, over faults and values that do not fit."""
    known = invox.run()
    callers = {r["caller"] for r in known.records() if r["caller"]}
    invox.sandbox.faults(
        "invox",
        *({"fault": fault, "times": 1} for fault in ("503", "cut_json", "html", "binary")),
    )
    run = invox.run(environment={"LOGLEVEL": "DEBUG"})
    assert run.code == 0
    assert sum(invox.sandbox.fired("invox").values()) == 4
    said = run.err + known.err + invox.run(start_date=began, api_key="secret-4711").err
    assert "asking again" in said
    assert callers
    assert not [number for number in callers if number in said]
    assert INVOX_API_KEY not in said
    assert "secret-4711" not in said
    assert "from_date" not in said


def test_what_does_not_fit_is_told_once_by_name(invox_at, monkeypatch):
    """One warning a run for each kind, with counts."""
    monkeypatch.setattr("call_sandbox.vendors.invox.national", lambda number: [number])
    with Sandbox(calls=50, seed=1) as sandbox:
        run = invox_at(sandbox).run()
    assert run.code == 0
    warnings = [line for line in run.err.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "'receivingnumber' (50 calls)" in warnings[0]
    assert len(run.ids) == 50


@pytest.mark.usefixtures("uncovered")
def test_memory_is_flat(tmp_path):
    """Peak memory of everything in one answer: less than 200 bytes are kept of a call."""
    few, many = peak(10_000, tmp_path), peak(30_000, tmp_path)
    assert many - few < 200 * 20_000 / 1024


@pytest.mark.long
@pytest.mark.usefixtures("uncovered")
def test_memory_is_flat_up_to_a_million(tmp_path):
    """The same at 10^6 calls."""
    assert peak(1_000_000, tmp_path) < 1.2 * peak(10_000, tmp_path)


def peak(calls: int, folder) -> int:
    """Peak resident memory of a run without start_date, in kB."""
    script = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    with Sandbox(calls=calls, seed=1) as sandbox:
        settings = {"api_key": INVOX_API_KEY, "api_url": f"{sandbox.url}/invox"}
        config = folder / "config.json"
        config.write_text(json.dumps(settings | {"request_timeout": 120}))
        tap = [sys.executable, "-m", "tap_invox", f"--config={config}"]
        done = subprocess.run([sys.executable, "-c", script, *tap], capture_output=True, check=True)
    kilobytes = int(json.loads(done.stdout))
    LOG.warning("peak at %d calls: %d kB", calls, kilobytes)
    return kilobytes
