"""The target as a whole: on the wire, on the command line, and under the SDK's own tests."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from singer_sdk.testing import get_target_test_class

from call_sandbox.credentials import IMPACT_PASSWORD
from call_sandbox.testing import lines, record, schema, state
from singer_calls.deliver import markdown
from target_impact_calls import status
from target_impact_calls.call import PARAMETERS
from target_impact_calls.target import TargetImpactCalls

pytestmark = pytest.mark.usefixtures("covered")
PHONE = "+18055550100"
DIGITS = "8055550100"
README = (Path(__file__).parents[1] / "README.md").read_text()


def call(n=1, **parameters):
    return {
        "EventDate": "2026-09-10T22:55:32Z",
        "CallSessionId": f"call-{n}",
        "CallerId": PHONE,
        "CalledPhoneNumber": "805-555-1234",
        "CallDuration": 60,
        "CallStatus": "Answered",
    } | parameters


def assert_silent(run):
    """Neither a caller's number nor a credential in anything printed."""
    for secret in (DIGITS, IMPACT_PASSWORD, "wrong-password", "Traceback"):
        assert secret not in run.out + run.err


def test_a_call_goes_out_whole_and_once(run, sandbox):
    """As a form in the body, to the documented path, its STATE after it."""
    done = run([call(1), call(2)])
    assert (done.code, done.states[-1]) == (0, 2)
    assert sandbox.books("impact") == {"call-1": 1, "call-2": 1}
    first = sandbox.journal("impact")[0]
    assert (first["method"], first["path"]) == ("POST", "/impact/calldata/logCallData")
    assert first["query"] == {}
    assert first["form"] == {
        "CampaignId": "1000",
        "MediaId": "10000",
        "EventDate": "2026-09-10T22:55:32+00:00",
        "ActionTrackerId": "4000",
        "CallProvider": "INVOX",
        "CallSessionId": "call-1",
        "CallerId": PHONE,
        "CalledPhoneNumber": "8055551234",
        "CallDuration": "60",
        "TalkDuration": "60",
        "CallStatus": "ANSWER",
        "CallerPhoneNumberCountry": "US",
        "CalledPhoneNumberCountry": "US",
    }
    assert_silent(done)


def test_a_second_run_sends_nothing_again(run, sandbox):
    """Not even a call that changed: impact.com has no update."""
    run([call(1), call(2)])
    third = call(3, EventDate="2026-09-10T23:10:05Z")
    done = run([call(1), call(2, CallDuration=61), third])
    assert done.code == 0
    assert sandbox.books("impact") == {"call-1": 1, "call-2": 1, "call-3": 1}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"password": ...}, "Setting password is missing: set it."),
        ({"password": ""}, "Setting password is empty: set it."),
        ({"username": "a:b"}, "Setting username holds a colon"),
        ({"api_url": "http://foreign.example"}, "Setting api_url must begin with https://"),
        ({"on_error": "explode"}, "Setting on_error must be one of skip, fail."),
        ({"campaign_id": "x"}, "Setting campaign_id must be of type integer."),
        ({"default_country": "UK"}, "Setting default_country"),
        ({"call_status_map": {"Sunat": "MAYBE"}}, "Setting call_status_map.Sunat must be one of"),
        (
            {"call_status_map": {"No-show": "CANCEL", "no show": "FAILURE"}},
            "Setting call_status_map.no show has two meanings",
        ),
        (
            {"call_status_map": {"Bridged": "ANSWER"}},
            "Setting call_status_map.Bridged says that the call still goes on",
        ),
        ({"stream_maps": {"calls": {"CallerId": "("}}}, "The mapping in stream_maps is wrong"),
        (
            {"stream_maps": {"calls": {"__else__": None, "__key_properties__": ["id"]}}},
            "Name mapped ones in __key_properties__",
        ),
        ({"password": "wrong-password"}, "impact.com refused the credentials: correct username"),
    ],
)
def test_a_wrong_setting_ends_in_one_sentence(run, sandbox, wrong, sentence):
    """Exit code 1, what and where and what to do, and nothing delivered or lost."""
    done = run([call(1)], **wrong)
    assert done.code == 1
    assert len(done.errors) == 1
    assert sentence in done.errors[0]
    assert done.states == []
    assert sandbox.books("impact") == {}
    assert done.set_aside() == []
    assert_silent(done)


