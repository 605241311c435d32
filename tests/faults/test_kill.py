"""Fault 1: SIGKILL. Nothing is lost, nothing is sent twice; what was in flight is held."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("uncovered")
KILLED = -signal.SIGKILL
DYING = Path(__file__).with_name("dying_target.py")
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
    run = bench.start(command=[str(DYING), moment, "12"], max_in_flight=max_in_flight)
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


def killed_at_random(bench, say, kills, calls):
    """Kill and resume from the last STATE, until so many kills; the calls in flight at any."""
    seed = random.SystemRandom().randrange(10**9)
    say(f"{bench.program}, {kills} kills: seed {seed}")
    dice = random.Random(seed)  # noqa: S311
    in_flight = set()
    seen = killed = 0
    while killed < kills:
        run = bench.start(max_in_flight=8)
        # The input stays open: a run that is through with it waits for the kill.
        feeding = threading.Thread(target=run.feed, args=(bench.calls(calls, bench.bookmark),))
        feeding.start()
        more = dice.choice([0, 1, dice.randrange(60), dice.randrange(60)])
        wanted = seen + more
        end = time.monotonic() + 5  # those that are left may be fewer
        while run.running and seen < wanted and time.monotonic() < end:
            seen += len(bench.journal(seen))
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.05 if more else 1.5))
        run.send(signal.SIGKILL)
        assert run.wait() == KILLED, run.errors
        feeding.join()
        killed += 1
        bench.note(run)
        run.close()
        in_flight |= bench.in_ledger("sending")
    return in_flight


KILLS = pytest.mark.parametrize(
    "kills", [12, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3000)])]
)


@KILLS
def test_with_hold_kills_at_random_lose_nothing_and_send_nothing_twice(bench, say, kills):
    """Held are exactly the calls whose answer was never written down."""
    calls = kills * 60
    bench.faults("latency 5-60")
    in_flight = killed_at_random(bench, say, kills, calls)

    bench.resume(calls, max_in_flight=8)

    lost = bench.keys(calls) - bench.books.keys() - bench.held
    twice = [key for key, times in bench.sent.items() if times > 1]
    say(f"lost {len(lost)}, sent twice {len(twice)}, held {len(bench.held)} of {calls}")
    assert bench.held == in_flight == bench.in_ledger("unknown")
    bench.nothing_lost_or_doubled(calls)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_with_retry_kills_at_random_lose_nothing_and_have_each_effect_once(invoca_bench, say):
    """Calls of unknown outcome are sent again, and the vendor knows them."""
    bench, kills = invoca_bench, 200
    calls = kills * 60
    bench.faults({"fault": "reset_after_body", "probability": 0.02, "per_call": 1}, "latency 5-60")
    in_flight = killed_at_random(bench, say, kills, calls)

    bench.resume(calls, max_in_flight=8)

    lost = bench.keys(calls) - bench.books.keys()
    doubled = [key for key, times in bench.books.items() if times > 1]
    again = [key for key, times in bench.sent.items() if times > 1]
    say(f"lost {len(lost)}, doubled {len(doubled)}, sent again {len(again)} of {calls}")
    assert bench.fired("reset_after_body")
    assert in_flight
    assert bench.books == dict.fromkeys(bench.keys(calls), 1)
    assert not bench.held
