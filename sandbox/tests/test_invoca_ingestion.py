"""Invoca's call ingestion, over real sockets: every documented code, class and message."""

from __future__ import annotations

import pytest
import requests

from call_sandbox.credentials import INVOCA_TOKEN

CALL = {
    "external_call_unique_id": "100002",
    "start_time": "2016-02-03 09:30:00 AM",
    "destination_phone_number": 2165388265,
    "calling_phone_number": 8779257383,
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "recording_url": "https://recordings.example/1.wav",
}
"""The documented example with all required fields; its URL is a placeholder there."""

CAMPAIGN = "advertiser_campaign_id_from_network"


@pytest.fixture
def invoca(sandbox):
    """Deliver a call; changes go over the example's, ... removes one."""

    def deliver(
        token=INVOCA_TOKEN, method="POST", version="2022-03-01", beside=None, query="", **changes
    ):
        call = {name: value for name, value in {**CALL, **changes}.items() if value is not ...}
        return requests.request(
            method,
            f"{sandbox.url}/invoca/api/{version}/calls.json{query}",
            json={"call": call, **(beside or {})},
            headers={"Authorization": token} if token else {},
            timeout=30,
        )

    return deliver


def problem(answer):
    assert answer.status_code == 403
    errors = answer.json()["errors"]
    return errors["class"], errors["invalid_data"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_documented_call_is_created(invoca, sandbox, method):
    """With the answer as documented."""
    answer = invoca(method=method)
    assert answer.status_code == 201
    assert set(answer.json()) == {"cuid"}
    assert sandbox.books("invoca") == {"100002": 1}


def test_the_documented_call_with_all_fields_is_created(invoca):
    """Signals and custom data beside it."""
    beside = {
        "signals": [{"name": "sale", "value": 1}, {"name": "quote", "value": 1}],
        "custom_data": [
            {"name": "channel", "value": "Paid Search"},
            {"name": "line_of_business", "value": "Social"},
        ],
    }
    call = {
        "external_call_unique_id": "123ABC",
        "start_time": "2016-08-08 11:03:31 -0700",
        "destination_phone_number": 9093900003,
    }
    assert invoca(beside=beside, **call).status_code == 201


@pytest.mark.parametrize(
    "start_time",
    [
        "1460404800",
        1460404800000,
        "20160411130000000",
        "2016/04/11T23:00:00.000+03:00",
        "2016/04/11T20:00:00.000Z",
        "2016/04/11T13:00:00-07:00",
        "2016/04/11 13:00:00.000 PM",
        "2016/04/11 13:00:00 PM",
        "2022-03-25 09:31:29",
        "2026-08-02T14:35:28.000-04:00",
    ],
)
def test_every_documented_timestamp_is_taken(invoca, start_time):
    """Also those of the examples, which the list of formats doesn't have."""
    assert invoca(start_time=start_time).status_code == 201


@pytest.mark.parametrize("where", ["header", "query", "body"])
def test_the_token_is_read_where_the_documents_say(invoca, sandbox, where):
    """The newest edition forbids all but the header: a switch."""
    sent = {
        "header": {},
        "query": {"token": None, "query": f"?oauth_token={INVOCA_TOKEN}"},
        "body": {"token": None, "beside": {"oauth_token": INVOCA_TOKEN}},
    }[where]
    assert invoca(**sent).status_code == 201
    sandbox.reset()
    sandbox.switches("invoca", token="header")
    assert invoca(**sent).status_code == (201 if where == "header" else 401)
    assert INVOCA_TOKEN not in str(sandbox.journal("invoca"))


@pytest.mark.parametrize("token", [None, "wrong", f"Bearer {INVOCA_TOKEN}"])
def test_a_wrong_token_is_a_401(invoca, sandbox, token):
    """It goes raw, without Bearer."""
    assert invoca(token=token).status_code == 401
    assert sandbox.books("invoca") == {}


def test_an_unknown_version_is_a_400(invoca):
    """As documented; other methods have no route."""
    for version in ("2022", "2099-01-01", "2018-02-01"):
        assert invoca(version=version).status_code == 400
    assert invoca(method="GET").status_code == 404


def test_a_repetition_is_a_202_while_processing_and_a_409_after(invoca, sandbox):
    """Any other use of the id is a 409; the books count the call once."""
    sandbox.switches("invoca", processing=3600, cuid="yes")
    cuid = invoca().json()["cuid"]
    assert (invoca().status_code, invoca().json()["cuid"]) == (202, cuid)
    assert invoca(call_direction="outbound").status_code == 409
    sandbox.advance(3600)
    assert invoca().status_code == 409
    sandbox.switches("invoca", cuid="no")
    assert invoca().content == b""
    assert sandbox.books("invoca") == {"100002": 1}


@pytest.mark.parametrize("body", [{}, {"call": None}, {"call": {}}, [], None, "call"])
def test_a_request_without_a_call_is_refused_as_documented(sandbox, body):
    """Word for word."""
    answer = requests.post(
        f"{sandbox.url}/invoca/api/2022-03-01/calls.json",
        json=body,
        headers={"Authorization": INVOCA_TOKEN, "Content-Type": "application/json"},
        timeout=30,
    )
    assert problem(answer) == ("RecordInvalid", "Validation failed: 'call' is required")


@pytest.mark.parametrize(
    ("campaign", "kind", "text"),
    [
        (99, "UnauthorizedAdvertiser", "You do not have access to this advertiser"),
        (87, f"call.{CAMPAIGN}", "campaign must be for external calls only"),
        (88, f"call.{CAMPAIGN}", "campaign must have transcription enabled"),
    ],
)
def test_a_campaign_is_refused_as_documented(invoca, campaign, kind, text):
    """Word for word."""
    assert problem(invoca(**{CAMPAIGN: campaign})) == (kind, text)
    assert invoca(**{CAMPAIGN: "86"}).status_code == 201


def test_a_network_without_ingestion_is_refused_as_documented(invoca, sandbox):
    """It is enabled per network."""
    sandbox.switches("invoca", ingestion="disabled")
    assert problem(invoca()) == (
        "UnauthorizedOperation",
        "You do not have permissions to perform the requested operation.",
    )


@pytest.mark.parametrize("name", CALL)
@pytest.mark.parametrize("value", [..., None, ""])
def test_a_required_parameter_cannot_be_missing(invoca, name, value):
    """The refusal names it."""
    kind, text = problem(invoca(**{name: value}))
    assert (kind, text) == ("InvalidInput", f"'{name}' is required")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_time", "yesterday"),
        ("start_time", "2016/99/99T99:00:00Z"),
        ("start_time", "2026-02-30 10:00:00"),
        ("start_time", "2026-02-03T10:00:61Z"),
        ("start_time", "2026-02-03T10:00:00+25:00"),
        ("start_time", "20161311130000000"),
        ("start_time", True),
        ("calling_phone_number", "+40722000111"),
        ("destination_phone_number", "555-1234"),
        ("call_direction", "Inbound"),
        ("language_code", "ro-RO"),
        ("recording_url", "call.wav"),
        ("recording_auth_config_id", "x"),
    ],
)
def test_a_wrong_value_is_refused_by_name(invoca, name, value):
    """The class is the sister API's, this one's is not documented."""
    assert problem(invoca(**{name: value})) == ("InvalidInput", f"'{name}' is invalid")


