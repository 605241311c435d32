"""How far a long read is, told every ten seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 10.0


class Progress:
    """Counts windows and calls, and says so from time to time.

    Args:
        windows: How many there are to read.
        log: Takes a format and its arguments, as ``logging.Logger.info`` does.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        windows: int,
        log: Callable[..., object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.calls = 0
        self.done = 0
        self._windows = windows
        self._log = log
        self._clock = clock
        self._began = clock()
        self._next = self._began + _EVERY

    def tick(self) -> None:
        """Say how far it is, if it is time."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY
        took = now - self._began
        self._log(
            "Window %d of %d: %d calls so far, %.0f calls/s, %s left",
            min(self.done + 1, self._windows),
            self._windows,
            self.calls,
            self.calls / took,
            f"about {took / self.done * (self._windows - self.done):.0f} s"
            if self.done
            else "unknown time",
        )
