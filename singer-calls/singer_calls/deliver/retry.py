"""What follows an attempt: another one after a wait, or the end of the call or of the run.

One question decides everything: could the vendor have processed the request? ``Retry`` says
certainly not, ``Unknown`` says it might have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from singer_calls.deliver.outcome import Fatal, Outcome, Retry, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Again:
    """Send the call again.

    Attributes:
        wait: Seconds to wait before.
        everyone: True when the whole sender has to wait, not this call alone.
    """

    wait: float
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long.

    Attributes:
        max_tries: Tries per call, the first included (``backoff_max_tries``).
        retry_after_max: Seconds; a longer wish of the vendor ends the run (``retry_after_max``).
        retry_unknown: True to send a call again whose outcome is unknown (``on_unknown_outcome``).
        uniform: ``random.uniform`` or a stand-in, for full jitter.
        backoff_base: Seconds; the longest first wait, doubled for each further one.
        backoff_max: Seconds; the longest wait of our own choice.
    """

    max_tries: int
    retry_after_max: float
    retry_unknown: bool
    uniform: Callable[[float, float], float]
    backoff_base: float = 1.0
    backoff_max: float = 60.0

    def after(self, outcome: Outcome, tries: int) -> Again | Outcome:
        """Decide after an attempt.

        Args:
            outcome: Of the attempt.
            tries: How many were made, this one included.

        Returns:
            ``Again``, or the outcome that stands: the one given, or ``Fatal``.
        """
        if isinstance(outcome, Retry):
            wish, everyone = outcome.after, outcome.everyone
        elif isinstance(outcome, Unknown) and self.retry_unknown:
            wish, everyone = None, False
        else:
            return outcome
        if wish is not None and wish > self.retry_after_max:
            return Fatal(
                f"The vendor asks for a pause of {wish:.0f} s, longer than retry_after_max "
                f"({self.retry_after_max:.0f} s): run again later"
            )
        if tries >= self.max_tries:
            return Fatal(
                f"The vendor failed {tries} times in a row ({outcome.reason}): run again when it "
                "is back"
            )
        if wish is not None:
            return Again(wish, everyone=everyone)
        longest = min(self.backoff_max, self.backoff_base * 2 ** (tries - 1))
        return Again(self.uniform(0, longest))