def test_all_problems_come_together(invoca):
    """As documented: one message for all of them."""
    beside = {"signals": [{"name": "sale", "note": 1}, {}, {"name": "SALE"}], "custom_data": {}}
    _, text = problem(invoca(beside=beside, start_time=..., direction="x"))
    assert text == (
        "'start_time' is required; "
        "The following params in 'call' are not supported in this version: direction; "
        "The following params in 'signals' are not supported in this version: note; "
        "signals[1] 'name' is required; "
        "'name' for signals[0] and signals[2] must be unique; "
        "'custom_data' must be an array of hashes"
    )


def test_signals_are_known_true_or_false_and_at_most_a_hundred(invoca):
    """Names and truth in any case."""
    for value in (True, False, "TRUE", "no", "Yes", 0, 1, "1"):
        beside = {"signals": [{"name": "SALE", "value": value}]}
        assert invoca(beside=beside, external_call_unique_id=f"{value!r}").status_code == 201
    for signal, text in (
        ({"name": "resale"}, "signals[0] 'name' does not exist"),
        ({"name": "sale", "value": "maybe"}, "signals[0] 'value' must be true or false"),
    ):
        assert problem(invoca(beside={"signals": [signal]}))[1] == text
    many = [{"name": f"s{n}"} for n in range(101)]
    assert problem(invoca(beside={"signals": many})) == (
        "RecordInvalid",
        "Validation failed: Signals are limited to 100",
    )


def test_custom_data_must_exist_unless_the_switch_drops_it(invoca, sandbox):
    """Which of the two Invoca does is unknown."""
    beside = {"custom_data": [{"name": "shoe_size", "value": "44"}]}
    assert problem(invoca(beside=beside))[1] == "custom_data[0] 'name' does not exist"
    sandbox.switches("invoca", custom_data="dropped")
    assert invoca(beside=beside).status_code == 201


def test_what_is_unknown_is_a_switch(invoca, sandbox):
    """Countries, languages, the recording's file name, the shape of errors."""
    sandbox.switches("invoca", countries="all")
    assert invoca(calling_phone_number="+40722000111").status_code == 201
    sandbox.switches("invoca", languages="en-US")
    assert problem(invoca(language_code="en-GB"))[1] == "'language_code' is invalid"
    file = {"recording_url": ..., "recording_filename": "100003"}
    assert invoca(external_call_unique_id="100003", **file).status_code == 201
    sandbox.switches("invoca", recording="url")
    assert problem(invoca(**file))[0] == "InvalidInput"
    wrong = {"start_time": "x", "call_direction": "up"}
    sandbox.switches("invoca", errors="fields")
    assert invoca(**wrong).json() == {
        "errors": {
            "start_time": ["'start_time' is invalid"],
            "call_direction": ["'call_direction' is invalid"],
        }
    }
    sandbox.switches("invoca", errors="validation")
    assert problem(invoca(**wrong)) == (
        "RecordInvalid",
        "Validation failed: 'start_time' is invalid, 'call_direction' is invalid",
    )


def test_a_closed_campaign_is_refused_until_it_is_opened(invoca, sandbox):
    """As one that the token's user has no access to."""
    sandbox.switches("invoca", closed_campaign=85)
    assert problem(invoca())[0] == "UnauthorizedAdvertiser"
    assert invoca(**{CAMPAIGN: 86}, external_call_unique_id="b").status_code == 201
    sandbox.switches("invoca", closed_campaign=0)
    assert invoca().status_code == 201


def test_the_page_shows_masked_calls_and_their_progress(invoca, sandbox):
    """Never a whole number."""
    sandbox.switches("invoca", processing=60)
    invoca()
    (shown,) = sandbox.state.vendor("invoca").newest(5)
    assert (shown.key, shown.status) == ("100002", "processing")
    assert "8779257383" not in shown.caller
    sandbox.advance(60)
    assert sandbox.state.vendor("invoca").statuses() == {"processed": 1}
