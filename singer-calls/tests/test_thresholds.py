"""Thresholds mean what they say: of the calls tried, in the order of the input."""

from __future__ import annotations

import random

import pytest

from singer_calls.deliver.outcome import (
    Accepted,
    AlreadyDelivered,
    Duplicate,
    Pending,
    Rejected,
    Unknown,
)
from singer_calls.deliver.thresholds import Thresholds

BAD = (Rejected("no"), Unknown("late"))
NOT_TRIED = (
    AlreadyDelivered(),
    AlreadyDelivered(changed=True),
    Rejected("no", earlier=True),
    Unknown("late", earlier=True),
    Pending("not yet"),
)


def failed(outcomes, percent=10, order=None):
    """Whether a run with these outcomes fails, at any time or at its end."""
    thresholds = Thresholds(percent)
    early = False
    for number in order or range(len(outcomes)):
        thresholds.settle(number, outcomes[number])
        early = early or bool(thresholds.exceeded())
    return early or bool(thresholds.exceeded(at_end=True))


@pytest.mark.parametrize(
    ("good", "bad", "fails"),
    [
        (0, 1, False),  # one withheld number in a quiet hour
        (0, 2, False),
        (0, 3, True),  # all of three
        (2, 1, False),
        (9, 10, False),  # as many as of a hundred
        (9, 11, True),
        (90, 10, False),
        (89, 11, True),
        (900, 100, False),
        (899, 101, True),
        (0, 0, False),
    ],
)
def test_the_share_is_of_the_calls_tried(good, bad, fails):
    """Ten percent exactly is not more than ten; known and pending calls make no difference."""
    outcomes = [Accepted(), Duplicate()] * good
    outcomes = outcomes[:good] + [BAD[n % 2] for n in range(bad)]
    random.Random(good + bad).shuffle(outcomes)  # noqa: S311
    known = [NOT_TRIED[n % 5] for n in range(300)]
    at_end = Thresholds(10)
    for number, outcome in enumerate(known + outcomes):
        at_end.settle(number, outcome)
    assert bool(at_end.exceeded(at_end=True)) is fails


def test_refusals_that_settle_first_are_no_majority():
    """4 % bad calls, all of them answered before any good one: the run goes on."""
    outcomes = [BAD[0] if n % 25 == 3 else Accepted() for n in range(1000)]
    refused_first = sorted(range(1000), key=lambda n: outcomes[n] == Accepted())
    assert not failed(outcomes, order=refused_first)
    assert not failed(outcomes)


def test_a_run_in_which_all_new_calls_are_refused_fails_beside_a_mass_of_known_ones():
    """300 unchanged, 20 new and all of them refused."""
    assert failed([AlreadyDelivered()] * 300 + [Rejected("no")] * 20)


def test_a_pending_call_does_not_hide_what_comes_behind_it():
    """It counts for nothing, and the order goes on."""
    assert failed([Pending("not yet")] + [Rejected("no")] * 200, percent=50)


def test_many_refusals_end_a_run_before_its_end():
    """At the hundredth call tried."""
    thresholds = Thresholds(10)
    for number in range(99):
        thresholds.settle(number, Rejected("no"))
        assert thresholds.exceeded() is None
    thresholds.settle(99, Rejected("no"))
    assert "All 100 calls" in thresholds.exceeded()


def test_calls_behind_one_without_an_outcome_count_at_the_end():
    """A run that was cut short is judged by all it did."""
    thresholds = Thresholds(10)
    for number in range(1, 13):
        thresholds.settle(number, Rejected("no"))
    assert thresholds.exceeded() is None
    assert thresholds.exceeded(at_end=True)
