"""The target as a whole: on the wire, on the command line, killed, and under the SDK's tests."""

from __future__ import annotations

import io
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from singer_sdk.testing import get_target_test_class

from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.testing import lines, record, schema, state
from singer_calls.deliver import markdown
from target_invoca_calls.call import PARAMETERS
from target_invoca_calls.target import TargetInvocaCalls

pytestmark = pytest.mark.usefixtures("covered")
PHONE = "+442079460018"
README = (Path(__file__).parents[1] / "README.md").read_text()
CAMPAIGN = "advertiser_campaign_id_from_network"


def call(n=1, **parameters):
    start = datetime(2026, 9, 10, 22, 55, 32, tzinfo=UTC) + timedelta(seconds=61 * (n - 1))
    return {
        "external_call_unique_id": str(n),
        "start_time": start.isoformat(),
        "destination_phone_number": "+18885551212",
        "calling_phone_number": PHONE,
        "recording_url": f"https://recordings.example/{n}.wav",
    } | parameters


def assert_silent(run):
    """Neither a customer's number nor a token in anything printed."""
    for secret in (PHONE[1:], INVOCA_TOKEN, "wrong-token", "Traceback"):
        assert secret not in run.out + run.err


def test_a_call_goes_out_whole_and_once(run, sandbox):
    """As JSON, to the documented path, the token in the header only."""
    sandbox.switches("invoca", token="header")
    done = run([call(1, signals={"Sale": "yes"}, custom_data={"channel": "Social"}), call(2)])
    assert (done.code, done.states[-1]) == (0, 2)
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:2": 1}
    first = sandbox.journal("invoca")[0]
    assert (first["method"], first["path"]) == ("POST", "/invoca/api/2022-03-01/calls.json")
    assert first["query"] == {}
    assert first["json"] == {
        "call": {
            "external_call_unique_id": "invox:1",
            "start_time": "1789080932000",
            "destination_phone_number": "+18885551212",
            "calling_phone_number": PHONE,
            CAMPAIGN: 85,
            "call_direction": "inbound",
            "recording_url": "https://recordings.example/1.wav",
        },
        "signals": [{"name": "Sale", "value": 1}],
        "custom_data": [{"name": "channel", "value": "Social"}],
    }
    assert_silent(done)


@pytest.mark.parametrize("processing", [0, 3600])
def test_what_invoca_already_has_is_a_duplicate(run, sandbox, tmp_path, processing):
    """By its own books, when ours are gone: 202 while it processes the call, 409 after."""
    sandbox.switches("invoca", processing=processing)
    run([call(1)])
    (tmp_path / "target-invoca-calls.ledger.db").unlink()
    done = run([call(1), call(2)])
    assert (done.code, done.states[-1]) == (0, 2)
    statuses = [entry["status"] for entry in sandbox.journal("invoca")]
    assert statuses == [201, 202 if processing else 409, 201]
    assert "duplicate=1" in done.err
    assert done.set_aside() == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"oauth_token": ...}, "Setting oauth_token is missing: set it."),
        ({"oauth_token": ""}, "Setting oauth_token is empty: set it."),
        ({"oauth_token": "Bearer wrong-token"}, "Setting oauth_token holds a space"),
        ({"oauth_token": "wrong-token\n"}, "Setting oauth_token holds a space, a line break"),
        ({"api_url": "http://foreign.example"}, "Setting api_url must begin with https://"),
        ({"call_direction": "sideways"}, "Setting call_direction must be one of inbound, outbound"),
        ({"language_code": "ro-RO"}, "Setting language_code must be one of en-US"),
        ({"default_country": "UK"}, "Setting default_country must be an ISO 3166"),
        ({"oauth_token": "wrong-token"}, "Invoca refused oauth_token: correct it"),
    ],
)
def test_a_wrong_setting_ends_in_one_sentence(run, sandbox, wrong, sentence):
    """Exit code 1, what and where and what to do, and nothing delivered or lost."""
    done = run([call(1)], **wrong)
    assert done.code == 1
    assert len(done.errors) == 1
    assert sentence in done.errors[0]
    assert done.states == []
    assert sandbox.books("invoca") == {}
    assert done.set_aside() == []
    assert_silent(done)


