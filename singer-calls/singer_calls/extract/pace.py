"""How fast a vendor is asked: its rate limit, and the pauses it asks for."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_MINUTE = 60.0
_LOOK = 0.05  # seconds between looks while every token is out


class Pace:
    """Tokens for requests, shared by all threads of a process.

    A token is taken before a request and counts until 60 s after the request's *end*: the
    vendor counts at some moment in between, so that its 60 s see no more than ours.

    Args:
        requests_per_minute: The limit, None for no limit.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        requests_per_minute: int | None,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self._limit = requests_per_minute
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._out = 0
        self._ended: deque[float] = deque()
        self._resume = float("-inf")

    def pause(self, seconds: float) -> None:
        """Let nobody ask for that long."""
        with self._lock:
            self._resume = max(self._resume, self._clock() + seconds)

    def __enter__(self) -> Self:
        while wait := self._take():
            self._sleep(wait)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._out -= 1
            self._ended.append(self._clock())

    def _take(self) -> float:
        """Take a token and return 0, or return the seconds to wait before the next try."""
        with self._lock:
            now = self._clock()
            while self._ended and self._ended[0] + _MINUTE <= now:
                self._ended.popleft()
            if self._resume > now:
                return self._resume - now
            if self._limit is None or self._out + len(self._ended) < self._limit:
                self._out += 1
                return 0.0
            return self._ended[0] + _MINUTE - now if self._ended else _LOOK
