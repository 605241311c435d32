"""Exports of call systems, through a tap of files, into both targets.

Column names are the systems' own (CSV of Twilio, Asterisk, 3CX and CallRail, fields of Ringba's
call log), all rows invented.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import IMPACT_PASSWORD, IMPACT_USERNAME, INVOCA_TOKEN
from call_sandbox.testing import Plugin

HERE = Path(__file__).parent
# Export -> what it calls the parts of a call.
PARTS = {
    "twilio": {
        "id": "call_sid", "start": "date", "caller": "_['from']", "called": "to",
        "duration": "duration", "talk": "None", "status": "status", "sale": "None",
        "recording": "'https://r.example/' + call_sid",
    },
    "asterisk": {
        "id": "'ast:' + uniqueid", "start": "start", "caller": "src", "called": "dst",
        "duration": "duration", "talk": "billsec", "status": "disposition", "sale": "None",
        "recording": "'https://r.example/' + uniqueid",
    },
    "threecx": {
        "id": "callid", "start": "time_start", "caller": "from_no", "called": "to_no",
        "duration": "duration", "talk": "duration if time_answered else 0",
        "status": "reason_terminated", "sale": "None",
        "recording": "'https://r.example/' + callid",
    },
    "callrail": {
        "id": "call_id", "start": "start_time", "caller": "phone_number",
        "called": "tracking_number", "duration": "duration_seconds or 0", "talk": "None",
        "status": "call_status", "sale": "value or 0", "recording": "call_recording",
    },
    "ringba": {
        "id": "inbound_call_id", "start": "call_dt", "caller": "inbound_phone_number",
        "called": "number", "duration": "call_length_in_seconds",
        "talk": "connected_call_length_in_seconds",
        "status": "'Answered' if has_connected == 'True' else 'No answer'",
        "sale": "float(conversion_amount) * 1", "recording": "recording_url",
    },
}  # fmt: skip
IMPACT = {
    "CallSessionId": "id", "EventDate": "start", "CallerId": "caller", "CallDuration": "duration",
    "CalledPhoneNumber": "called", "TalkDuration": "talk", "CallStatus": "status",
    "SaleAmount": "sale",
}  # fmt: skip
INVOCA = {
    "external_call_unique_id": "id", "start_time": "start", "calling_phone_number": "caller",
    "destination_phone_number": "called", "recording_url": "recording",
}  # fmt: skip
# Caller, seconds, seconds of talk, status, amount; of the calls that impact.com is told of.
TOLD = {
    "CA01": ("+18055550101", "74", "74", "ANSWER", None),
    "CA03": ("+18055550102", "0", "0", "CANCEL", None),
    "ast:1769851800.1": ("+18055550101", "70", "66", "ANSWER", None),
    "ast:1769852400.1": ("+18055550103", "9", "0", "CONGESTION", None),
    "ast:1769856900.1": ("+18055550104", "0", "0", "CONGESTION", None),
    "89d3af2d8f010000_3456": ("+18055550101", "490", "490", "ANSWER", None),
    "89d3af2d8f010000_3457": ("+18055550102", "5", "0", "CANCEL", None),
    "CAL01": ("+18055550101", "74", "74", "ANSWER", "120.50"),
    "CAL02": ("+18055550102", "12", "0", "CANCEL", "0"),
    "CAL05": ("+442079460018", "40", "0", "IVR_DROPOFF", "0"),
    "RGB01": ("+18055550101", "74", "60", "ANSWER", "0.30"),
    "RGB02": ("+18055550102", "26", "0", "CANCEL", "0"),
    "RGB04": ("+18055550104", "5", "4", "ANSWER", "110"),
}
# Withheld on a keypad or by a word, no number, a mask, an extension; no date of a call.
SET_ASIDE = (
    *("CA02", "CA04", "CA05", "1769853000.1", "1769856600.1", "CAL03", "RGB03"),
    *("89d3af2d8f010000_3458", "1769852400.10", "89d3af2d8f010000_3459", "89d3af2d8f010000_3460"),
)
# Calls with a recording and numbers, whatever became of them.
INGESTED = {
    *("CA01", "CA03", "ast:1769851800.1", "ast:1769852400.1", "ast:1769856900.1"),
    *("89d3af2d8f010000_3456", "89d3af2d8f010000_3457", "CAL01", "RGB01", "RGB04"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """What the tap makes of all exports."""
    config = tmp_path_factory.mktemp("tap") / "config.json"
    config.write_text(json.dumps({"folder": str(HERE / "files")}))
    command = [sys.executable, HERE / "tap_files.py", "--config", config]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def deliver(exported, programs, tmp_path):
    """Run a target on the exports; what it logged, and the text of what it set aside."""

    def deliver(target, parameters, **settings):
        maps = {
            export: {
                "__else__": "__NULL__",
                "__key_properties__": [next(iter(parameters))],
                **{name: parts[part] for name, part in parameters.items()},
            }
            for export, parts in PARTS.items()
        }
        settings |= {"stream_maps": maps, "max_rejected_percent": 100}
        settings |= {"timezone": "America/Los_Angeles"}
        settings |= {"ledger_url": f"sqlite:///{tmp_path}/calls.ledger.db"}
        with Plugin(target, tmp_path, settings, programs) as plugin:
            run = plugin.start().feed_aside(exported.splitlines(keepends=True))
            run.wait(60)
        aside = "".join(file.read_text() for file in tmp_path.glob("rejected/*.jsonl"))
        return run.errors, aside

    return deliver


def test_impact_is_told_of_what_each_export_says(deliver):
    """Durations as clocks, floats and text, bare times, words, keypads, SIP, masks, extensions."""
    with Sandbox(calls=10) as sandbox:
        log, aside = deliver(
            "target-impact-calls", IMPACT, api_url=f"{sandbox.url}/impact", vendor_name="EXPORT",
            username=IMPACT_USERNAME, password=IMPACT_PASSWORD, campaign_id=1000, media_id=10000,
            action_tracker_id=4000,
        )  # fmt: skip
        forms = [entry["form"] for entry in sandbox.journal("impact")]
    names = ("CallerId", "CallDuration", "TalkDuration", "CallStatus", "SaleAmount")
    assert {form["CallSessionId"]: tuple(map(form.get, names)) for form in forms} == TOLD
    dates = {form["CallSessionId"]: form["EventDate"] for form in forms}
    assert dates["CA01"] == dates["RGB01"] == "2026-01-31T09:30:00+00:00"
    assert dates["CAL01"] == "2026-01-31T01:30:00-08:00"
    assert all(call in aside for call in SET_ASIDE)
    assert "read as of America/Los_Angeles" in log
    assert "5550" not in log


def test_invoca_is_told_of_what_each_export_says(deliver):
    """Of the calls with a recording."""
    with Sandbox(calls=10) as sandbox:
        log, _ = deliver(
            "target-invoca-calls", INVOCA, api_url=f"{sandbox.url}/invoca",
            oauth_token=INVOCA_TOKEN, advertiser_campaign_id_from_network=85,
            call_direction="inbound",
        )  # fmt: skip
        calls = [entry["json"]["call"] for entry in sandbox.journal("invoca")]
    starts = {call["external_call_unique_id"]: call["start_time"] for call in calls}
    assert starts.keys() == INGESTED
    assert starts["CA01"] == starts["RGB01"] == starts["CAL01"] == "1769851800000"
    assert {call["calling_phone_number"][:8] for call in calls} == {"+1805555"}
    assert "5550" not in log
