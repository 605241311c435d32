"""What became of the calls, counted."""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from singer_calls.deliver.outcome import (
    Accepted,
    AlreadyDelivered,
    Duplicate,
    Outcome,
    Pending,
    Rejected,
    Unknown,
    Updated,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from singer_calls.deliver.identity import Account

_REASONS_SHOWN = 10  # shown at the end
_LATE = 5  # tellings that are "of late"


class CallMetric(enum.StrEnum):
    """What is counted, in the order of the summary line.

    ``duplicate`` was refused by the vendor as known to it; ``unchanged`` and ``changed`` were not
    sent because the ledger has them as delivered; ``still_rejected`` and ``still_held`` were set
    aside before, for the same, and are not filed again; ``pending`` may not be sent yet, and STATE
    waits before it; of ``updated`` the vendor was told what became known since its delivery;
    ``would_send`` counts in a dry run only.
    """

    READ = "read"
    FILTERED = "filtered"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REJECTED = "rejected"
    STILL_REJECTED = "still_rejected"
    HELD = "held"
    STILL_HELD = "still_held"
    PENDING = "pending"
    UPDATED = "updated"
    WOULD_SEND = "would_send"


# By outcome: the plain case, and the one that was set aside before or has changed since.
_METRICS = {
    Accepted: (CallMetric.ACCEPTED, CallMetric.ACCEPTED),
    Updated: (CallMetric.UPDATED, CallMetric.UPDATED),
    Duplicate: (CallMetric.DUPLICATE, CallMetric.DUPLICATE),
    AlreadyDelivered: (CallMetric.UNCHANGED, CallMetric.CHANGED),
    Rejected: (CallMetric.REJECTED, CallMetric.STILL_REJECTED),
    Unknown: (CallMetric.HELD, CallMetric.STILL_HELD),
    Pending: (CallMetric.PENDING, CallMetric.PENDING),
}
_RARE = {CallMetric.UPDATED, CallMetric.WOULD_SEND}  # shown only where they are


def _day() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def metric_of(outcome: Outcome) -> CallMetric:
    """Under which name a settled call is counted."""
    kind = next(cls for cls in type(outcome).__mro__ if cls in _METRICS)
    plain, special = _METRICS[kind]
    flagged = getattr(outcome, "earlier", False) or getattr(outcome, "changed", False)
    return special if flagged else plain


class Speed:
    """How many a second of late.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = deque([(clock(), 0)], maxlen=_LATE)

    def of(self, count: int) -> float:
        """The speed, now that there are so many."""
        since, before = self._seen[0]
        now = self._clock()
        self._seen.append((now, count))
        return round((count - before) / max(0.001, now - since), 1)


class Summary:
    """Counts of one run; any thread may add to it.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()
        self._counts: Counter[CallMetric] = Counter()
        self._reasons: Counter[str] = Counter()
        self._by_account: Counter[tuple[Account, str, CallMetric]] = Counter()

    def add(self, metric: CallMetric) -> None:
        """Count one."""
        with self._lock:
            self._counts[metric] += 1

    def settle(self, outcome: Outcome, account: Account | None = None) -> None:
        """Count an outcome, and why its call was set aside or waits.

        Args:
            outcome: Of the call.
            account: Where it went, if it is known.
        """
        with self._lock:
            metric = metric_of(outcome)
            self._counts[metric] += 1
            if account is not None:
                self._by_account[account, _day(), metric] += 1
            if isinstance(outcome, Rejected | Unknown) and not outcome.earlier:
                field = outcome.field if isinstance(outcome, Rejected) else None
                named = f"{field}: {outcome.reason}" if field else outcome.reason
                self._reasons[f"set aside: {named}"] += 1
            elif isinstance(outcome, Pending):
                self._reasons[f"not sent yet: {outcome.reason}"] += 1

    def count(self, metric: CallMetric) -> int:
        """How many so far."""
        return self._counts[metric]

    @property
    def settled(self) -> int:
        """Calls with an outcome so far."""
        outcomes = [m for m in CallMetric if m not in {CallMetric.READ, CallMetric.FILTERED}]
        return sum(self._counts[metric] for metric in outcomes)

    def line(self) -> str:
        """The counts as ``name=number``, always the same names in the same order."""
        seconds = max(0.001, self._clock() - self._started)
        with self._lock:
            counts = " ".join(
                f"{metric.value}={self._counts[metric]}"
                for metric in CallMetric
                if metric not in _RARE or self._counts[metric]
            )
            return f"{counts} calls_per_second={self.settled / seconds:.0f}"

    @property
    def counts(self) -> dict[str, int]:
        """The counts that are not zero, by name."""
        with self._lock:
            return {metric.value: n for metric, n in self._counts.items() if n}

    @property
    def by_account(self) -> dict[str, dict[str, dict[str, int]]]:
        """The counts by account, UTC day and name, for the run's row in the ledger."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        with self._lock:
            for (account, day, metric), count in self._by_account.items():
                name = f"{account.vendor} {account.origin} {account.campaign}"
                found.setdefault(name, {}).setdefault(day, {})[metric.value] = count
        return found

    def log(self, logger: logging.Logger) -> None:
        """The end of the run: the counts, and the ten most frequent reasons."""
        logger.info("Summary: %s", self.line())
        for reason, count in self._reasons.most_common(_REASONS_SHOWN):
            logger.warning("%d calls %s", count, reason)
        if (more := len(self._reasons) - _REASONS_SHOWN) > 0:
            logger.warning("%d more reasons: see the files of rejected calls.", more)