def test_a_refused_campaign_costs_its_own_calls_only(run, sandbox):
    """Without access, of the wrong type, without transcription; with Invoca's remedy."""
    calls = [call(n, **{CAMPAIGN: campaign}) for n, campaign in enumerate((99, 87, 88, 85), 1)]
    done = run(calls, max_rejected_percent=90)
    assert sandbox.books("invoca") == {"invox:4": 1}
    aside = [record.pop("rejected") for record in done.set_aside()]
    assert {one["field"] for one in aside} == {CAMPAIGN}
    reasons = " ".join(one["reason"] for one in aside)
    for remedy in ("a token of a user who has", "of type ExternalOnly", "Signal AI or a Voice Si"):
        assert remedy in reasons


def test_a_network_without_ingestion_ends_the_run(run, sandbox):
    """With whom to ask."""
    sandbox.switches("invoca", ingestion="disabled")
    done = run([call(1)])
    assert (done.code, done.states, done.set_aside()) == (1, [], [])
    assert "questions@invoca.com" in done.errors[0]


def test_wrong_calls_are_set_aside_by_field_and_the_rest_is_delivered(run, sandbox):
    """Found by us or by Invoca, each as it came, with its field."""
    wrong = {
        "external_call_unique_id": call(2, external_call_unique_id=None),
        "recording_url": call(3, recording_url=""),
        "calling_phone_number": call(4, calling_phone_number="+40722000111"),
        "language_code": call(5, language_code="ro-RO"),
        "signals": call(6, signals={f"s{n}": 1 for n in range(101)}),
        "custom_data": call(7, custom_data={"shoe_size": "44"}),
        "start_time": call(8, start_time="the other day"),
    }
    done = run([call(1), *wrong.values(), call(9)], max_rejected_percent=90)
    assert (done.code, done.states[-1]) == (0, 9)
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:9": 1}
    aside = {record.pop("rejected")["field"]: record for record in done.set_aside()}
    assert aside == wrong
    assert_silent(done)


def test_two_calls_with_one_id_are_told_from_one_that_comes_twice(run, sandbox):
    """The second of two is rejected by the id; what comes again with more detail is known."""
    other = call(1, start_time="2026-09-10T23:00:00Z")
    done = run([call(1), call(1, signals={"sale": 1}), other, call(2)], max_rejected_percent=90)
    (aside,) = done.set_aside()
    assert aside.pop("rejected")["field"] == "external_call_unique_id"
    assert aside == other
    assert "updated=1" in done.err
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:2": 1}


def test_a_rejected_call_is_replayed_after_the_fix(run, sandbox, tmp_path):
    """From the file as it lies there."""
    run([call(1, calling_phone_number="+40722000111"), call(2)], max_rejected_percent=90)
    (file,) = (tmp_path / "rejected").glob("*.singer.jsonl")
    sandbox.switches("invoca", countries="all")
    done = run([], "--input", str(file), allow_other_countries=True)
    assert done.code == 0
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:2": 1}


@pytest.mark.parametrize("fault", ["late 3", "reset_after_body", "504", "500", "html", "empty"])
def test_a_call_of_unknown_fate_is_sent_again_with_one_effect(run, sandbox, fault):
    """Invoca dedupes on our key."""
    sandbox.script("invoca", {"invox:1": [fault]})
    done = run([call(1), call(2)], request_timeout=1)
    assert (done.code, done.states[-1]) == (0, 2)
    assert sandbox.fired("invoca") == {fault: 1}
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:2": 1}
    assert done.set_aside() == []


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize("times", [8, pytest.param(25, marks=pytest.mark.long)])
def test_kills_lose_no_call_and_double_none(start, ended, sandbox, times):
    """Killed after a random number of requests, each time resumed from the last STATE."""
    seed = random.randrange(10**6)  # noqa: S311
    dice = random.Random(seed)  # noqa: S311
    calls = [call(n) for n in range(1, 48 * times + 1)]
    sandbox.faults("invoca", "latency 5-40")
    kills = resumed = seen = 0
    while kills < times:
        run = start(calls[resumed:], first=resumed + 1)
        until, deadline = seen + dice.randint(1, 60), time.monotonic() + 30
        while seen < until and run.running and time.monotonic() < deadline:
            time.sleep(dice.random() / 100)
            seen += len(sandbox.journal("invoca", since=seen))
        assert run.running, f"seed {seed}: ended before kill {kills + 1}"
        killed = ended(run.kill())
        kills += 1
        resumed = max([resumed, *killed.states])
        emitted = {f"invox:{n}" for n in range(1, resumed + 1)}
        assert emitted <= sandbox.books("invoca").keys(), f"seed {seed}: lost at kill {kills}"
    done = ended(start(calls[resumed:], first=resumed + 1))
    assert (done.code, done.states[-1]) == (0, len(calls)), f"seed {seed}"
    assert sandbox.books("invoca") == {f"invox:{n}": 1 for n in range(1, len(calls) + 1)}, (
        f"seed {seed}"
    )
    statuses = [entry["status"] for entry in sandbox.journal("invoca")]
    assert statuses.count(409) <= kills * 16, f"seed {seed}"


