"""tap-callrail as its users run it, before a CallRail of its own."""

from __future__ import annotations

import runpy
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from call_sandbox.testing import wait_until
from singer_calls.extract import SchemaDrift
from tap_callrail.records import record
from tap_callrail.tap import TapCallRail

ALL = {f"CAL{number}" for number in range(700)}


def ids(run):
    """The calls that a run emitted, in their order."""
    return [record["id"] for record in run.output.records("calls")]


def bookmarks(run):
    """Of the calls, oldest first."""
    marks = [state["bookmarks"].get("calls", {}) for state in run.output.states]
    return [mark["replication_key_value"] for mark in marks if mark]


@pytest.mark.parametrize(
    ("zone", "end_date"),
    [
        ("America/New_York", "inclusive"), ("America/New_York", "exclusive"),
        ("Pacific/Kiritimati", "exclusive"), ("Etc/GMT+12", "inclusive"),
    ],
)  # fmt: skip
def test_every_call_comes_once_however_dates_are_meant(tap, sandbox, zone, end_date):
    """In any zone, with the last day or without it; a bookmark after each window."""
    sandbox.switches("callrail", zone=zone, end_date=end_date)
    run = tap.run()
    assert run.code == 0, run.errors
    assert sorted(ids(run)) == sorted(ALL)
    assert bookmarks(run)[-1] == "2026-03-20T15:00:00Z"
    assert len(set(bookmarks(run))) == 3
    assert len(run.output.records("companies")) == 100


def test_what_is_sent_is_typed(tap, sandbox):
    """Times in UTC, seconds as numbers, tags by name in either form, nothing left over."""
    sandbox.switches("callrail", tags="object")
    run = tap.run()
    call = next(each for each in run.output.records("calls") if each["recording_duration"])
    assert call["start_time"].endswith("Z")
    assert (type(call["duration"]), type(call["answered"])) == (int, bool)
    assert (call["tags"], call["lead_status"], call["note"]) == (["Sale"], None, None)
    assert "WARNING" not in run.errors


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (["Sale"], ["Sale"]), ([{"id": 1, "name": "Sale"}], ["Sale"]), ([], []), (None, None),
        ("Sale", None), ({"name": "Sale"}, None),
    ],
)  # fmt: skip
def test_tags_are_a_list_of_names_or_nothing(tags, names):
    """What is no list costs the field, and is counted."""
    drift = SchemaDrift()
    call = record({"id": "CAL1", "tags": tags}, "calls", drift, ZoneInfo("UTC"))
    assert (call["id"], call["tags"]) == ("CAL1", names)
    assert drift.misfits == ({"tags": 1} if tags and names is None else {})


def test_the_module_is_the_command(monkeypatch, capsys):
    """For machines where scripts are not on the PATH."""
    monkeypatch.setattr("sys.argv", ["tap_callrail", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("tap_callrail", run_name="__main__")
    assert capsys.readouterr().out.startswith("tap-callrail")


def test_only_the_fields_that_are_selected_are_asked_for(tap, sandbox):
    """What comes on request makes an answer larger, and transcripts cost extra."""
    catalog = TapCallRail(config=tap.settings).catalog_dict
    catalog["streams"] = [each for each in catalog["streams"] if each["stream"] == "calls"]
    for entry in catalog["streams"][0]["metadata"]:
        path = entry["breadcrumb"]
        entry["metadata"]["selected"] = not path or path[-1] in {"id", "source", "duration"}
    run = tap.run((), f"--catalog={tap.file('catalog.json', catalog)}")
    queries = [dict(entry["query"]) for entry in sandbox.journal("callrail")]
    assert {query.get("fields") for query in queries} == {"source"}
    assert run.output.records("calls")[0].keys() == {"id", "source", "duration", "start_time"}


def test_a_fault_costs_a_try_and_no_call(tap, sandbox):
    """Each kind once, in the middle of the pages."""
    faults = ["429", "503 retry-after 0", "cut_json", "html", "reset_half_answer", "close_after"]
    rules = [{"fault": fault, "after": 2 * n, "times": 1} for n, fault in enumerate(faults, 1)]
    sandbox.faults("callrail", *rules)
    run = tap.run(window_days=7)
    assert run.code == 0, run.errors
    assert sandbox.fired("callrail") == dict.fromkeys(faults, 1)
    assert sorted(ids(run)) == sorted(ALL)


def test_a_killed_run_goes_on_at_its_last_bookmark(tap, sandbox):
    """All calls are in the two outputs together; what was saved is not read again."""
    sandbox.faults("callrail", {"fault": "late 60", "after": 6, "times": 1})
    killed = tap.start(window_days=10)
    wait_until(lambda: bookmarks(killed) and sandbox.fired("callrail"), "a window is saved")
    killed.kill().wait()
    saved = datetime.fromisoformat(bookmarks(killed)[-1])
    sandbox.reset()
    state = tap.file("state.json", killed.output.states[-1])
    resumed = tap.run((), f"--state={state}")
    assert resumed.code == 0, resumed.errors
    assert {*ids(killed), *ids(resumed)} == ALL
    asked = {dict(each["query"]).get("start_date", "9") for each in sandbox.journal("callrail")}
    assert min(asked) == str((saved - timedelta(days=7, hours=12)).date())


def test_a_tag_that_comes_late_is_read_again(tap):
    """Within the lookback, and no further."""
    tap.run()
    state = tap.file("state.json", tap.runs[-1].output.states[-1])
    again = tap.run((), f"--state={state}", end_date=...)
    first = min(record["start_time"] for record in again.output.records("calls"))
    assert "2026-03-13T15" <= first < "2026-03-14T15"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"api_key": "wrong"},
            "CallRail refuses the credentials (HTTP 401): check the setting api",
        ),
        ({"account_id": 7}, "CallRail doesn't know the account (HTTP 404): check the settings acc"),
        ({"start_date": "2023-01-01"}, "it keeps calls for 25 months, so see that start_date is"),
        ({"account_id": ...}, "Setting account_id is missing: set it."),
    ],
)
def test_what_the_user_can_correct_is_one_sentence(tap, changes, says):
    """No traceback, no value."""
    run = tap.run(**changes)
    assert run.code == 1
    (sentence,) = run.sentences
    assert says in sentence


def test_no_credential_goes_to_another_address(tap, sandbox):
    """A next page that lies elsewhere is not asked for."""
    sandbox.switches("callrail", next="elsewhere")
    run = tap.run()
    assert run.code == 1
    assert "CallRail names a next page at another address than its own" in run.sentences[0]


# The suite makes its taps from this; the address is known once CallRail is served.
CONFIG = {"api_key": "callrail-key-4711", "account_id": "ACC1", "requests_per_minute": 10_000}
CONFIG |= {"start_date": "2026-03-01", "end_date": "2026-03-10"}


@pytest.fixture(scope="module", autouse=True)
def _address(served):
    CONFIG["api_url"] = f"{served.url}/callrail"


TestTapCallRail = get_tap_test_class(
    TapCallRail, config=CONFIG, suite_config=SuiteConfig(max_records_limit=None)
)
