"""Runs as people see them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Run:
    """A run as people see it; ``counts`` by account, day and state."""

    id: int
    target: str
    started: int
    ended: int | None
    how: str | None
    node: str | None
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]


def totals(runs: Iterable[Run]) -> dict[str, dict[str, Counter[str]]]:
    """The counts of runs by account, day and name."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for run in runs:
        for account, by_day in run.counts.items():
            for day, counts in by_day.items():
                found.setdefault(account, {}).setdefault(day, Counter()).update(counts)
    return found
