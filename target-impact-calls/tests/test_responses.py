"""Every answer of impact.com has a meaning, and none of its text can leak a call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.deliver import (
    Accepted,
    Fatal,
    Outcome,
    Rejected,
    Response,
    Retry,
    Unknown,
    read_response,
)
from target_impact_calls.responses import TABLE

_NOW = 1_760_000_000.0
_PHONE = "+40722000111"
_ERROR = (
    b'{"Status":"ERROR","Message":"Validation Failed",'
    b'"Errors":[{"Field":"SubId1","Message":"Longer than 64: %s"}]}' % _PHONE.encode()
)


def read(status, body=b"", headers=None, *, whole=True):
    return read_response(TABLE, Response(status, headers or {}, body, whole), _NOW)


def test_every_status_has_a_row():
    """100 to 599, whatever the body."""
    assert set(TABLE) == set(range(100, 600))
    for status in TABLE:
        for body in (b"", b"<html>", _ERROR):
            assert isinstance(read(status, body), Outcome)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Accepted, set()),
        (Rejected, {*range(400, 500)} - {401, 403, 404, 405, 407, 408, 410, 421, 425, 426, 429}),
        (Fatal, {*range(300, 400), 401, 403, 404, 405, 407, 410, 421, 426, 511}),
        (Retry, {425, 429, 503, 521, 523, 525, 526}),
        (Unknown, {*range(100, 300), 408, *range(500, 600)} - {503, 511, 521, 523, 525, 526}),
    ],
)
def test_a_status_alone_means_this(kind, statuses):
    """Without a body that can be read, nothing is taken for delivered."""
    assert {s for s in TABLE if isinstance(read(s, b"<html>"), kind)} == statuses


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "body",
    [
        b'{"Status":"OK"}',
        b'{\n"Status": "OK",\n}',
        b'{"status":"ok"}',
        b'{"Status":"QUEUED","QueuedUri":"/Advertisers/x/APISubmissions/A-1"}',
        b'{"Status":"OK","Uri":"/x"}',
        b"<?xml version='1.0'?><ImpactRadiusResponse><Status>OK</Status></ImpactRadiusResponse>",
        b"<ImpactRadiusResponse>\n <Status>ok</Status>\n</ImpactRadiusResponse>",
    ],
)
def test_success_is_read_in_every_documented_form(status, body):
    """The documented example, with its illegal comma, included."""
    assert read(status, body) == Accepted()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (
            (
                b'{"Status":"ERROR","Message":"Validation Failed",'
                b'"Errors":[{"Field":"CampaignId","Message":"Not a numeric value"}]}'
            ),
            "CampaignId",
            "must be a number",
        ),
        (
            b'{"Status":"ERROR","errors":[{"field":"adid","level":"x","message":"y"}]}',
            "AdId",
            "impact.com refused the call",
        ),
        (
            (
                b"<ImpactRadiusResponse><Status>ERROR</Status><Message>Validation Failed</Message>"
                b"<Errors><Error><Field>CallerId</Field><Message>m</Message></Error></Errors>"
                b"</ImpactRadiusResponse>"
            ),
            "CallerId",
            "impact.com found a parameter invalid",
        ),
        (
            b'{"Status":"ERROR","Errors":[{"Field":"AccountId","Message":"z"}]}',
            None,
            "impact.com refused the call",
        ),
        (_ERROR, "SubId1", "impact.com found a parameter invalid"),
        (b'{"Status":"ERROR"}', None, "impact.com refused the call"),
    ],
)
def test_an_error_names_its_parameter_in_every_envelope(status, body, field, reason):
    """Also when it comes with a 200."""
    fields = (field,) if field else ()
    assert read(status, body) == Rejected(reason, field, status, fields, body.decode())


def test_every_field_that_is_named_is_kept():
    """Who corrects a mapping corrects it once."""
    problems = [{"Field": name, "Message": "Required"} for name in ("MediaId", "cALLERID", "Zip")]
    body = {"Status": "ERROR", "Message": "Validation Failed", "Errors": problems + problems}
    said = read(400, json.dumps(body).encode())
    assert said.fields == ("MediaId", "CallerId", "Zip")
    assert said.field == "MediaId"


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("message", "campaign"),
    [
        ("Campaign 1 has no active contract", True),
        ("CAMPAIGN_NOT_FOUND", True),
        ("The campaign is not active", True),
        ("PARTNER_NOT_ACTIVE", False),
        ("CONTRACT_NOT_FOUND", False),
        ("ACTIONTRACKER_NOT_FOUND", False),
        ("Not a numeric value", False),
    ],
)
def test_a_refused_program_is_told_from_a_refused_call(status, message, campaign):
    """It may be opened at impact.com; another partner's contract says nothing of the program."""
    said = read(status, json.dumps({"Status": "ERROR", "Message": message}).encode())
    assert isinstance(said, Rejected)
    assert said.campaign is campaign
    assert (said.field == "CampaignId") is campaign
    assert message in said.words
    assert message not in said.reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((200, Unknown), (201, Unknown), (302, Fatal), (400, Rejected), (401, Fatal)),
        *((403, Fatal), (404, Fatal), (429, Retry), (500, Unknown), (503, Retry)),
    ],
)
def test_the_status_decides_when_the_body_was_cut(status, kind):
    """But for a success, which may have gone on to say ERROR."""
    for body in (b"", b'{"Status":"OK"}', b'{"Status":"ERROR","Message":"Validat'):
        assert isinstance(read(status, body, whole=False), kind)


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json; charset=iso-8859-1", b'{"Message":"caf\xe9"}', "caf\u00e9"),
        ("application/json", b'\xef\xbb\xbf{"Message":"caf\xc3\xa9"}', "caf\u00e9"),
        ("application/json; charset=klingon", b'{"Message":"caf\xc3\xa9"}', "caf\u00e9"),
        ("text/plain; charset=base64", b"plain", "plain"),
        ("", b"caf\xe9", "caf\ufffd"),
        ("text/html", b"x" * 5000, "x" * 2000),
    ],
)
def test_the_vendor_s_words_are_kept_by_their_charset(content_type, body, words):
    """For the file of what is set aside, and cut; a repr, which may be logged, has none."""
    said = read(400, body, {"Content-Type": content_type})
    assert words in said.words
    assert len(said.words) <= 2000
    assert words not in repr(said)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b"[]",
        b'"OK"',
        b"{}",
        b'{"Status":1}',
        b'{"Status":"DONE"}',
        b"\xff\xfe\x00",
        b"<html><Status>OK</Status></html>",
        b"x" * 65536,
        b"[" * 65536,
        b'{"Status":"OK"',
        b"\x00",
    ],
)
def test_a_success_that_says_nothing_known_is_unknown(body):
    """A proxy or a login page may have answered: the call may or may not be there."""
    assert isinstance(read(200, body), Unknown)


