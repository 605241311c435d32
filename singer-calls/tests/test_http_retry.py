"""What follows a try that failed for now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.http.retry import GiveUp, RetryAfter, RetryPolicy, SharedPause


def policy(**changes):
    return RetryPolicy(**{"uniform": lambda _low, high: high, **changes})


def test_the_wait_doubles_up_to_its_bound_and_is_drawn_from_its_upper_half():
    """Exponential backoff with jitter."""
    drawn = []
    slow = policy(uniform=lambda low, high: drawn.append((low, high)) or high)
    for tries in range(1, 10):
        slow.backoff(tries)
    assert [high for _, high in drawn] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(low == high / 2 for low, high in drawn)
    assert policy().backoff(10**9) == 60


def test_the_tries_of_the_default_outlast_a_vendor_that_is_down_for_seconds():
    """Whatever is drawn."""
    unlucky = policy(uniform=lambda low, _high: low)
    assert sum(unlucky.backoff(tries) for tries in range(1, unlucky.max_tries)) >= 7.5


@pytest.mark.parametrize(
    ("wish", "wait"), [(None, 2.0), (0.0, 2.0), (1.5, 2.0), (2.5, 2.5), (300.0, 300.0)]
)
def test_no_wish_of_the_vendor_is_shortened_and_none_is_below_our_own_backoff(wish, wait):
    """``Retry-After: 0``, or a date that is past, is no reason to hammer at the vendor."""
    assert policy().after(2, wish) == RetryAfter(wait)


def test_a_wish_beyond_retry_after_max_is_not_waited_for():
    """It is told with the setting's name, on the first try too."""
    step = policy().after(1, 301)
    assert isinstance(step, GiveUp)
    assert step.why == "asking for a pause of 301 s, more than retry_after_max (300 s)"


def test_used_up_tries_give_up():
    """The first try counts."""
    assert isinstance(policy(max_tries=3).after(2), RetryAfter)
    assert policy(max_tries=3).after(3) == GiveUp("3 times in a row")
    assert isinstance(policy(max_tries=1).after(1), GiveUp)


def test_requests_that_were_under_way_together_are_refused_as_one():
    """Sixteen refusals of one moment are one round of one backoff, not sixteen tries."""
    pause = SharedPause(policy(max_tries=3))
    assert {pause.refused(0.0, 1.0 + n / 100, None) for n in range(16)} == {RetryAfter(1.0)}
    assert pause.remaining(1.15) == pytest.approx(1.0)
    assert pause.refused(2.2, 2.3, None) == RetryAfter(2.0)
    assert pause.refused(4.4, 4.5, None) == GiveUp("3 times in a row")


def test_rounds_count_only_while_nobody_gets_through():
    """A limit that lets others through is no failure of the vendor."""
    pause = SharedPause(policy(max_tries=2))
    for began in range(0, 1000, 10):
        assert pause.refused(began, began + 1, None) == RetryAfter(1.0)
        pause.passed()


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.none() | st.floats(0, 300))))
def test_a_pause_is_never_cut_short_by_a_later_wish(refusals):
    """Whoever asked for the longest one is obeyed."""
    pause, now, until = SharedPause(policy(max_tries=10**6)), 0.0, 0.0
    for ago, later, wish in refusals:
        now += later
        step = pause.refused(now - ago, now, wish)
        assert isinstance(step, RetryAfter)
        until = max(until, now + step.wait)
        assert pause.remaining(now) == pytest.approx(until - now)
