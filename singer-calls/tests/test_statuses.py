"""Every HTTP status has a meaning before any vendor adds its own."""

from __future__ import annotations

import pytest

from singer_calls.deliver.delivery import Response
from singer_calls.deliver.outcome import Fatal, Rejected, Retry, Unknown
from singer_calls.deliver.statuses import COMMON, read_response

_NOW = 1_760_000_000.0


def said(status, headers=None):
    """The outcome that ``COMMON`` gives a status."""
    return read_response(COMMON, Response(status, headers or {}), _NOW)


def test_every_status_has_a_row_with_a_reason():
    """100 to 599, and nothing else."""
    assert set(COMMON) == set(range(100, 600))
    assert all(said(status).reason for status in COMMON)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Retry, {425, 429, 503, 521, 523, 525, 526}),
        (Unknown, {*range(100, 300), 408, *range(500, 600)} - {503, 511, 521, 523, 525, 526}),
        (Fatal, {*range(300, 400), 401, 403, 404, 405, 407, 410, 421, 426, 511}),
    ],
)
def test_a_status_means_what_its_processing_may_have_been(kind, statuses):
    """Retry only what was not processed, hold what may have been, stop on configuration."""
    assert {
        s for s in COMMON if isinstance(read_response(COMMON, Response(s), _NOW), kind)
    } == statuses


@pytest.mark.parametrize("status", [0, 99, 600, 999])
def test_a_status_that_http_does_not_know_holds_the_call(status):
    """Servers send them; whether the call was processed is for nobody to say."""
    assert isinstance(said(status), Unknown)


def test_a_rejection_carries_its_status():
    """The rejected file says it."""
    outcome = said(422)
    assert isinstance(outcome, Rejected)
    assert outcome.status == 422


def test_only_a_429_pauses_everyone():
    """503 with Retry-After concerns one call, 429 the account."""
    wait = {"Retry-After": "9"}
    assert said(429, wait) == Retry("too many requests", 9.0, everyone=True)
    assert said(503, wait) == Retry("the vendor is not available", 9.0)
