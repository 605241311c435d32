"""When too many calls were set aside for the run to count as done (``max_rejected_percent``).

Compared are the calls newly rejected or held with the calls tried in this run, both in the order
of the input up to the first call without an outcome: refusals settle faster than sends, and must
not look like a majority. What was known before (unchanged, changed, still rejected, still held)
and what is pending was not tried.
"""

from __future__ import annotations

from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Outcome,
    Rejected,
    Unknown,
)

_FEW_CALLS = 100  # tried calls, below which as many may be set aside as of this many
_ALL_PERCENT = 100  # percent: whatever is set aside, the run is done
_NONE_GOOD_CALLS = 3  # tried calls that are all set aside are no accident


def tried(outcome: Outcome) -> bool:
    """Whether this run tried the call."""
    return isinstance(outcome, Accepted | Duplicate) or set_aside(outcome)


def set_aside(outcome: Outcome) -> bool:
    """Whether this run set the call aside."""
    return isinstance(outcome, Rejected | Unknown) and not outcome.earlier


class Thresholds:
    """Counts outcomes in the order of the input.

    Args:
        percent: The most that may be set aside.
    """

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._early: dict[int, Outcome] = {}
        self._next = 0
        self._tried = 0
        self._aside = 0

    def settle(self, number: int, outcome: Outcome) -> None:
        """A call of the input has its outcome."""
        self._early[number] = outcome
        while (ready := self._early.pop(self._next, None)) is not None:
            self._count(ready)
            self._next += 1

    def _count(self, outcome: Outcome) -> None:
        self._tried += tried(outcome)
        self._aside += set_aside(outcome)

    def exceeded(self, *, at_end: bool = False) -> str | None:
        """Why the run has failed, or None.

        Args:
            at_end: No further call comes: those behind one without an outcome count as well, and
                a short run is judged.
        """
        if at_end:
            for outcome in self._early.values():
                self._count(outcome)
            self._early = {}
        elif self._tried < _FEW_CALLS:
            return None
        return exceeded(self._percent, self._tried, self._aside)


def exceeded(percent: int, tried: int, aside: int) -> str | None:
    """Why a run that tried so many calls and set so many aside has failed, or None."""
    if percent == _ALL_PERCENT:
        return None  # as who tests a mapping by what is rejected wants it
    if _NONE_GOOD_CALLS <= tried == aside:
        return f"All {tried} calls that were tried were rejected or held"
    if 100 * aside > percent * max(tried, _FEW_CALLS):
        return f"More than {percent} % of the calls were rejected or held (max_rejected_percent)"
    return None
