"""Every answer of Invoca has a meaning, and none of its text can leak a call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.deliver import (
    Accepted,
    Duplicate,
    Fatal,
    Outcome,
    Rejected,
    Response,
    Retry,
    Unknown,
    read_response,
)
from target_invoca_calls.responses import TABLE

_NOW = 1_760_000_000.0
_PHONE = "+40722000111"
CAMPAIGN = "advertiser_campaign_id_from_network"


def read(status, body=b"", headers=None, *, whole=True):
    return read_response(TABLE, Response(status, headers or {}, body, whole), _NOW)


def refused(kind, invalid_data):
    return read(403, json.dumps({"errors": {"class": kind, "invalid_data": invalid_data}}).encode())


def test_every_status_has_a_row():
    """100 to 599, whatever the body."""
    assert set(TABLE) == set(range(100, 600))
    for status in TABLE:
        for body in (b"", b"<html>", b'{"errors":{}}', b'{"errors":[]}', b"[]", b'{"cuid":1}'):
            assert isinstance(read(status, body), Outcome)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Accepted, {201}),
        (Duplicate, {202, 409}),
        (
            Rejected,
            {*range(402, 500)} - {403, 404, 405, 407, 408, 409, 410, 421, 425, 426, 429},
        ),
        (Fatal, {*range(300, 400), 400, 401, 403, 404, 405, 407, 410, 421, 426, 511}),
        (Retry, {425, 429, *range(500, 600)} - {502, 504, 511, 520, 522, 524}),
        (Unknown, {*range(100, 300), 408, 502, 504, 520, 522, 524} - {201, 202}),
    ],
)
def test_a_status_means_what_the_documents_say(kind, statuses):
    """201 created, 202 and 409 known; what may have been processed is unknown."""
    assert {s for s in TABLE if isinstance(read(s), kind)} == statuses


def test_a_known_key_is_a_claim_that_the_ledger_judges():
    """202 says that it is being processed, 409 that it is taken."""
    assert read(202).claim == "received"
    assert read(409).claim == "used"


def test_the_cuid_is_kept():
    """Whichever answer brings it."""
    assert read(201, b'{\n  "cuid": "<NEW_CUID>"\n}') == Accepted(reference="<NEW_CUID>")
    assert read(202, b'{"cuid":"A-1"}').reference == "A-1"
    assert read(409, b'{"cuid":"A-1"}').reference == "A-1"
    assert read(201, b"<html>") == Accepted()


@pytest.mark.parametrize(
    ("kind", "text", "reason", "fields"),
    [
        *(
            ("RecordInvalid", text, text, fields)
            for text, fields in (
                ("Validation failed: 'call' is required", ()),
                ("Validation failed: Signals are limited to 100", ()),
            )
        ),
        (
            "InvalidInput",
            "signals[1] 'name' is required; 'name' for signals[0] and signals[2] must be unique",
            "Invoca found the call invalid",
            ("signals",),
        ),
        (
            "InvalidInput",
            f"'start_time' is invalid; 'custom_data' must be an array; '{CAMPAIGN}' is invalid",
            "Invoca found the call invalid",
            ("start_time", "custom_data", CAMPAIGN),
        ),
        (
            "call.recording_url",
            f"can't be fetched for {_PHONE}",
            "Invoca found the call invalid",
            ("recording_url",),
        ),
        ("SomethingNew", _PHONE, "Invoca found the call invalid", ()),
    ],
)
def test_a_bad_record_is_rejected_with_its_fields(kind, text, reason, fields):
    """A reason has documented texts only; the words go into the file."""
    said = refused(kind, text)
    assert isinstance(said, Rejected)
    assert (said.reason, said.fields, said.status) == (reason, fields, 403)
    assert said.field == (fields[0] if fields else None)
    assert json.loads(said.words)["errors"]["invalid_data"] == text
    assert not said.campaign


@pytest.mark.parametrize(
    ("kind", "text", "remedy"),
    [
        ("UnauthorizedAdvertiser", "You do not have access to this advertiser", "access"),
        (f"call.{CAMPAIGN}", "campaign must be for external calls only", "ExternalOnly"),
        (f"call.{CAMPAIGN}", "campaign must have transcription enabled", "Voice Signal"),
        (f"call.{CAMPAIGN}", "not found", "exists"),
        (CAMPAIGN, ["not found"], "exists"),
    ],
)
def test_a_refused_campaign_ends_no_run(kind, text, remedy):
    """Calls of others go on, and it may be opened at Invoca."""
    said = refused(kind, text)
    assert isinstance(said, Rejected)
    assert said.campaign
    assert said.field == CAMPAIGN
    assert remedy in said.reason


@pytest.mark.parametrize(
    ("kind", "text", "remedy"),
    [
        (
            "UnauthorizedOperation",
            "You do not have permissions to perform the requested operation.",
            "questions@invoca.com",
        ),
        ("UnauthorizedWhatever", "x", "oauth_token"),
    ],
)
def test_bad_configuration_ends_the_run_with_the_documented_remedy(kind, text, remedy):
    """No call is rejected because of it."""
    said = refused(kind, text)
    assert isinstance(said, Fatal)
    assert remedy in said.reason


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("errors", [["start_time is invalid"], "Validation failed: 'start_time'"])
def test_a_refusal_that_names_a_parameter_is_its_call_s_in_any_form(status, errors):
    """One call must not end every run; without such a name it is the configuration."""
    said = read(status, json.dumps({"errors": errors}).encode())
    assert isinstance(said, Rejected)
    assert said.fields == ("start_time",)
    for body in (b'{"errors":["no"]}', b"<html>a proxy sends signals</html>"):
        assert isinstance(read(status, body), Fatal)


def test_any_success_with_a_cuid_is_one():
    """A page of a proxy has none."""
    assert read(200, b'{"cuid":"A-1"}') == Accepted(reference="A-1")
    assert isinstance(read(200, b"<html>"), Unknown)


def test_errors_by_field_are_read_too():
    """As Invoca's RingPool API writes them."""
    said = read(403, b'{"errors":{"start_time":["can\'t be blank"],"call_direction":["x"]}}')
    assert isinstance(said, Rejected)
    assert said.fields == ("start_time", "call_direction")
    assert read(403, b'{"errors":{"%s":["x"]}}' % CAMPAIGN.encode()).campaign
    both = b'{"errors":{"%s":["x"],"start_time":["y"]}}' % CAMPAIGN.encode()
    assert not read(403, both).campaign


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((201, Accepted), (202, Duplicate), (302, Fatal), (400, Fatal), (401, Fatal)),
        *((403, Retry), (404, Fatal), (409, Duplicate), (429, Retry), (500, Retry), (503, Retry)),
    ],
)
def test_the_status_decides_when_the_body_was_cut(status, kind):
    """But for a 403, of which the body says whether the call or the configuration is wrong."""
    for body in (b"", b'{"cuid":"A', b'{"errors":{"class":"Unauthor'):
        assert isinstance(read(status, body, whole=False), kind)


def test_an_internal_error_is_tried_again():
    """Its key dedupes."""
    body = b'{"errors":{"invalid_data":"refer to error handle 1","class":"InternalServiceError"}}'
    assert isinstance(read(500, body), Retry)


@settings(deadline=None)
@given(st.integers(100, 599), st.binary() | st.text().map(str.encode))
def test_any_body_is_read(status, body):
    """No body ends the run."""
    assert read(status, body).reason or status == 201


@pytest.mark.parametrize(
    "errors",
    [{"class": "X", "invalid_data": _PHONE}, {"class": _PHONE}, {_PHONE: [_PHONE]}, [_PHONE]],
)
def test_no_reason_passes_on_the_vendor_s_text(errors):
    """It may quote the call."""
    for status in range(100, 600):
        assert _PHONE not in repr(read(status, json.dumps({"errors": errors}).encode()))
