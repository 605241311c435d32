"""Every answer of impact.com has a meaning, and none of its text can leak a call."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.deliver.delivery import Answer
from singer_calls.deliver.outcome import Accepted, Fatal, Outcome, Rejected, Retry, Unknown
from target_impact_calls.responses import TABLE, outcome

_NOW = 1_760_000_000.0
_PHONE = "+40722000111"
_ERROR = (
    b'{"Status":"ERROR","Message":"Validation Failed",'
    b'"Errors":[{"Field":"SubId1","Message":"Longer than 64: %s"}]}' % _PHONE.encode()
)


def read(status, body=b"", headers=None):
    return outcome(Answer(status, headers or {}, body), _NOW)


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
    assert read(status, body) == Rejected(reason, field=field, status=status)


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
    assert not read(503).everyone
