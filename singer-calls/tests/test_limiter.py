"""The rate limit over any 60 seconds, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.deliver.limiter import Pause, RateLimiter


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
        limiter = RateLimiter(per_minute, clock=time.clock, sleep=time.sleep)
        await time.run(*(request(limiter, *each) for each in requests))

    asyncio.run(main())
    arrivals.sort()
    assert len(arrivals) == len(requests)
    for first, later in zip(arrivals, arrivals[per_minute:], strict=False):
        assert later - first >= 60 - 1e-6


def test_a_permit_that_was_not_used_comes_back_at_once():
    """A call that gives up while it waits for its permit takes nothing from the others."""

    async def main():
        time = Time()
        limiter = RateLimiter(1, clock=time.clock, sleep=time.sleep)
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


def test_a_pause_that_is_extended_is_waited_out():
    """Who waits already waits for the longer one."""

    async def main():
        time = Time()
        pause = Pause(clock=time.clock, sleep=time.sleep)
        pause.extend(10)

        async def waiter():
            await pause.wait()
            return time.now

        async def extender():
            await time.sleep(5)
            pause.extend(30)
            pause.extend(1)

        task = asyncio.ensure_future(waiter())
        await time.run(task, extender())
        return task.result()

    assert asyncio.run(main()) == 35.0
