"""Runs as people see them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.entries import iso
from singer_calls.deliver.sql_database import now
from singer_calls.text import many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SILENT = 30  # seconds without a word


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it; times are UTC seconds since the epoch.

    Attributes:
        how: It ended; while it is under way, what it waits for.
        counts: By account, day and state.
        progress: What it told of itself last, while it was under way: ``read`` calls, ``percent``
            of the input or None, ``per_second`` of late, ``told`` when.
    """

    id: int
    target: str
    started: int
    ended: int | None
    how: str | None
    node: str | None
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    progress: Mapping[str, Any]

    @property
    def total(self) -> Counter[str]:
        """The counts by state."""
        days = (day for by_day in self.counts.values() for day in by_day.values())
        return sum(map(Counter, days), Counter())

    @property
    def per_second(self) -> float | None:
        """Calls settled a second: of late, or over the whole run when it has ended."""
        if self.ended is None:
            return self.progress.get("per_second")
        return round(self.total.total() / max(1, self.ended - self.started), 1)

    def news(self) -> Iterator[str]:
        """How far it is while it is under way.

        Yields:
            Parts of a sentence.
        """
        told = self.progress.get("told")
        if told is None:
            yield "it has told nothing yet"
            return
        if (percent := self.progress.get("percent")) is not None:
            yield f"{percent} % of its input read"
        yield f"{many(self.progress['read'], 'call')} read, {self.total.total()} settled"
        if now() - told > _SILENT:
            yield f"no word since {iso(told)}"
            return
        yield f"{self.per_second} a second"
        yield f"waits for {self.how}"


def totals(runs: Iterable[Run]) -> dict[str, dict[str, Counter[str]]]:
    """The counts of runs by account, day and name."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for run in runs:
        for account, by_day in run.counts.items():
            for day, counts in by_day.items():
                found.setdefault(account, {}).setdefault(day, Counter()).update(counts)
    return found
