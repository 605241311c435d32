"""What follows an attempt."""

from __future__ import annotations

import pytest

from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Fatal,
    Known,
    Rejected,
    Retry,
    Unknown,
)
from singer_calls.deliver.retry import Again, RetryPolicy


def policy(**changes):
    settings = {
        "max_tries": 3,
        "retry_after_max": 300,
        "retry_unknown": False,
        "uniform": lambda low, high: high,
    }
    return RetryPolicy(**(settings | changes))


@pytest.mark.parametrize(
    "outcome", [Accepted(), Duplicate(), Known(), Rejected("no"), Fatal("stop"), Unknown("gone")]
)
def test_a_final_outcome_stands(outcome):
    """Only Retry, and Unknown under retry, lead to another attempt."""
    assert policy().after(outcome, 1) is outcome


def test_the_wait_doubles_up_to_its_bound_and_is_drawn_from_zero():
    """Exponential backoff with full jitter."""
    drawn = []
    slow = policy(max_tries=99, uniform=lambda low, high: drawn.append((low, high)) or high)
    for tries in range(1, 10):
        slow.after(Retry("down"), tries)
    assert [low for low, _ in drawn] == [0] * 9
    assert [high for _, high in drawn] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_vendors_wish_is_obeyed_to_the_second():
    """No jitter on a Retry-After, and 429 pauses everyone."""
    assert policy().after(Retry("busy", after=7.5), 1) == Again(7.5)
    assert policy().after(Retry("busy", after=7.5, everyone=True), 1) == Again(7.5, everyone=True)


def test_a_limit_without_a_wish_is_this_calls_alone():
    """429 without Retry-After is exponential backoff for that call."""
    assert policy().after(Retry("busy", everyone=True), 1) == Again(1.0)


def test_a_wish_beyond_retry_after_max_ends_the_run():
    """The run ends cleanly, to be run again."""
    step = policy().after(Retry("busy", after=301), 1)
    assert isinstance(step, Fatal)
    assert "retry_after_max" in step.reason


@pytest.mark.parametrize("outcome", [Retry("down"), Unknown("no answer")])
def test_exhausted_tries_end_the_run_and_reject_no_call(outcome):
    """A vendor that is down is no fault of a call."""
    patient = policy(retry_unknown=True)
    assert isinstance(patient.after(outcome, 2), Again)
    assert isinstance(patient.after(outcome, 3), Fatal)
