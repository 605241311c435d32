"""Fault 12: the promise over drawn schedules: answers, crashes, stops, several runs at once.

A seed that fails is printed; ``play(seed)`` plays it again, step by step the same.
"""

from __future__ import annotations

from contextlib import closing

import pytest
from ledgers import InMemory, OnDatabase
from world import play

SCHEDULES = 1000
LASTING = pytest.mark.timeout(3600)


def play_all(seeds, ledgers=InMemory):
    """Play these schedules; the first that breaks the promise is named."""
    for seed in seeds:
        with closing(ledgers()) as fresh:
            try:
                play(seed, fresh)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error


def test_no_schedule_breaks_the_promise():
    """No call lost or sent again unknowingly, no STATE before its calls, no false accepted."""
    play_all(range(SCHEDULES))


@pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(300), marks=[pytest.mark.long, LASTING])]
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_schedule_breaks_the_promise_on_a_real_ledger(kind, seeds, tmp_path, request):
    """The same with each database under it."""
    sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/calls.db" if sqlite else request.getfixturevalue("database")
    play_all(seeds, lambda: OnDatabase(url))


@pytest.mark.long
@LASTING
def test_no_schedule_of_very_many_breaks_the_promise(say):
    """A hundred thousand more."""
    say(f"seeds {SCHEDULES} to {SCHEDULES + 100_000}")
    play_all(range(SCHEDULES, SCHEDULES + 100_000))
