"""Invoca's Signal API: what is asked, and what its answers say."""

from __future__ import annotations

import json

import pytest

from singer_calls.deliver import Accepted, Fatal, Pending, Rejected, Response, Retry, Unknown
from target_invoca_calls.destination import Invoca
from target_invoca_calls.signals import Signals

SETTINGS = {
    "oauth_token": "secret",
    "api_url": "https://invoca.net",
    "call_prefix": "invox:",
    "advertiser_campaign_id_from_network": 85,
}


def errors(kind, text=""):
    return {"errors": {"class": kind, "invalid_data": text}}


def outcome(status, body=None, *, whole=True, headers=None):
    data = b"" if body is None else json.dumps(body).encode()
    return Signals(SETTINGS, dict).outcome(Response(status, headers or {}, data, whole=whole))


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (200, {"signals": [], "call": {}}, Accepted, ""),
        (201, None, Accepted, ""),
        (400, None, Rejected, "late_changes: ignore"),
        (401, None, Fatal, "oauth_token"),
        (403, errors("UnauthorizedOperation", "No"), Rejected, "may not use Invoca's Signal API"),
        (403, errors("UnauthorizedAdvertiser", "No"), Rejected, "no access to the advertiser"),
        (403, errors("InvalidInput", "signals[0] 'name' +442079460018"), Rejected, "found the"),
        (403, errors("RecordInvalid", "Validation failed: Signals are limited to 10"), Rejected,
         "Validation failed: Signals are limited to 10"),
        (403, None, Rejected, "may not use Invoca's Signal API"),
        (404, errors("RecordNotFound", "No call found"), Pending, "finds no such call"),
        (404, None, Rejected, "doesn't know this version"),
        (429, None, Retry, ""),
        (500, None, Retry, ""),
        (503, None, Retry, ""),
        (504, None, Unknown, ""),
        (202, None, Unknown, ""),
        (302, None, Fatal, "redirects"),
    ],
)  # fmt: skip
def test_each_answer_has_an_outcome(status, body, kind, says):
    """A repetition does no harm: what may have been processed is not refused."""
    found = outcome(status, body)
    assert type(found) is kind
    assert says in found.reason
    assert "442079460018" not in found.reason


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_that_is_cut_is_asked_for_again(status):
    """Its reason decides."""
    assert isinstance(outcome(status, errors("RecordNotFound"), whole=False), Retry)


@pytest.mark.parametrize(
    ("status", "body"), [(400, None), (403, None), (403, errors("UnauthorizedOperation"))]
)
def test_what_holds_for_all_holds_for_this_run(status, body):
    """The next one asks again."""
    assert outcome(status, body).campaign


def test_a_request_says_all_in_the_documented_form():
    """By the call's own id, under one id of ours, at one time: repeated it is the same."""
    record = {
        "external_call_unique_id": 7,
        "start_time": "2026-09-10T22:55:32.250Z",
        "signals": {"Quote": "no", "sale": True, "visit": None},
        "custom_data": {"channel": "Social", "account": ""},
    }
    latest = Invoca(SETTINGS).latest
    known = latest.know(record)
    assert latest.url == "https://invoca.net/api/2018-02-01/transactions.json"
    assert latest.headers()["Authorization"] == "secret"
    assert (known.account.vendor, known.key) == ("invoca-signals", "invox:7")
    body = json.loads(known.make_body(known.whole(("Service",))))
    assert body == {
        "search": {"external_call_unique_id": "invox:7"},
        "partner_unique_id": "target-invoca-calls:invox:7",
        "occurred_at_time": "1789080932000",
        "signals": [
            {"name": "Service", "value": 0},
            {"name": "Quote", "value": 0},
            {"name": "sale", "value": 1},
        ],
        "custom_data": [{"name": "channel", "value": "Social"}],
    }
    assert Invoca(SETTINGS | {"late_changes": "ignore"}).latest is None
