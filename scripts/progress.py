"""What is done and what is left, said while it is done."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SILENCE_SECONDS = 2.0  # after which something is said in any case
_TYPICAL_SECONDS = 20.0  # of steps that weigh as much as what steps typically take


class Progress:
    """Says what happens when it happens, and every few seconds that something still does.

    Args:
        seconds: Step -> its typical seconds; which are left tells the time that is left.
        working: What to say when nothing has happened for a while.
        silence: How long that is, in seconds.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        working: Callable[[], str],
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._silence = silence
        self._left = dict(seconds)
        self._total = sum(seconds.values())
        self._working = working
        self._began = self._spoke = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()

    def done(self, step: str, text: str) -> None:
        """A step is over."""
        with self._lock:
            self._left.pop(step, None)
        self.say(text)

    def say(self, text: str) -> None:
        """A line, with the time that has passed and that is left."""
        with self._lock:
            self._spoke = time.monotonic()
            passed, left = self._spoke - self._began, sum(self._left.values())
            done = self._total - left
            # Typical until there is enough to go by.
            pace = (passed + _TYPICAL_SECONDS) / (done + _TYPICAL_SECONDS)
            pace = pace if done else max(1.0, passed / self._total)
            ending = f"about {max(1, round(left * pace)):2} s left" if left else ""
            print(f"{passed:4.0f} s  {text:<53.53}  {ending}".rstrip(), flush=True)

    def _tick(self) -> None:
        while not self._over.wait(self._silence / 10):
            if time.monotonic() - self._spoke >= self._silence:
                self.say(self._working())
