"""impact.com's call data, over real sockets."""

from __future__ import annotations

from functools import partial

import pytest
import requests

from call_sandbox import credentials
from call_sandbox.vendors.impact import CALL_STATUS, OPTIONAL, PARAMETERS, REQUIRED

IMPACT_AUTH = (credentials.IMPACT_USERNAME, credentials.IMPACT_PASSWORD)

ALL = {
    "AdId": "656565", "CallStatus": "ANSWER", "CallerPhoneNumberCountry": "GB",
    "CalledPhoneNumberCountry": "US", "SubId1": "a", "SubId2": "b", "SubId3": "c",
    "ClickId": "QiiWXOVnrQ3SQHl24jQjyxBGUkmzfJ3i1VHrWM0", "City": "Santa Barbara", "Region": "CA",
    "Zip": "93101", "RepeatCaller": "false", "PhoneType": "Mobile",
    "CallRecording": "https://app.invox.eu/player/1", "IvrDuration": "30", "Keypresses": "1,2",
    "Key1": "1", "Key2": "2", "Key3": "", "Key4": "", "TrafficSource": "paid search",
    "OptInSms": "no", "UserAgent": "curl", "DispositionName": "Programare", "SaleAmount": "19.90",
    "ReferenceId": "12", "VendorEventId": "e-1", "PromoNumberDescription": "clinică",
    **{f"Custom{kind}Event{n}{part}": f"{n}"
       for kind in ("Conversion", "Call") for n in (1, 2, 3) for part in ("Name", "Value")},
}  # fmt: skip
"""Every optional parameter, most as in the vendor's own example."""


def fields(answer):
    return [error["Field"] for error in answer.json()["Errors"]]


@pytest.mark.parametrize("how", ["get", "form", "query"])
def test_a_call_is_accepted_in_each_documented_way(impact, sandbox, how):
    """GET, POST with a form body, POST with a query string; the answer is the documented one."""
    answer = impact(how)
    assert (answer.status_code, answer.json()) == (200, {"Status": "OK"})
    assert sandbox.books("impact") == {"a-1": 1}


def test_all_fifty_parameters_are_known(impact):
    """The documented names, ten of them required, all accepted at once."""
    assert (len(PARAMETERS), len(REQUIRED)) == (50, 10)
    assert ALL.keys() == OPTIONAL.keys()
    assert impact(**ALL).status_code == 200


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, ""])
def test_a_required_parameter_cannot_be_missing_or_empty(impact, sandbox, name, value):
    """The documented error envelope names the field, and nothing is booked."""
    answer = impact(**{name: value})
    assert answer.status_code == 400
    assert answer.json() == {
        "Status": "ERROR",
        "Message": "Validation Failed",
        "Errors": [{"Field": name, "Message": "Required"}],
    }
    assert sandbox.books("impact") == {}


MALFORMED = {
    "CampaignId": ["x", "1.5", "1" * 17], "MediaId": ["x"], "ActionTrackerId": ["x"],
    "EventDate": ["yesterday", "2025-13-01T00:00:00Z", "2025-09-10", "10/09/2025 10:00", "now"],
    "CallProvider": ["x" * 65], "CallerId": ["1" * 65],
    "CalledPhoneNumber": ["+18051234567", "805123456", "18051234567", "805.123.4567"],
    "CallDuration": ["-1", "1.5", "00:01:00"], "TalkDuration": ["-1", "x"], "IvrDuration": ["x"],
    "AdId": ["x"], "Zip": ["SW1A 1AA"], "SubId1": ["x" * 65], "SubId2": ["x" * 65],
    "SubId3": ["x" * 65], "SaleAmount": ["1,50"], "ReferenceId": ["x"],
    "CallStatus": ["answer", "Answered", "BUSY"], "PhoneType": ["mobile", "VoIP"],
    "CallerPhoneNumberCountry": ["Romania", "ro"], "CalledPhoneNumberCountry": ["USA"],
    "CallRecording": ["player/1"], "Callerid": ["1"], "Name": ["x"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, all_ in MALFORMED.items() for v in all_])
def test_malformed_and_unknown_parameters_are_refused(impact, sandbox, name, value):
    """One field, one reason, nothing booked."""
    answer = impact(**{name: value})
    assert answer.status_code == 400
    assert fields(answer) == [name]
    assert sandbox.books("impact") == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EventDate", "NOW"), ("EventDate", "2025-09-10T22:55:32Z"),
        ("EventDate", "2025-09-10T22:55:32.123+03:00"), ("CallerId", "ș" * 64),
        ("CalledPhoneNumber", "(805) 123 4567"), ("CalledPhoneNumber", "805-123-4567"),
        ("PhoneType", ""), ("SaleAmount", "-3"), *[("CallStatus", word) for word in CALL_STATUS],
    ],
)  # fmt: skip
def test_every_documented_form_is_accepted(impact, name, value):
    """Lengths count characters, not bytes."""
    assert impact(**{name: value}).status_code == 200


