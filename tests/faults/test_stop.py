"""Fault 2: SIGTERM and SIGINT, once and twice, wherever the run is; the rest comes next time."""

from __future__ import annotations

import signal
import time

import pytest

pytestmark = pytest.mark.usefixtures("covered")
CALLS = 20
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)


def backing_off(bench):
    """Every call after the tenth fails, and waits for its next try."""
    bench.script(bench.keys(10, CALLS), "521", "521", "521")
    return {"backoff_max_tries": 100}, lambda: len(bench.journal()) >= CALLS


def paused(bench):
    """The vendor has asked everyone to wait five minutes."""
    bench.script([bench.key(10)], "429 retry-after 300")
    return {"max_in_flight": 1}, lambda: bench.fired("429 retry-after 300")


def in_flight(bench):
    """Answers come after two seconds."""
    bench.script(bench.keys(10, CALLS), "late 2")
    return {"max_in_flight": 8}, lambda: bench.fired("late 2") >= 8


def idle(bench):
    """All is delivered, and the input says nothing more."""
    return {}, lambda: len(bench.books) == CALLS


def full(bench):
    """The reader waits for room: more calls are open than may be."""
    bench.script(bench.keys(10, CALLS), "503 retry-after 200")
    return {"max_in_flight": 1}, lambda: bench.fired("503 retry-after 200")


PLACES = pytest.mark.parametrize("place", [backing_off, paused, in_flight, idle, full])


def started(bench, until, place):
    """A run that has come to the place; its input stays open."""
    settings, there = place(bench)
    run = bench.start(**settings).feed(bench.calls(CALLS))
    until(there, place.__doc__)
    return run


@SIGNALS
@PLACES
def test_a_signal_ends_the_run_and_the_next_one_delivers_exactly_the_rest(
    bench, until, place, number
):
    """What is in flight settles, STATE is not beyond it, and the exit code names the signal."""
    run = started(bench, until, place)
    at = time.monotonic()
    assert run.send(number).wait() == 128 + number
    assert time.monotonic() - at < bench.settings["request_timeout"] + 10
    bench.note(run)
    bench.settled_before(run)
    processed = len(bench.books)
    assert bench.bookmark == processed - processed % 5
    assert bench.in_ledger("sending", "unknown") == set()
    bench.script(bench.keys(CALLS))

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
    assert not bench.held


@SIGNALS
def test_the_second_signal_ends_the_run_at_once(bench, until, number):
    """The calls that were in flight are set aside by the next run."""
    bench.script(bench.keys(10, 13), "late 30")
    run = bench.start(max_in_flight=3, request_timeout=40).feed(bench.calls(CALLS))
    until(lambda: bench.fired("late 30") == 3, "calls are in flight")
    at = time.monotonic()
    # Two signals at one moment are one signal: send until two were seen.
    until(lambda: not run.send(number).running, "it ends")
    assert run.wait() == 128 + number
    assert time.monotonic() - at < 15
    bench.note(run)
    bench.settled_before(run)

    bench.resume(CALLS)

    assert bench.held == bench.keys(10, 13)
    bench.nothing_lost_or_doubled(CALLS)


def test_a_signal_while_the_last_calls_settle_cuts_their_waits_short(bench, until):
    """The input has ended; a call in backoff is left to the next run."""
    bench.script([bench.key(3)], "503 retry-after 200")
    run = bench.start().feed(bench.calls(CALLS)).end_input()
    until(lambda: len(bench.books) == CALLS - 1, "all but one are delivered")
    assert run.send(signal.SIGTERM).wait() == 128 + signal.SIGTERM
    bench.note(run)
    assert bench.bookmark == 0

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
