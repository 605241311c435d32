"""The pause that the vendor asks of everyone."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


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
