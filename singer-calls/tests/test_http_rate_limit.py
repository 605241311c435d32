"""The rate limit over any 60 seconds, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import heapq
import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.http.rate_limit import BlockingRateLimiter, RateLimiter, SlidingWindow


class Time:
    """A clock that jumps to the next sleeper when nobody is ready to run."""

    def __init__(self):
        self.now = 0.0
        self._sleepers = []
        self._count = 0

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        future = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, future))
        await future

    async def run(self, *works):
        tasks = [asyncio.ensure_future(work) for work in works]
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers:
                at, _, future = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                if not future.done():
                    future.set_result(None)


@settings(max_examples=60, deadline=None)
@given(
    per_minute=st.integers(1, 8),
    requests=st.lists(
        st.tuples(st.floats(0, 30), st.floats(0, 90), st.floats(0, 1)), min_size=1, max_size=40
    ),
)
def test_never_more_than_the_limit_reaches_the_vendor_in_any_minute(per_minute, requests):
    """Whatever the latencies, and wherever within a request the vendor notices it."""
    time = Time()
    arrivals = []

    async def request(limiter, start, latency, noticed):
        await time.sleep(start)
        async with limiter.permit():
            arrivals.append(time.now + latency * noticed)
            await time.sleep(latency)

    async def main():
        limiter = RateLimiter(SlidingWindow(per_minute), clock=time.clock, sleep=time.sleep)
        await time.run(*(request(limiter, *each) for each in requests))

    asyncio.run(main())
    arrivals.sort()
    assert len(arrivals) == len(requests)
    for first, later in zip(arrivals, arrivals[per_minute:], strict=False):
        assert later - first >= 60 - 1e-6


@given(per_minute=st.integers(1, 5), ends=st.lists(st.floats(0, 100), max_size=30))
def test_a_wait_is_as_long_as_it_must_be_and_no_longer(per_minute, ends):
    """The window says how long: after that wait there is a permit, and shortly before none."""
    window, now = SlidingWindow(per_minute), 0.0
    for took in ends:
        wait = window.take(now)
        if wait:
            assert wait < math.inf
            # A wait of the last digits of a float can't be cut any shorter.
            assert wait < 1e-6 or window.take(now + wait * 0.999) > 0
            now += wait
            while wait := window.take(now):  # the last digits of a sum of floats
                now += wait
        now += took
        window.end(now)


def test_a_second_and_a_minute_are_limited_side_by_side():
    """Two in any second, five in any minute: whichever is the tighter one waits."""
    window, now, taken = SlidingWindow(5, 2), 0.0, []
    while len(taken) < 9:
        if wait := window.take(now):
            now += wait
        else:
            taken.append(now)
            window.end(now)
    assert taken == [0, 0, 1, 1, 2, 60, 60, 61, 61]
    held = SlidingWindow(None, 1)
    assert [held.take(0.0), held.take(0.0)] == [0.0, math.inf]


def test_a_permit_that_was_not_used_comes_back_at_once():
    """A call that gives up while it waits for its permit takes nothing from the others."""

    async def main():
        time = Time()
        limiter = RateLimiter(SlidingWindow(1), clock=time.clock, sleep=time.sleep)
        async with limiter.permit():
            pass
        waiting = asyncio.ensure_future(limiter.permit().__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

        async def next_one():
            async with limiter.permit():
                return time.now

        task = asyncio.ensure_future(next_one())
        await time.run(task)
        return task.result()

    assert asyncio.run(main()) == 60.0


@pytest.mark.parametrize("per_minute", [None, 2])
def test_threads_share_one_window(per_minute):
    """Without a limit nobody waits; with one, each further pair waits a minute."""
    now, lock, started = [0.0], threading.Lock(), []

    def sleep(seconds):
        with lock:
            now[0] += seconds

    limiter = BlockingRateLimiter(SlidingWindow(per_minute), clock=lambda: now[0], sleep=sleep)

    def ask():
        with limiter.permit():
            started.append(now[0])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert sorted(started) == ([0] * 6 if per_minute is None else [0, 0, 60, 60, 120, 120])


def test_a_thread_waits_for_the_end_of_a_request_that_holds_the_last_permit():
    """And for the minute after it."""
    now, inside, leave, waits = [0.0], threading.Event(), threading.Event(), []

    def sleep(seconds):
        waits.append(seconds)
        now[0] += seconds

    limiter = BlockingRateLimiter(SlidingWindow(1), clock=lambda: now[0], sleep=sleep)

    def first():
        with limiter.permit():
            inside.set()
            leave.wait(5)
            now[0] = 7.0

    def second():
        with limiter.permit():
            pass

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    one.start()
    assert inside.wait(5)
    two.start()
    leave.set()
    one.join(5)
    two.join(5)
    assert (waits, now) == ([60.0], [67.0])
