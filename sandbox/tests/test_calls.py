"""The truth behind all vendors."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from call_sandbox.calls import DAY_SECONDS, DEFAULT_NOW, HOME, HOUR_SECONDS, KEYPAD, OUTCOMES, Calls


@pytest.fixture(scope="module")
def thousand():
    calls = Calls(seed=3, count=1000)
    return [calls.call(n) for n in range(1000)]


@pytest.mark.parametrize("count", [0, 1, 2, 11, 12, 21, 22, 23, 100, 999, 12_345])
def test_exactly_so_many_calls_exist_at_the_start(count):
    """The count is exact, also where same-second calls lie at its edge."""
    assert Calls(seed=1, count=count).existing(DEFAULT_NOW) == count


def test_equal_seeds_give_equal_calls_in_any_order(thousand):
    """A call follows from the seed and its number alone."""
    again, other = Calls(seed=3, count=1000), Calls(seed=4, count=1000)
    assert [again.call(n) for n in reversed(range(1000))] == thousand[::-1]
    assert other.call(5) != thousand[5]


def test_calls_are_ordered_by_start_and_lie_in_the_span(thousand):
    """No call starts before the one before it, nor outside of the sixty days."""
    starts = [call.start for call in thousand]
    assert starts == sorted(starts)
    assert starts[0] >= DEFAULT_NOW - 60 * DAY_SECONDS - HOUR_SECONDS
    assert starts[-1] <= DEFAULT_NOW


def test_more_calls_start_as_time_goes_on():
    """After the start new calls come at about the rate of before, and none is renumbered."""
    calls = Calls(seed=3, count=1000)
    before = [calls.call(n) for n in range(1000)]
    assert 900 < calls.existing(DEFAULT_NOW + 60 * DAY_SECONDS) - 1000 < 1100
    assert [calls.call(n) for n in range(1000)] == before


def test_first_after_is_the_border_of_existence():
    """`first_after` counts exactly the calls up to a moment."""
    calls = Calls(seed=5, count=500)
    starts = [calls.start(n) for n in range(500)]
    for moment in (*starts[::25], starts[0] - 1, DEFAULT_NOW - 7 * DAY_SECONDS):
        assert calls.first_after(moment) == sum(start <= moment for start in starts)


def test_the_repeated_hour_has_calls_in_both_passes(thousand):
    """Two calls can have the same local time an hour apart."""
    passes = {
        (local.utcoffset(), local.hour)
        for call in thousand
        for local in [datetime.fromtimestamp(call.start, HOME)]
        if datetime(2025, 10, 26, 0, tzinfo=UTC)
        <= datetime.fromtimestamp(call.start, UTC)
        < datetime(2025, 10, 26, 2, tzinfo=UTC)
    }
    assert len(passes) == 2
    assert {hour for _, hour in passes} == {3}


def test_some_calls_share_a_second(thousand):
    """Start times are no key."""
    assert sum(one.start == other.start for one, other in pairwise(thousand)) >= 40


def test_every_outcome_occurs_about_as_often_as_it_says(thousand):
    """All neutral words are there, answered calls most."""
    found = [call.outcome for call in thousand]
    for word, percent in OUTCOMES:
        assert percent / 2 < found.count(word) / 10 < percent * 2


def test_a_call_gets_final_after_its_end_and_insights_later(thousand):
    """`Calling` has an end; what AI writes comes after it, within two days."""
    for call in thousand:
        assert call.end + 120 <= call.final_at <= call.end + 480
        assert call.final_at + 1200 <= call.insight_at < call.final_at + 2 * DAY_SECONDS


def test_the_last_calls_are_still_under_way(thousand):
    """A sandbox starts with calls that are not final."""
    assert 5 <= sum(call.final_at > DEFAULT_NOW for call in thousand) <= 30


def test_only_answered_calls_talk_and_only_talk_is_summarised(thousand):
    """Seconds, recording and summary fit the outcome."""
    for call in thousand:
        assert (call.talk > 0) == (call.outcome in {"answered", "voicemail"})
        assert not call.recorded or call.talk
        assert call.summary is None or call.outcome == "answered"
        assert (call.summary is None) == (call.client_sentiment is None)
    assert any(call.summary for call in thousand)


def test_numbers_are_of_ranges_for_fiction_where_they_exist(thousand):
    """British numbers are Ofcom's drama numbers, Romanian ones of the chosen blocks."""
    fiction = re.compile(r"\+447700900\d{3}|\+442079460\d{3}|\+407\d\d000\d{3}|\+40[23]12000\d{3}|")
    for call in thousand:
        for number in (call.caller, call.tracking, call.destination):
            assert fiction.fullmatch(number) or number in KEYPAD, number
    assert 2 < sum(call.caller in KEYPAD for call in thousand) < 20
    assert any(call.caller == "" for call in thousand)
    assert len({call.tracking for call in thousand}) == 4 * 9


def test_marketing_fields_fit_together(thousand):
    """Keywords belong to paid search, devices to the web, tracking numbers to one channel."""
    for call in thousand:
        assert (call.keyword is not None) == (call.channel.medium == "cpc")
        assert (call.device is None) == (call.channel.name in {"outdoor", "print"})
        assert call.click is None or call.channel.medium == "referral"
    assert any(call.click for call in thousand)
    assert any(call.channel.medium == "referral" and not call.click for call in thousand)
    assert all(
        len({call.channel for call in thousand if call.tracking == number}) == 1
        for number in {call.tracking for call in thousand}
    )
