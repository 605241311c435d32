"""Which requests may be under way: as many as there are slots, few while the vendor recovers.

    closed ──429, several 503 in a row──> open ──the pause is over──> half-open ──success──> closed
                                            ^───────────failure──────────┘

Closed, every slot is used; open, nobody sends; half-open, few probe. Who was tried most goes
first: a call that probes is tried to its end before the next one meets the same trouble.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from singer_calls.http.retry import SharedPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from singer_calls.http.retry import GiveUp, RetryAfter, RetryPolicy

_TRIP_FAILURES = 3  # failures in a row that are no longer these calls' own
_PROBES_AT_ONCE = 2  # requests at once while half-open


class Slot:
    """A request's place among those under way.

    Args:
        began: When it was given, monotonic seconds.
        leave: Gives it back.
    """

    def __init__(self, began: float, leave: Callable[[], None]) -> None:
        self.began = began
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        """Give it to whoever is next; the second time, nothing happens."""
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave()


class Admission:
    """The in-flight slots with their circuit breaker; used from one loop.

    Args:
        slots: Requests under way at once, at most.
        policy: How often and how long.
        clock: Monotonic seconds.
    """

    def __init__(self, slots: int, policy: RetryPolicy, clock: Callable[[], float]) -> None:
        self._slots = slots
        self._policy = policy
        self._clock = clock
        self._pause = SharedPause(policy)
        self._probes = 0  # how many may be under way while half-open, 0 while closed
        self._streak = 0  # failures since the last success
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self.in_flight = 0
        """Requests under way."""

    @property
    def remaining(self) -> float:
        """Seconds of pause left, 0.0 when nobody has to wait."""
        return self._pause.remaining(self._clock())

    @asynccontextmanager
    async def enter(self, attempts: int) -> AsyncIterator[Slot]:
        """Wait until a request may be made, and hold its slot at most as long as this context.

        Args:
            attempts: How often its call was tried before.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-attempts, next(self._order), turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise
        slot = Slot(self._clock(), self._leave)
        try:
            yield slot
        finally:
            slot.leave()

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        """Let in who may go now, and look again when a pause is over."""
        if wait := self.remaining:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(wait, self._look_again)
            return
        while self._waiting and self.in_flight < min(self._slots, self._probes or self._slots):
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    def _look_again(self) -> None:
        self._timer = None
        self._admit()

    def succeeded(self) -> None:
        """The vendor works: it took a call, or said what is wrong with one."""
        self._streak = self._probes = 0
        self._pause.passed()
        self._admit()

    def failed(
        self, began: float, tries: int, wish: float | None, *, everyone: bool
    ) -> RetryAfter | GiveUp:
        """The vendor did not take a call.

        Args:
            began: When its request began.
            tries: How often the call failed for itself, this time included.
            wish: Seconds that the vendor asked to wait.
            everyone: Whether that concerns all calls. Else it may be this call's own trouble, but
                several in a row are the vendor's.
        """
        self._streak += 1
        alone = self._streak < _TRIP_FAILURES and not self._probes
        if not everyone and (alone or tries >= self._policy.max_tries):
            return self._policy.after(tries, wish)
        self._probes = _PROBES_AT_ONCE
        return self._pause.refused(began, self._clock(), wish)

    def doubt(self) -> None:
        """Go on one at a time until one gets through."""
        self._probes = 1
