"""target-webhook as its users run it, before a receiver of its own."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path

import pytest
from singer_sdk.testing import get_target_test_class

from call_sandbox.testing import judge, lines, record, schema, state, wait_until
from singer_calls.deliver import markdown
from target_webhook.call import PARAMETERS
from target_webhook.target import TargetWebhook

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def call(n=1, **fields):
    """A call as a tap has it, with a field that is not ours."""
    return {
        "call_id": f"call-{n}",
        "start_time": f"2026-01-31T12:{n:02}:07+02:00",
        "caller": f"(415) 555-01{n:02}",
        "called": "+12125550199",
        "duration": "00:01:14",
        "gclid": "abc",
    } | fields


def messages(*calls):
    """Each call and a STATE after it."""
    yield schema("calls")
    for n, each in enumerate(calls, 1):
        yield from (record("calls", each), state({"n": n}))


def set_aside(target, kind="[!.]*"):
    """The records in the files of calls not delivered."""
    files = sorted((target.folder / "rejected").glob(f"{kind}.singer.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return [each["record"]["call_id"] for each in found if each["type"] == "RECORD"]


def test_a_call_goes_out_as_json_signed_and_once(target, sandbox):
    """Our fields in one form, all others as they came; run again, nothing is sent."""
    exact = call(1, amount=0.1, nested={"a": [1, None]}, _sdc_batched_at="x")
    run = target.run(messages(exact, call(2, caller="anonymous"), call(3, caller="Ana PLANTED")))
    assert run.code == 0, run.errors
    assert run.states[-1][1] == {"n": 3}
    first, second, third = (entry["json"] for entry in sandbox.journal("webhook"))
    assert first == {
        "call_id": "call-1", "start_time": "2026-01-31T10:01:07Z", "caller": "+14155550101",
        "called": "+12125550199", "duration": 74, "gclid": "abc", "amount": 0.1,
        "nested": {"a": [1, None]},
    }  # fmt: skip
    assert "caller" not in second
    assert third["caller"] == "Ana PLANTED"
    again = target.run(messages(exact, call(3, caller="Ana PLANTED", gclid="new")))
    assert "unchanged=1 changed=1" in again.errors
    assert len(sandbox.journal("webhook")) == 3


def test_every_success_is_an_accepted_call(target, sandbox):
    """Whatever is in its body."""
    statuses = [200, 201, 202, 204, 299]
    answers = {f"call-{n}": [f"processed {status}"] for n, status in enumerate(statuses, 1)}
    sandbox.script("webhook", answers)
    run = target.run(messages(*(call(n) for n in range(1, 6))))
    assert "accepted=5" in run.errors
    assert sorted(entry["status"] for entry in sandbox.journal("webhook")) == statuses


def test_what_the_receiver_refuses_is_set_aside_and_the_run_goes_on(target, sandbox):
    """4xx is about one call; so is what can't be a call at all."""
    bad = [call(2, caller=None), call(3, call_id=None), call(4, start_time="soon")]
    run = target.run(messages(call(1), *bad, call(5)))
    assert run.code == 0, run.errors
    assert sandbox.books("webhook") == {"call-1": 1, "call-5": 1}
    assert sorted(map(str, set_aside(target))) == ["None", "call-2", "call-4"]


def test_a_poisoned_record_costs_itself(target, sandbox):
    """What JSON has no form for is set aside, what is odd goes along; neither ends the run."""
    poison = [
        call(2, amount=float("nan")), call(3, call_id=["a"]), call(4, call_id="x" * 600),
        call(5, duration="1e1000000"), call(6, call_id=True, start_time=7),
        call(7, note="\ud800"),
    ]  # fmt: skip
    odd = [
        call(8, deep=[[[[{}]]]]),
        call(9, caller={"a": 1}),
        call(10, called=7),
    ]
    run = target.run(messages(call(1), *poison, *odd, call(11)))
    assert run.code == 0, run.errors
    taken = {"call-1", "call-8", "call-10", "call-11"}
    assert set(sandbox.books("webhook")) == taken
    assert len(set_aside(target)) == 7
    assert run.states[-1][1] == {"n": 11}


def test_what_was_certainly_not_taken_is_sent_again(target, sandbox):
    """Also by a receiver who takes a call twice."""
    faults = ["408", "429 retry-after 0", "503"]
    sandbox.script("webhook", {f"call-{n}": [fault] for n, fault in enumerate(faults, 1)})
    run = target.run(messages(*(call(n) for n in range(1, 4))))
    assert run.code == 0, run.errors
    assert sandbox.books("webhook") == {"call-1": 1, "call-2": 1, "call-3": 1}
    assert len(sandbox.journal("webhook")) == 6


