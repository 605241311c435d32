"""Fault 1: SIGKILL. Nothing is lost, nothing is sent twice; what was in flight is held."""

from __future__ import annotations

import random
import signal
import time

import pytest

KILLED = -signal.SIGKILL
CALLS = 30

# Moment -> whether calls in flight at it are claimed, whether they were processed by the vendor.
MOMENTS = {
    "before the claim is written": (False, False),
    "after the claim, before the send": (True, False),
    "after the answer": (True, True),
    "before the outcome is written": (True, True),
    "after the outcome, before STATE": (False, True),
}


@pytest.mark.parametrize("max_in_flight", [1, 8])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_a_precise_moment_loses_and_doubles_nothing(bench, moment, max_in_flight):
    """The calls that are held are those whose answer was never written down, and no other."""
    run = bench.start(driver=("suicide.py", moment, 12), max_in_flight=max_in_flight)
    run.feed(bench.calls(CALLS)).end_input()
    assert run.wait() == KILLED
    bench.note(run)
    bench.settled_before(run)
    open_at_kill = bench.in_ledger("sending")
    assert len(open_at_kill) <= max_in_flight
    if max_in_flight == 1:
        claimed, processed = MOMENTS[moment]
        assert open_at_kill == ({bench.key(11)} if claimed else set())
        assert (bench.key(11) in bench.books) is processed

    bench.resume(CALLS, max_in_flight=max_in_flight)

    assert bench.held == open_at_kill == bench.in_ledger("unknown")
    bench.nothing_lost_or_doubled(CALLS)


@pytest.mark.parametrize("max_in_flight", [1, 8])
def test_a_kill_while_answers_are_awaited_holds_exactly_the_calls_in_flight(
    bench, until, max_in_flight
):
    """The vendor has processed them, and nobody here will ever know: they are not sent again."""
    late = bench.keys(10, 10 + max_in_flight)
    bench.script(late, "late 30")
    run = bench.start(max_in_flight=max_in_flight, request_timeout=40)
    run.feed_aside(bench.calls(CALLS))
    until(lambda: late <= bench.books.keys(), "the late calls are in flight")
    run.send(signal.SIGKILL)
    assert run.wait() == KILLED
    bench.note(run)
    assert bench.fired("late 30") == max_in_flight
    assert bench.bookmark <= 10
    assert bench.in_ledger("sending") == late

    bench.resume(CALLS, max_in_flight=max_in_flight)

    assert bench.held == late
    bench.nothing_lost_or_doubled(CALLS)


@pytest.mark.parametrize(
    "kills", [12, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3000)])]
)
def test_kills_at_random_lose_and_double_nothing(bench, say, kills):
    """Resumed from the last STATE after each kill, until all is delivered."""
    seed = random.SystemRandom().randrange(10**9)
    say(f"seed {seed}")
    dice = random.Random(seed)  # noqa: S311
    calls = kills * 60
    bench.sandbox.faults("impact", "latency 5-60")
    in_flight = set()
    killed = 0
    while killed < kills and bench.bookmark < calls:
        seen = len(bench.journal())
        run = bench.start(max_in_flight=8).feed_aside(bench.calls(calls, bench.bookmark))
        wanted = seen + dice.choice([0, 1, dice.randrange(60), dice.randrange(60)])
        since = seen
        while run.process.poll() is None and since < wanted:
            since += len(bench.sandbox.journal("impact", since=since))
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 1.5 if wanted == seen else 0.05))
        run.send(signal.SIGKILL)
        killed += run.wait() == KILLED
        bench.note(run)
        run.close()
        in_flight |= bench.in_ledger("sending")
    say(f"{killed} kills, {len(in_flight)} calls in flight at one")
    assert killed == kills

    bench.resume(calls, max_in_flight=8)

    assert bench.held == in_flight == bench.in_ledger("unknown")
    bench.nothing_lost_or_doubled(calls)
    assert bench.books.keys() | in_flight == bench.keys(calls)
