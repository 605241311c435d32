"""The rate limit, and the pause that the vendor asks of everyone."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_WINDOW = 60.0


class RateLimiter:
    """At most ``per_minute`` requests over any 60 seconds, by the vendor's clock as well as ours.

    A permit comes back 60 seconds after its request has *ended*: the vendor saw that request
    before its end and sees the next one after its start, so no delay on the way can squeeze
    more than ``per_minute`` into one minute of the vendor's.

    Args:
        per_minute: Permits, None for no limit.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        per_minute: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._permits: asyncio.Queue[float] | None = None
        if per_minute is not None:
            self._permits = asyncio.Queue()
            for _ in range(per_minute):
                self._permits.put_nowait(clock())

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for a permit, and hold it while one request is made."""
        if self._permits is None:
            yield
            return
        usable_at = await self._permits.get()
        try:
            if (wait := usable_at - self._clock()) > 0:
                await self._sleep(wait)
        except BaseException:
            self._permits.put_nowait(usable_at)  # no request was made with it
            raise
        try:
            yield
        finally:
            self._permits.put_nowait(self._clock() + _WINDOW)


class Pause:
    """A pause of the whole sender, as long as the vendor asked for.

    Args:
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._until = 0.0

    def extend(self, seconds: float) -> None:
        """Pause for at least this long from now."""
        self._until = max(self._until, self._clock() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, 0.0 when nobody has to wait."""
        return max(0.0, self._until - self._clock())

    async def wait(self) -> None:
        """Return once the pause is over, however often it was extended meanwhile."""
        while wait := self.remaining:
            await self._sleep(wait)
