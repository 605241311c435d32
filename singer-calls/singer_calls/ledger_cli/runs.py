"""Runs as people see them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import iso
from singer_calls.deliver.machine import Machine, Process
from singer_calls.deliver.sql_database import now
from singer_calls.deliver.sql_tables import RUNS
from singer_calls.deliver.transitions import left
from singer_calls.text import many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy.engine import Connection

    from singer_calls.deliver.entries import Row
    from singer_calls.deliver.sql_calls import Calls

_LOST = "lost"
_SILENT_SECONDS = 30


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
        if now() - told > _SILENT_SECONDS:
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


def open_runs(connection: Connection) -> set[int]:
    """Numbers of runs that are open."""
    return set(connection.execute(sa.select(RUNS.c.id).where(RUNS.c.ended.is_(None))).scalars())


def end_gone(connection: Connection, calls: Calls) -> None:
    """End runs whose process is gone from this machine: what they were sending is unknown."""
    machine = Machine()
    columns = (RUNS.c.id, RUNS.c.counter, RUNS.c.host, RUNS.c.pid, RUNS.c.pid_started)
    here = RUNS.c.ended.is_(None) & RUNS.c.host.is_not(None)
    for run in connection.execute(sa.select(*columns).where(here)).all():
        if machine.is_gone(Process(run.host, run.pid, run.pid_started)):
            same = (RUNS.c.id == run.id) & (RUNS.c.counter == run.counter)
            connection.execute(RUNS.update().where(same).values(ended=now(), how=_LOST))
    rows: list[Row] = calls.abandoned(connection)
    calls.update(connection, [left(row) for row in rows])