@settings(deadline=None)
@given(st.integers(100, 599), st.binary() | st.text().map(str.encode))
def test_any_body_is_read(status, body):
    """No body ends the run."""
    assert read(status, body).reason or isinstance(read(status, body), Accepted)


def test_no_reason_passes_on_the_vendor_s_text():
    """It may quote the call."""
    for status in range(100, 600):
        said = read(status, _ERROR)
        assert _PHONE not in repr(said)
        assert "Longer than" not in repr(said)


@pytest.mark.parametrize("status", [403, 404, 422])
@pytest.mark.parametrize(
    ("message", "field", "campaign"),
    [
        ({"Message": "No access to campaign 5: not found"}, "CampaignId", True),
        ({"Message": "Denied", "Errors": [{"Field": "MediaId", "Message": "x"}]}, "MediaId", False),
    ],
)
def test_what_is_said_of_one_call_ends_no_run(status, message, field, campaign):
    """Whatever its status: a program or a parameter that the body names is that call's."""
    said = read(status, json.dumps({"Status": "ERROR"} | message).encode())
    assert isinstance(said, Rejected)
    assert (said.field, said.campaign) == (field, campaign)


def test_a_fatal_says_what_to_do():
    """Whoever reads the last line of the log knows the next step."""
    assert "username and password" in read(401).reason
    assert "contact" in read(403).reason
    assert "api_url" in read(302).reason
    assert "api_url" in read(404).reason


def test_a_pause_is_everyone_s_on_429_and_the_call_s_on_503():
    """impact.com's reset is seconds in its text and an epoch in its example."""
    assert read(429, headers={"X-RateLimit-Reset": "30"}) == Retry(
        "too many requests", 30.0, everyone=True
    )
    epoch = {"X-RateLimit-Reset": str(int(_NOW) + 60)}
    assert read(429, headers=epoch) == Retry("too many requests", 60.0, everyone=True)
    assert read(503, headers={"Retry-After": "5"}).after == 5.0
    assert read(503, headers={"X-RateLimit-Reset": "30"}).after is None
    assert not read(503).everyone
