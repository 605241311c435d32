"""What became of the calls, counted."""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from singer_sdk import metrics

from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Known,
    Outcome,
    Rejected,
    Unknown,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable


class CallMetric(enum.StrEnum):
    """What is counted, in the order of the summary line.

    ``duplicate`` was refused by the vendor as known to it; ``unchanged`` and ``changed`` were not
    sent because the ledger has them as delivered; ``still_held`` was held by an earlier run;
    ``would_send`` counts in a dry run only.
    """

    READ = "read"
    FILTERED = "filtered"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REJECTED = "rejected"
    HELD = "held"
    STILL_HELD = "still_held"
    WOULD_SEND = "would_send"


def metric_of(outcome: Outcome) -> CallMetric:
    """Under which name a settled call is counted."""
    match outcome:
        case Accepted():
            return CallMetric.ACCEPTED
        case Duplicate():
            return CallMetric.DUPLICATE
        case Known(changed=changed):
            return CallMetric.CHANGED if changed else CallMetric.UNCHANGED
        case Unknown(earlier=earlier):
            return CallMetric.STILL_HELD if earlier else CallMetric.HELD
        case _:
            return CallMetric.REJECTED


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

    def add(self, metric: CallMetric) -> None:
        """Count one."""
        with self._lock:
            self._counts[metric] += 1

    def settle(self, outcome: Outcome) -> None:
        """Count a settled call, and why it was set aside if it was."""
        with self._lock:
            self._counts[metric_of(outcome)] += 1
            if isinstance(outcome, Rejected):
                named = f"{outcome.field}: {outcome.reason}" if outcome.field else outcome.reason
                self._reasons[named] += 1
            elif isinstance(outcome, Unknown):
                self._reasons[outcome.reason] += 1

    def count(self, metric: CallMetric) -> int:
        """How many so far."""
        return self._counts[metric]

    @property
    def set_aside_percent(self) -> float:
        """Rejected and newly held calls, in percent of all calls with an outcome."""
        with self._lock:
            aside = self._counts[CallMetric.REJECTED] + self._counts[CallMetric.HELD]
            return 100 * aside / max(1, self._settled())

    @property
    def settled(self) -> int:
        """Calls with an outcome."""
        with self._lock:
            return self._settled()

    def _settled(self) -> int:
        outcomes = [m for m in CallMetric if m not in {CallMetric.READ, CallMetric.FILTERED}]
        return sum(self._counts[metric] for metric in outcomes)

    def line(self) -> str:
        """The counts as ``name=number``, always the same names in the same order."""
        seconds = max(0.001, self._clock() - self._started)
        with self._lock:
            counts = " ".join(
                f"{metric.value}={self._counts[metric]}"
                for metric in CallMetric
                if metric is not CallMetric.WOULD_SEND or self._counts[metric]
            )
            return f"{counts} calls_per_second={self._settled() / seconds:.0f}"

    def log(self, logger: logging.Logger) -> None:
        """The end of the run: the counts, the reasons, and the counts as SDK metrics."""
        logger.info("Summary: %s", self.line())
        for reason, count in self._reasons.most_common(10):
            logger.warning("%d calls set aside: %s", count, reason)
        points = metrics.get_metrics_logger()
        for metric in CallMetric:
            if self._counts[metric]:
                name: metrics.Metric = _Named(f"calls_{metric.value}")  # type: ignore[assignment]
                metrics.log(points, metrics.Point("counter", name, self._counts[metric]))


class _Named:
    """A metric of ours where the SDK expects one of its own enumeration."""

    def __init__(self, value: str) -> None:
        self.value = value
