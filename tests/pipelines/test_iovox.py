"""iovox through the real `meltano run`: what is read, and what becomes of it at impact.com."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
import requests

from call_sandbox.calls import KEYPAD
from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME

DAY = 86400

# iovox's word -> what impact.com is told of a caller who showed the number.
STATUS = {
    "ANSWERED": "ANSWER",
    "ANSWERED [MACHINE DETECTED]": "IVR_DROPOFF",
    "BUSY": "CONGESTION",
    "NO ANSWER": "CANCEL",
    "HANGUP": "CANCEL",
    "DESTINATION IS VOXNUMBER": "INCOMPLETE",
    "NO RULES SET": "FAILURE",
    "NUMBER ON HOLD": "FAILURE",
}
MEDIA = {"442079460000": "10001", "442079460100": "10002", "442079460200": "10003"}
COUNTRY = {"44": "GB", "40": "RO"}


def calls_at_iovox(sandbox):
    """Every call with the fields that the mapping reads, by id at impact.com."""
    fields = (
        "id,call_start,call_end,call_origin,call_origin_location,iovox_number,call_destination,"
        "call_time_seconds,talk_time_seconds,call_result,direction,link_name,tag_text,call_outcomes,"
        "call_category_label,call_category_value"
    )
    rows = requests.get(
        f"{sandbox.url}/iovox/rest/v1/calls/insights",
        params={"limit": 20000, "start_date": "2000-01-01", "response_fields": fields},
        headers={"username": IOVOX_USERNAME, "secureKey": IOVOX_SECURE_KEY},
        timeout=30,
    ).json()
    return {f"iovox:{row['id']}": row for row in rows}


def parameters(call):
    """The parameters that impact.com is to be sent for a call."""
    origin, destination = call["call_origin"], call["call_destination"] or call["iovox_number"]
    clicks = [
        category["value"]
        for category in call["categories"]["call_categories"]
        if category["label"] == "irclickid"
    ]
    words = [*call["call_outcomes"], *(tag["text"] for tag in call["tags"])]
    kind = call["call_origin_location"].partition(",")[0].title()
    expected = {
        "CampaignId": "1000",
        "ActionTrackerId": "4000",
        "MediaId": MEDIA.get(call["iovox_number"], "10000"),
        "CallProvider": "iovox",
        "CallSessionId": f"iovox:{call['id']}",
        "VendorEventId": str(call["id"]),
        "CallStatus": STATUS[call["call_result"]] if origin else "UNKNOWN_CALLERID",
        "CallerId": f"+{origin}" if origin else "anonymous",
        "CallerPhoneNumberCountry": COUNTRY.get(origin[:2]),
        "CalledPhoneNumber": destination[2:],
        "CalledPhoneNumberCountry": COUNTRY[destination[:2]],
        "CallDuration": str(call["call_time_sec"]),
        "TalkDuration": str(call["talk_time_sec"]),
        "PhoneType": kind or None,
        "ClickId": clicks[0] if clicks else None,
        "DispositionName": words[0] if words else None,
        "PromoNumberDescription": call["link_name"],
    }
    return {name: value for name, value in expected.items() if value is not None}


@pytest.fixture
def deliver(pipeline, sandbox):
    """``deliver()``: one run; the parameters of every call that impact.com took, by id."""
    job = pipeline("iovox-to-impact", select=True)
    sandbox.switches("iovox", outcomes="text", timezone="UTC")

    def run():
        assert job.run(tap={"timezone": "UTC", "window_days": 31}).code == 0
        entries = [entry["form"] for entry in sandbox.journal("impact") if entry["processed"]]
        assert len({form["CallSessionId"] for form in entries}) == len(entries)
        return {form["CallSessionId"]: form for form in entries}

    return run


def wanted(sandbox, ended_before):
    """The calls to the business that had ended by then, by id."""
    return {
        key: call
        for key, call in calls_at_iovox(sandbox).items()
        if call["direction"] != "OUT"
        and f"+{call['call_origin']}" not in KEYPAD  # rejected: a word, and no number
        and datetime.fromisoformat(f"{call['call_end']}Z").timestamp() < ended_before
    }


def test_each_call_arrives_once_with_the_mapped_parameters(deliver, sandbox):
    """Over two runs; the second brings what came in the day between, and nothing else."""
    first = deliver()
    calls = wanted(sandbox, time.time())
    assert first.keys() == calls.keys()
    for key, call in calls.items():
        assert first[key].pop("EventDate") == f"{call['call_start'].replace(' ', 'T')}+00:00"
        assert first[key] == parameters(call)

    sandbox.advance(DAY)
    hour_ago = time.time() - 3600
    second = deliver()
    assert first.keys() < wanted(sandbox, hour_ago).keys() <= second.keys()
    assert second.keys() <= wanted(sandbox, time.time() - 3600).keys()


def test_only_what_the_mapping_reads_is_asked_for(deliver, sandbox):
    """No transcription, no comment, and no request for an element stream."""
    deliver()
    (fields,) = {entry["query"]["response_fields"] for entry in sandbox.journal("iovox")}
    assert not {"transcription_text", "comment_text", "rule_result"} & {*fields.split(",")}
    assert len(fields.split(",")) == 19


def test_a_plain_run_reads_calls_alone(project, sandbox):
    """Elements are in the calls; their own streams are for those who select them."""
    made = project()
    made.run("run", "tap-iovox", "target-jsonl--iovox", TAP_IOVOX_WINDOW_DAYS="31")
    assert [file.name for file in (made.folder / "output" / "iovox").iterdir()] == ["calls.jsonl"]
    assert sandbox.journal("iovox")