def test_wrong_calls_are_set_aside_by_field_and_the_rest_is_delivered(run, sandbox):
    """Each is in the rejected file as it came, with its field; the log counts them."""
    wrong = {
        "CallSessionId": call(2, CallSessionId=None),
        "CallerId": call(3, CallerId=""),
        "CallProvider": call(4, CallProvider="x" * 65),
        "EventDate": call(5, EventDate="the other day"),
        "CallStatus": call(6, CallStatus="Transferat"),
        "CallDuration": call(7, CallDuration=-1),
    }
    done = run([call(1), *wrong.values(), call(8)], max_rejected_percent=90)
    assert (done.code, done.states[-1]) == (0, 8)
    assert sandbox.books("impact") == {"call-1": 1, "call-8": 1}
    aside = done.set_aside()
    assert {record["rejected"]["field"]: record["CallSessionId"] for record in aside} == {
        field: record["CallSessionId"] for field, record in wrong.items()
    }
    assert "rejected=6" in done.err
    assert_silent(done)


def test_a_wrong_call_may_be_set_aside_in_a_bucket(run, bucket, sandbox):
    """As an object that a run takes as it is; the log says where."""
    done = run([call(1), call(2, CallerId="")], rejected_path=bucket.url, max_rejected_percent=90)
    assert (done.code, done.states[-1]) == (0, 2)
    assert sandbox.books("impact") == {"call-1": 1}
    ((name, content),) = bucket.objects.items()
    assert json.loads(content.splitlines()[-1])["record"] == call(2, CallerId="")
    assert f"Rejected calls are in {bucket.url}/{name[: -len('1.singer.jsonl')]}*" in done.err
    assert_silent(done)


def test_two_calls_with_one_id_are_told_from_one_that_comes_twice(run, sandbox):
    """The second of two is rejected by the id; what comes again with more detail is known."""
    other = call(1, CallerId="+18055550101")
    done = run([call(1), call(1, SaleAmount=5), other, call(2)], max_rejected_percent=90)
    (aside,) = done.set_aside()
    assert aside.pop("rejected")["field"] == "CallSessionId"
    assert aside == other
    assert "changed=1" in done.err
    assert sandbox.books("impact") == {"call-1": 1, "call-2": 1}


def test_a_run_that_rejects_too_much_fails_with_all_of_it_set_aside(run, sandbox):
    """Something is wrong with the mapping: the exit code says so, the calls are not lost."""
    bad = [call(2, CallerId=""), call(3, CallerId="")]
    done = run([call(1), *bad], max_rejected_percent=1)
    assert (done.code, done.states[-1]) == (1, 3)
    assert len(done.set_aside()) == 2
    assert "More than 1 % of the calls were rejected" in done.errors[0]
    assert sandbox.books("impact") == {"call-1": 1}


def test_what_is_only_remarked_is_said_once(run, sandbox):
    """However many calls it holds for."""
    records = [call(n, Zip="SW1A", utm_source="x", CallStatus="Transferat") for n in (1, 2)]
    done = run(records, on_unknown_status="FAILURE")
    assert len(sandbox.books("impact")) == 2
    for warning in ("Zip must be digits", "utm_source is no parameter", "sent as FAILURE"):
        assert done.err.count(warning) == 1


def test_the_vendor_s_refusal_is_set_aside_with_its_field(run, sandbox):
    """impact.com's own check knows more than ours; its text is not passed on."""
    sandbox.switches("impact", called_number="all")
    done = run([call(1, CalledPhoneNumber="+40312000222"), call(2)], max_rejected_percent=90)
    (aside,) = done.set_aside()
    assert aside["rejected"]["field"] == "CalledPhoneNumber"
    assert aside["rejected"]["status"] == 400
    assert sandbox.books("impact") == {"call-2": 1}
    assert_silent(done)


