"""This run's proof of life, and what may not be done without it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from singer_calls.deliver.ledger import RunEndedError
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver.group_commit import Worker
    from singer_calls.deliver.ledger import Ledger

_BEATS_PER_EXPIRY = 6  # in the time after which another run may end this one


def boot_seconds() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """Beats while the run lives, and knows since when no beat was confirmed.

    Args:
        ledger: Whose run lives.
        worker: Where a beat waits for the database.
        margin: Seconds before the expiry from which on nothing is sent: the longest request.
        clock: Seconds; goes on while the machine sleeps.
    """

    def __init__(
        self, ledger: Ledger, worker: Worker, margin: float, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._margin = margin
        self._clock = clock
        self._beaten = clock()

    def may_send(self) -> bool:
        """Whether no other run can take this one for dead before a request of now has ended."""
        return self._clock() - self._beaten < self._ledger.expiry - self._margin

    async def keep(self) -> None:
        """Beat until cancelled.

        Raises:
            RunEndedError: The run was ended by another, or could not beat in time.
        """
        while True:
            await asyncio.sleep(self._ledger.expiry / _BEATS_PER_EXPIRY)
            began = self._clock()
            try:
                alive = await self._worker.do(self._ledger.beat)
            except PluginError:  # the database is away: as long as the lease lasts
                if not self.may_send():
                    raise
                continue
            if not alive:
                raise RunEndedError
            self._beaten = began
