"""How often and how long a request is tried again, in both directions.

RetryAfter   try again after a wait
GiveUp       no further try: the tries are used up, or the vendor wants a longer pause than
             the settings allow
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again.

    Attributes:
        wait: Seconds to wait before.
    """

    wait: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Try no more.

    Attributes:
        why: A clause that follows the reason of the last try: "5 times in a row".
    """

    why: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long.

    Attributes:
        max_tries: Tries, the first included (``backoff_max_tries``).
        retry_after_max: Seconds; a longer wish of the vendor ends the run (``retry_after_max``).
        uniform: ``random.uniform`` or a stand-in, for the jitter.
        backoff_base: Seconds; the longest first wait, doubled for each further one.
        backoff_max: Seconds; the longest wait of our own choice.
    """

    max_tries: int = 5
    retry_after_max: float = 300.0
    uniform: Callable[[float, float], float] = random.uniform
    backoff_base: float = 1.0
    backoff_max: float = 60.0

    def backoff(self, tries: int) -> float:
        """Seconds of our own wait after so many tries.

        Drawn from the upper half of what the exponential backoff allows: many callers still come
        back apart, and five tries always outlast 7.5 s. Drawn from zero (full jitter), one run in
        twenty would end over a vendor that is down for three seconds.
        """
        longest = min(self.backoff_max, self.backoff_base * 2.0 ** min(tries - 1, 64))
        return self.uniform(longest / 2, longest)

    def after(self, tries: int, wish: float | None = None) -> RetryAfter | GiveUp:
        """Decide after a try that failed for now.

        Args:
            tries: How many were made, this one included.
            wish: Seconds that the vendor asked to wait. Never less is waited; nor less than our
                own backoff, whatever it asks: ``Retry-After: 0`` is no reason to hammer at it.
        """
        if wish is not None and wish > self.retry_after_max:
            return GiveUp(
                f"asking for a pause of {wish:.0f} s, more than retry_after_max "
                f"({self.retry_after_max:.0f} s)"
            )
        if tries >= self.max_tries:
            return GiveUp(f"{tries} times in a row")
        return RetryAfter(max(self.backoff(tries), wish or 0.0))


class SharedPause:
    """The pause of all requests together, and how many there were without a success. Pure.

    A limit concerns everyone: requests that were under way when it was met failed for the same
    reason, and belong to one round. Rounds are counted only while nobody gets through.

    Args:
        policy: How often and how long.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._until = 0.0
        self._began = float("-inf")
        self._rounds = 0

    def refused(self, began: float, now: float, wish: float | None) -> RetryAfter | GiveUp:
        """A request was refused for a reason that concerns everyone.

        Args:
            began: When the request began, monotonic seconds.
            now: When it was refused.
            wish: Seconds that the vendor asked to wait.

        Returns:
            The wait is that of everyone, and already noted here.
        """
        if began >= self._began:
            self._began, self._rounds = now, self._rounds + 1
        step = self._policy.after(self._rounds, wish)
        if isinstance(step, RetryAfter):
            self.extend(now + step.wait)
        return step

    def extend(self, until: float) -> None:
        """Nobody may ask before this moment."""
        self._until = max(self._until, until)

    def passed(self) -> None:
        """A request got through."""
        self._rounds = 0

    def remaining(self, now: float) -> float:
        """Seconds left, 0.0 when nobody has to wait."""
        return max(0.0, self._until - now)
