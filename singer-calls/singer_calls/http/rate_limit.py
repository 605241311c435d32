"""The rate limit: never more requests than allowed over any 60 seconds, by the vendor's clock too.

A permit comes back 60 seconds after its request has *ended*: the vendor saw that request before
its end and sees the next one after its start, so no delay on the way can squeeze more into one
minute of the vendor's. The same goes for one second, where a vendor counts those.
``SlidingWindow`` decides; the two limiters only wait, one in threads and one in a loop.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

MINUTE, SECOND = 60.0, 1.0


class SlidingWindow:
    """Permits that are out, and when those that came back may be used again. Pure.

    Args:
        per_minute: Permits over any 60 seconds, None for no limit.
        per_second: Permits over any second, None for no limit.
    """

    def __init__(self, per_minute: int | None, per_second: int | None = None) -> None:
        limits = ((MINUTE, per_minute), (SECOND, per_second))
        self._limits = [(span, most) for span, most in limits if most is not None]
        self._longest = max((span for span, _ in self._limits), default=0.0)
        self._out = 0
        self._ended: deque[float] = deque()

    def take(self, now: float) -> float:
        """Take a permit, if there is one.

        Args:
            now: Monotonic seconds.

        Returns:
            0.0 if it was taken; else the seconds until one may be free, infinity while each is
            held by a request under way.
        """
        while self._ended and self._ended[0] + self._longest <= now:
            self._ended.popleft()
        wait = max((self._wait(span, most, now) for span, most in self._limits), default=0.0)
        self._out += not wait
        return wait

    def _wait(self, span: float, most: int, now: float) -> float:
        """How long until one limit lets one more through."""
        free = most - self._out
        if free <= 0:
            return math.inf
        if len(self._ended) < free:
            return 0.0
        return max(0.0, self._ended[-free] + span - now)

    def end(self, now: float) -> None:
        """The request of a permit has ended."""
        self._out -= 1
        if self._limits:
            self._ended.append(now)


class RateLimiter:
    """A window that the coroutines of one loop share; they are served in the order they came.

    Args:
        window: The permits.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        window: SlidingWindow,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._window = window
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        self.holds = False
        """Whether somebody waits for a permit now."""

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for a permit, and hold it while one request is made."""
        async with self._turn:
            try:
                while wait := self._window.take(self._clock()):
                    self.holds = True
                    if wait < math.inf:
                        await self._sleep(wait)
                    else:
                        self._ended.clear()
                        await self._ended.wait()
            finally:
                self.holds = False
        try:
            yield
        finally:
            self._window.end(self._clock())
            self._ended.set()


class BlockingRateLimiter:
    """The same for threads.

    Args:
        window: The permits.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        window: SlidingWindow,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._window = window
        self._clock = clock
        self._sleep = sleep
        self._turn = threading.Lock()
        self._changing = threading.Condition()

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Wait for a permit, and hold it while one request is made."""
        with self._turn:
            while wait := self._take():
                self._sleep(wait)
        try:
            yield
        finally:
            with self._changing:
                self._window.end(self._clock())
                self._changing.notify()

    def _take(self) -> float:
        with self._changing:
            while (wait := self._window.take(self._clock())) == math.inf:
                self._changing.wait()
            return wait
