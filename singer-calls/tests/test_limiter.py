"""A pause of the whole sender."""

from __future__ import annotations

import asyncio

from singer_calls.deliver.limiter import Pause


def test_a_pause_that_is_extended_is_waited_out():
    """Who waits already waits for the longer one."""
    now = [0.0]

    async def sleep(seconds):
        now[0] += seconds
        if now[0] == 10:
            pause.extend(20)
            pause.extend(1)

    pause = Pause(clock=lambda: now[0], sleep=sleep)
    pause.extend(10)
    asyncio.run(pause.wait())
    assert now == [30.0]
