"""Fault 12: the promise over drawn schedules: answers, crashes, stops, several runs at once.

A seed that fails is printed; ``play(seed)`` plays it again, step by step the same.
"""

from __future__ import annotations

import pytest
from world import play

SCHEDULES = 10_000
BLOCK = 1000
# Seeds that once failed, with what they found.
FOUND = {}


def play_all(seeds):
    """Play these schedules; the first that breaks the promise is named."""
    for seed in seeds:
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_no_schedule_breaks_the_promise(first):
    """No call lost or sent again unknowingly, no STATE before its calls, no false accepted."""
    play_all(range(first, first + BLOCK))


def test_what_was_found_once_stays_found():
    """Seeds of schedules that broke an earlier version."""
    play_all(FOUND)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_schedule_of_very_many_breaks_the_promise(say):
    """A hundred thousand more."""
    say(f"seeds {SCHEDULES} to {SCHEDULES + 100_000}")
    play_all(range(SCHEDULES, SCHEDULES + 100_000))
