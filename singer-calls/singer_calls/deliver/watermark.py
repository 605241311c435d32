"""STATE after its calls: a bookmark goes out only when all calls before it are settled."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    State = Mapping[str, Any]


class Watermark:
    """Which STATE is true already. Calls are opened in the order of the input, settled in any.

    Used by two threads: the reader opens calls and hands in states, the sender settles.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = 0
        self._low = 0  # all calls below are settled
        self._settled: set[int] = set()
        self._waiting: deque[tuple[int, State]] = deque()
        self._true: State | None = None
        self._stop: int | None = None

    def open(self) -> int:
        """Number the next call."""
        with self._lock:
            self._opened += 1
            return self._opened - 1

    def settle(self, number: int) -> None:
        """The call is done with."""
        with self._lock:
            if self._stop is not None and number > self._stop:
                return
            self._settled.add(number)
            while self._low in self._settled:
                self._settled.remove(self._low)
                self._low += 1
            self._advance()

    def stop_at(self, number: int) -> None:
        """This call is not settled by this run: no STATE behind it will be true."""
        with self._lock:
            if self._stop is None or number < self._stop:
                self._stop = number
                self._settled = {one for one in self._settled if one < number}
                while self._waiting and self._waiting[-1][0] > number:
                    self._waiting.pop()

    def state(self, value: State) -> None:
        """A STATE of the tap: true once every call opened before is settled.

        An empty one would erase a good bookmark downstream and is dropped.
        """
        if not value:
            return
        with self._lock:
            if self._stop is not None and self._opened > self._stop:
                return
            if self._waiting and self._waiting[-1][0] == self._opened:
                self._waiting.pop()
            self._waiting.append((self._opened, value))
            self._advance()

    def take(self) -> State | None:
        """The newest true STATE that was not taken yet, or None."""
        with self._lock:
            value, self._true = self._true, None
            return value

    def _advance(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._low:
            self._true = self._waiting.popleft()[1]


class StateWriter(threading.Thread):
    """Writes each true STATE, at most one per interval, while other threads read and send.

    Args:
        watermark: Where true states come from.
        write: Writes one STATE; an OSError from it means that nobody listens any more.
        failed: Told that error, once; nothing is written afterwards.
        interval: Seconds between two states.
    """

    def __init__(
        self,
        watermark: Watermark,
        write: Callable[[State], None],
        failed: Callable[[OSError], None],
        interval: float = 0.5,
    ) -> None:
        super().__init__(name="state-writer", daemon=True)
        self._watermark = watermark
        self._write = write
        self._failed = failed
        self._interval = interval
        self._end = threading.Event()
        self._broken = False

    @override
    def run(self) -> None:
        """Write until closed."""
        while not self._end.wait(self._interval):
            self._flush()
        self._flush()

    def close(self, timeout: float) -> bool:
        """Write the last true STATE and stop.

        Args:
            timeout: Seconds to wait for whoever reads our output.

        Returns:
            True when everything true was written.
        """
        self._end.set()
        deadline = time.monotonic() + timeout
        self.join(max(0.0, deadline - time.monotonic()))
        return not self.is_alive() and not self._broken

    def _flush(self) -> None:
        if self._broken or (value := self._watermark.take()) is None:
            return
        try:
            self._write(value)
        except (OSError, ValueError) as error:  # ValueError: the stream object was closed
            self._broken = True
            self._failed(error if isinstance(error, OSError) else OSError(str(error)))
