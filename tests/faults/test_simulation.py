"""Fault 12: the promise over drawn schedules: answers, crashes, stops, several runs at once.

A seed that fails is printed; ``play(seed)`` plays it again, step by step the same.
"""

from __future__ import annotations

from contextlib import closing

import pytest
from ledgers import InMemory, OnDatabase
from world import play

SCHEDULES = 10_000
BLOCK = 1000
LASTING = pytest.mark.timeout(3600)
# Seeds that once failed, with what they found.
FOUND = {}


def play_all(seeds, ledgers=InMemory):
    """Play these schedules; the first that breaks the promise is named."""
    for seed in seeds:
        with closing(ledgers()) as fresh:
            try:
                play(seed, fresh)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error


# Measuring coverage would take longer than the schedules.
@pytest.mark.no_cover
@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_no_schedule_breaks_the_promise(first):
    """No call lost or sent again unknowingly, no STATE before its calls, no false accepted."""
    play_all(range(first, first + BLOCK))


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "seeds", [range(30), pytest.param(range(300), marks=[pytest.mark.long, LASTING])]
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_schedule_breaks_the_promise_on_a_real_ledger(kind, seeds, tmp_path, request):
    """The same with each database under it."""
    sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/calls.db" if sqlite else request.getfixturevalue("database")
    play_all(seeds, lambda: OnDatabase(url))


def test_what_was_found_once_stays_found():
    """Seeds of schedules that broke an earlier version."""
    play_all(FOUND)


@pytest.mark.no_cover
@pytest.mark.long
@LASTING
def test_no_schedule_of_very_many_breaks_the_promise(say):
    """A hundred thousand more."""
    say(f"seeds {SCHEDULES} to {SCHEDULES + 100_000}")
    play_all(range(SCHEDULES, SCHEDULES + 100_000))