def test_other_countries_have_national_digits(impact, sandbox):
    """Ten digits are documented for the US; the switch asks them of all, or of none."""
    romanian = {"CalledPhoneNumber": "212000101", "CalledPhoneNumberCountry": "RO"}
    assert impact(**romanian).status_code == 200
    sandbox.switches("impact", called_number="all")
    assert fields(impact(**romanian)) == ["CalledPhoneNumber"]
    sandbox.switches("impact", called_number="none")
    assert impact(CalledPhoneNumber="212000101").status_code == 200


def test_a_parameter_cannot_be_sent_twice(impact, sandbox):
    """Neither in one place nor in query and body."""
    assert fields(impact(CallerId=["1", "2"])) == ["CallerId"]
    assert sandbox.journal("impact")[0]["form"]["CallerId"] == ["1", "2"]


@pytest.mark.parametrize("auth", [None, ("sandbox-user", "wrong"), ("", "sandbox-password")])
def test_without_the_credentials_nothing_is_booked(impact, sandbox, auth):
    """Basic authentication is enforced, with impact's envelope."""
    answer = impact(auth=auth)
    assert (answer.status_code, answer.json()["Status"]) == (401, "ERROR")
    assert sandbox.books("impact") == {}


def test_other_methods_and_bodies_are_refused(sandbox, impact):
    """GET takes a query, POST a query or a form; the journal shows what else was sent."""
    url = f"{sandbox.url}/impact/calldata/logCallData"
    ask = partial(requests.request, url=url, auth=IMPACT_AUTH, timeout=30)
    assert ask("PUT", data={"CallSessionId": "a-1"}).status_code == 405
    assert ask("GET", data={"CallSessionId": "a-1"}).status_code == 400
    assert ask("POST", json={"CallSessionId": "a-1"}).status_code == 400
    broken = ask("POST", data="{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400
    assert [entry["json"] for entry in sandbox.journal("impact")[2:]] == [
        {"CallSessionId": "a-1"},
        "not JSON",
    ]
    assert impact().status_code == 200


def test_xml_is_the_default(impact):
    """Who does not ask for JSON gets `<ImpactRadiusResponse>`, also for errors."""
    head = '<?xml version="1.0" encoding="UTF-8"?><ImpactRadiusResponse>'
    assert impact(accept="*/*").text == f"{head}<Status>OK</Status></ImpactRadiusResponse>"
    assert impact(accept="*/*", CallerId="").text == (
        f"{head}<Status>ERROR</Status><Message>Validation Failed</Message><Errors><Error>"
        "<Field>CallerId</Field><Message>Required</Message></Error></Errors></ImpactRadiusResponse>"
    )


def test_the_same_call_is_accepted_and_counted_again(impact, sandbox):
    """Impact has no dedupe key: the books tell how often."""
    for key in ("a", "b", "a"):
        assert impact(CallSessionId=key).status_code == 200
    assert sandbox.books("impact") == {"a": 2, "b": 1}


def test_a_missing_call_status_counts_as_answer(impact, sandbox):
    """The documented default, and why a target must always send it."""
    impact()
    impact(CallStatus="CANCEL")
    assert sandbox.state.summary()["vendors"][1]["statuses"] == {"ANSWER": 1, "CANCEL": 1}


def test_answers_follow_the_switches(impact, sandbox):
    """Errors in a 200, the other spelling, other words for success, longer rules."""
    sandbox.switches("impact", errors="in_200", envelope="lower")
    answer = impact(CallerId="")
    assert answer.status_code == 200
    assert answer.json()["errors"] == [{"field": "CallerId", "message": "Required"}]
    for word in ("QUEUED", "ok", "OK"):
        sandbox.switches("impact", accepted=word)
        assert impact().json() == {"Status": word}
    sandbox.switches("impact", comma="yes")
    assert impact().text == '{\n"Status": "OK",\n}'
    assert "OK" in impact(accept="*/*").text
    sandbox.switches("impact", errors="status", envelope="documented", comma="no")
    assert impact(UserAgent="x" * 256).status_code == 200
    sandbox.switches("impact", long_text="refused", unknown="ignored")
    assert fields(impact(UserAgent="x" * 256)) == ["UserAgent"]
    assert impact(Unheard="of").status_code == 200


def test_a_closed_campaign_is_refused_in_words_until_it_is_opened(impact, sandbox):
    """The call is well formed: the refusal names no field, and is over when the switch is."""
    sandbox.switches("impact", closed_campaign=1000)
    answer = impact()
    assert (answer.status_code, answer.json()) == (
        400,
        {"Status": "ERROR", "Message": "Campaign 1000 has no active contract"},
    )
    assert impact(CampaignId="2000").status_code == 200
    sandbox.switches("impact", closed_campaign=0)
    assert impact().status_code == 200
    assert sandbox.books("impact") == {"a-1": 2}