def test_a_dry_run_shows_calls_by_campaign_and_no_person(run, sandbox):
    """Numbers, recording, signals and custom data by their shape; nothing is sent."""
    done = run([call(1, custom_data={"agent": "Planted Name"}), call(2)], dry_run=True)
    assert (done.code, done.states, sandbox.journal("invoca")) == (0, [], [])
    assert "calling_phone_number=+############ " in done.err
    assert "call_direction=inbound" in done.err
    assert "        2  85\n" in done.err
    assert "Planted" not in done.err
    assert "recordings.example" not in done.err
    assert_silent(done)


def test_the_readme_s_mapping_makes_a_call_of_an_iovox_record(run, sandbox):
    """As printed there: swapped when outbound, without a recording filtered out."""
    mapping = yaml.safe_load(README.split("```yaml\n")[1].split("```")[0])
    record = {
        "id": 30683207599876,
        "call_start": "2024-02-26T04:39:59Z",
        "call_origin": "447598455773",
        "call_destination": "442035447179",
        "direction": "IN",
        "has_recording": True,
        "link_name": "green1",
        "tags": [{"text": "Test Drive", "colour": "GOLD"}],
    }
    outbound = record | {"id": 2, "direction": "OUT"}
    silent = record | {"id": 3, "has_recording": False}
    types = {"tags": {"type": "array"}}
    done = run([record, outbound, silent], types=types, **mapping)
    assert done.code == 0, done.set_aside()
    first, second = sorted(
        (entry["json"] for entry in sandbox.journal("invoca")),
        key=lambda sent: sent["call"]["call_direction"],
    )
    assert first["call"]["external_call_unique_id"] == "iovox:30683207599876"
    assert first["call"]["calling_phone_number"] == "+447598455773"
    assert first["call"]["recording_url"] == "https://files.example/iovox/30683207599876.mp3"
    assert first["signals"] == [{"name": "Test Drive", "value": 1}]
    assert first["custom_data"] == [{"name": "link_name", "value": "green1"}]
    assert second["call"]["calling_phone_number"] == "+442035447179"
    assert second["call"]["call_direction"] == "outbound"


def test_a_dry_run_sends_nothing(run, sandbox):
    """It says what it would have done."""
    done = run([call(1), call(2, recording_url=None)], dry_run=True, max_rejected_percent=90)
    assert (done.code, done.states) == (0, [])
    assert sandbox.journal("invoca") == []


def test_the_readme_has_the_table_of_parameters():
    """Between its markers, as call.py has it."""
    shown = README.split("<!-- parameters -->")[1].split("<!-- /parameters -->")[0]
    assert shown.strip() == markdown(PARAMETERS)


def test_about_needs_no_credentials_and_shows_none(run):
    """And says which settings are secret."""
    done = run([], "--about", "--format=json")
    about = json.loads(done.out)
    assert about["settings"]["properties"]["oauth_token"]["secret"] is True
    assert INVOCA_TOKEN not in done.out


CONFIG = {"oauth_token": "token", "max_rejected_percent": 100}


class TestStandard(get_target_test_class(TargetInvocaCalls, config=CONFIG)):
    """The SDK's suite; its streams hold no calls, so all of it ends in the rejected file."""

    @pytest.fixture(autouse=True)
    def surroundings(self, sandbox, tmp_path):
        """The sandbox, and files of this test's own."""
        CONFIG["api_url"] = f"{sandbox.url}/invoca"
        CONFIG["ledger_url"] = f"sqlite:///{tmp_path}/ledger.db"
        CONFIG["rejected_path"] = str(tmp_path / "rejected")

    def test_target_record_missing_key_property(self):
        """Here it costs the record, and not the run."""
        messages = [schema("calls", {}, keys=["id"]), record("calls", {}), state({"n": 1})]
        TargetInvocaCalls(config=CONFIG).listen(io.BytesIO(b"".join(lines(messages))))
        (file,) = Path(CONFIG["rejected_path"]).iterdir()
        assert json.loads(file.read_bytes().splitlines()[1])["set_aside"]["field"] == "id"