@pytest.mark.parametrize(
    ("fault", "setting"), [("processed 500", "hold"), ("reset_after_body", "retry")]
)
def test_after_an_unknown_outcome_the_setting_decides(target, sandbox, fault, setting):
    """Held for a person; or sent again, where the receiver knows the idempotency key."""
    sandbox.switches("webhook", dedupes="409")
    sandbox.script("webhook", {"call-1": [fault]})
    run = target.run(messages(call(1), call(2)), on_unknown_outcome=setting)
    assert run.code == 0, run.errors
    assert sandbox.books("webhook") == {"call-1": 1, "call-2": 1}
    assert set_aside(target) == (["call-1"] if setting == "hold" else [])
    assert len(sandbox.journal("webhook")) == (2 if setting == "hold" else 3)


def test_a_killed_target_loses_no_call_and_doubles_none(target, sandbox):
    """What was under way is held by the next run; all others are delivered."""
    calls = [call(n) for n in range(1, 9)]
    sandbox.script("webhook", {"call-3": ["late 60"]})
    killed = target.start().feed(messages(*calls))
    wait_until(lambda: len(sandbox.books("webhook")) == 8, "the calls are at the receiver")
    killed.kill().wait()
    again = target.run(messages(*calls))
    assert again.code == 0, again.errors
    keys = [each["call_id"] for each in calls]
    verdict = judge(keys, sandbox.journal("webhook"), set_aside(target))
    assert (verdict.lost, verdict.doubled) == (set(), set())


def test_two_addresses_of_one_host_are_two_receivers(target, sandbox):
    """Who sends a call to both does not send it twice; a path is in no log."""
    target.run(messages(call(1)))
    run = target.run(messages(call(1)), api_url=f"{sandbox.url}/hook/others")
    assert "accepted=1" in run.errors
    assert "/hook/" not in run.errors


def test_one_id_for_two_calls_is_told_and_two_ids_for_one_call_too(target, sandbox):
    """The promise of all targets: who a call is, whatever its id."""
    run = target.run(messages(call(1), call(2, call_id="call-1")))
    assert "another call has this id" in run.errors
    other = target.run(messages(call(1, call_id="new-prefix")))
    assert "delivered under another id" in other.errors
    assert sandbox.books("webhook") == {"call-1": 1}


def test_a_dry_run_sends_nothing_and_shows_no_caller(target, sandbox):
    """It counts by partner."""
    run = target.run(messages(call(1, partner="ACME"), call(2, partner="ACME")), dry_run=True)
    assert run.code == 0
    assert "2  ACME" in run.errors
    assert sandbox.journal("webhook") == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signing_secret": "wrong"}, "The vendor refused the credentials"),
        ({"signing_secret": ...}, "The vendor refused the credentials"),
        ({"api_url": ...}, "Setting api_url is missing: set it."),
        ({"api_url": "https://hooks.example/?token=1"}, "no query, no credentials in it"),
    ],
)
def test_what_the_user_can_correct_is_one_sentence(target, changes, says):
    """And nothing is rejected for it."""
    run = target.run(messages(call(1)), **changes)
    assert run.code == 1
    (sentence,) = run.sentences
    assert says in sentence
    assert set_aside(target) == []


def test_never_more_than_the_receiver_allows_in_a_second(target, sandbox):
    """By the receiver's own clock."""
    target.run(messages(*(call(n) for n in range(1, 6))), requests_per_second=2)
    at = [entry["at_monotonic"] for entry in sandbox.journal("webhook")]
    assert all(later - first >= 1 for first, later in zip(at, at[2:], strict=False))


def test_the_module_is_the_command(monkeypatch, capsys):
    """For machines where scripts are not on the PATH."""
    monkeypatch.setattr("sys.argv", ["target_webhook", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("target_webhook", run_name="__main__")
    assert capsys.readouterr().out.startswith("target-webhook")


def test_the_readme_has_the_table_of_fields():
    """As call.py has it."""
    shown = README.split("<!-- parameters -->")[1].split("<!-- /parameters -->")[0]
    assert shown.strip() == markdown(PARAMETERS)


CONFIG = {"api_url": "https://hooks.example/", "max_rejected_percent": 100}


class TestStandard(get_target_test_class(TargetWebhook, config=CONFIG)):
    """The SDK's suite; its streams hold no calls, so all of it is set aside."""

    @pytest.fixture(autouse=True)
    def surroundings(self, sandbox, tmp_path):
        """The receiver, and files of this test's own."""
        CONFIG["api_url"] = f"{sandbox.url}/hook/calls"
        CONFIG["ledger_url"] = f"sqlite:///{tmp_path}/ledger.db"
        CONFIG["rejected_path"] = str(tmp_path / "rejected")

    def test_target_record_missing_key_property(self):
        """Here it costs the record, and not the run."""
        sent = [schema("calls", {}, keys=["id"]), record("calls", {}), state({"n": 1})]
        TargetWebhook(config=CONFIG).listen(io.BytesIO(b"".join(lines(sent))))
        assert list(Path(CONFIG["rejected_path"]).iterdir())