@pytest.mark.parametrize("fault", ["html", "empty", "binary", "huge", "late 3", "reset_after_body"])
def test_a_call_of_unknown_fate_is_held_and_not_sent_again(run, sandbox, fault):
    """The vendor may have it, and would pay it twice."""
    sandbox.script("impact", {"call-1": [fault]})
    done = run([call(1), call(2)], max_rejected_percent=90, request_timeout=1)
    assert done.states[-1] == 2
    assert sandbox.fired("impact") == {fault: 1}
    assert [record["CallSessionId"] for record in done.set_aside("held.singer.jsonl")] == ["call-1"]
    assert "held.singer.jsonl: see at the vendor whether they arrived" in done.err
    assert sandbox.books("impact").get("call-1", 0) <= 1
    assert_silent(done)


def test_a_dry_run_sends_nothing(run, sandbox):
    """It says what it would have done."""
    done = run([call(1), call(2, CallerId=None)], dry_run=True, max_rejected_percent=90)
    assert (done.code, done.states) == (0, [])
    assert sandbox.journal("impact") == []


def test_the_readme_s_mapping_makes_a_call_of_an_invox_record(run, sandbox):
    """As printed there, with a call that goes on filtered out."""
    mapping = yaml.safe_load(README.split("```yaml\n")[1].split("```")[0])
    record = {
        "call_id": 1284411,
        "date": "2024-03-14T08:22:31Z",
        "duration": 74,
        "status": "Answered",
        "caller": "0722000111",
        "receivingnumber": "0312000222",
        "destinationnumber": None,
        "recording_uri": "https://app.invox.eu/player/1",
    }
    calling = record | {"call_id": 1284412, "status": "Calling"}
    types = {"duration": {"type": ["integer", "null"]}}
    done = run([record, calling], types=types, media_id=..., **mapping)
    assert done.code == 0
    (sent,) = (entry["form"] for entry in sandbox.journal("impact"))
    assert (sent["CallSessionId"], sent["MediaId"]) == ("invox:1284411", "10000")
    assert (sent["CallerId"], sent["CalledPhoneNumber"]) == ("+40722000111", "312000222")
    assert sent["TalkDuration"] == "74"


def test_the_readme_has_the_table_of_parameters():
    """Between its markers, as call.py has it."""
    shown = README.split("<!-- parameters -->")[1].split("<!-- /parameters -->")[0]
    assert shown.strip() == markdown(PARAMETERS)


def test_the_readme_s_words_are_the_program_s():
    """A word is looked up there before it is mapped."""
    shown = README.split("<!-- statuses -->")[1].split("<!-- /statuses -->")[0]
    assert shown.strip() == status.markdown()


def test_about_needs_no_credentials_and_shows_none(run):
    """And says which settings are secret."""
    done = run([], "--about", "--format=json")
    about = json.loads(done.out)
    assert about["settings"]["properties"]["password"]["secret"] is True
    assert IMPACT_PASSWORD not in done.out


CONFIG = {
    "username": "user",
    "password": "password",
    "max_rejected_percent": 100,
}


class TestStandard(get_target_test_class(TargetImpactCalls, config=CONFIG)):
    """The SDK's suite; its streams hold no calls, so all of it ends in the rejected file."""

    @pytest.fixture(autouse=True)
    def surroundings(self, sandbox, tmp_path):
        """The sandbox, and files of this test's own."""
        CONFIG["api_url"] = f"{sandbox.url}/impact"
        CONFIG["ledger_url"] = f"sqlite:///{tmp_path}/ledger.db"
        CONFIG["rejected_path"] = str(tmp_path / "rejected")

    def test_target_record_missing_key_property(self):
        """Here it costs the record, and not the run."""
        messages = [schema("calls", {}, keys=["id"]), record("calls", {}), state({"n": 1})]
        TargetImpactCalls(config=CONFIG).listen(io.BytesIO(b"".join(lines(messages))))
        (file,) = Path(CONFIG["rejected_path"]).iterdir()
        assert json.loads(file.read_bytes().splitlines()[1])["set_aside"]["field"] == "id"


@pytest.mark.parametrize(
    ("content", "says"), [(None, "can't be read: no such file"), ("{", "is not a JSON file")]
)
def test_a_configuration_that_is_no_json_file_is_a_usage_error(command, tmp_path, content, says):
    """One sentence and the usage, no traceback."""
    file = tmp_path / "settings.json"
    if content:
        file.write_text(content)
    done = subprocess.run([command, "--config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
