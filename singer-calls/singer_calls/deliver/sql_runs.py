"""Who is alive among the runs that share a ledger.

A run's proof of life is a counter in its row, which also holds how long it may stand still. Who
waits for a run watches that counter on its own clock, so that no clock is compared with another's,
and ends what it watched: the counter must be the same still. On one Linux machine a process that is
gone needs no waiting for.
"""

from __future__ import annotations

import json
import platform
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import PROGRESS, SENDING, iso
from singer_calls.deliver.machine import Machine, Process
from singer_calls.deliver.sql_database import Database, now
from singer_calls.deliver.sql_tables import CALLS, RUNS, STANDING
from singer_calls.deliver.transitions import left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy.engine import Connection

    from singer_calls.deliver.ledger import RunFacts
    from singer_calls.deliver.sql_calls import Calls

_LOST = "lost"  # how a run ended that another one ended
_KEPT_SECONDS = 90 * 24 * 60 * 60  # for which each ended run keeps a row of its own
_DAY_SECONDS = 24 * 60 * 60
_WATCHED = (
    RUNS.c.id,
    RUNS.c.counter,
    RUNS.c.expiry,
    RUNS.c.host,
    RUNS.c.pid,
    RUNS.c.pid_started,
)


class Runs:
    """This run among the others; begins it.

    Args:
        database: What they share.
        calls: The calls of those that end.
        facts: What the run says of itself.
        clock: Seconds, monotonic.
        machine: Which process this is, and which others are gone.
    """

    def __init__(
        self,
        database: Database,
        calls: Calls,
        facts: RunFacts,
        *,
        clock: Callable[[], float] = time.monotonic,
        machine: Machine | None = None,
    ) -> None:
        self._database = database
        self._calls = calls
        self._clock = clock
        self._machine = machine or Machine()
        self._counter = 0
        self._watched: dict[int, tuple[int, float]] = {}
        process = self._machine.process()
        new = RUNS.insert().values(
            target=facts.target,
            started=now(),
            counter=self._counter,
            expiry=facts.expiry,
            host=process and process.host,
            pid=process and process.pid,
            pid_started=process and process.started,
            node=platform.node(),
        )
        with database.writing() as connection:
            self.run = int((connection.execute(new).inserted_primary_key or (0,))[0])

    def who(self, run: int) -> str:
        """Whose run that is, for people."""
        columns = (RUNS.c.target, RUNS.c.started, RUNS.c.pid, RUNS.c.node)
        with self._database.reading() as connection:
            row = connection.execute(sa.select(*columns).where(RUNS.c.id == run)).first()
        if row is None:
            return f"run {run}"
        process = f", process {row.pid}" if row.pid else ""
        return f"run {run} of {row.target}{process} on {row.node}, begun {iso(row.started)}"

    def beat(self) -> bool:
        """Prove that this run lives. False: it was ended."""
        mine = (RUNS.c.id == self.run) & RUNS.c.ended.is_(None)
        # The one before may have been written without our knowing: both numbers are ours.
        ours = RUNS.c.counter.in_((self._counter, self._counter + 1))
        with self._database.writing() as connection:
            beat = RUNS.update().where(mine, ours).values(counter=self._counter + 1)
            alive = connection.execute(beat).rowcount == 1
        self._counter += alive
        return alive

    def tell(self, waits_for: str, counts: Mapping[str, Any]) -> None:
        """Write down how far this run is, unless it has ended."""
        mine = (RUNS.c.id == self.run) & RUNS.c.ended.is_(None)
        told = RUNS.update().where(mine).values(how=waits_for, counts=_dumped(counts))
        with self._database.writing() as connection:
            connection.execute(told)

    def reap(self) -> int:
        """End runs that are gone; how many calls became unknown."""
        with self._database.reading() as connection:
            others = sa.select(*_WATCHED).where(RUNS.c.ended.is_(None), RUNS.c.id != self.run)
            open_ = connection.execute(others).all()
            sending = sa.select(CALLS.c.run).where(STANDING, CALLS.c.state == SENDING).distinct()
            senders = set(connection.execute(sending).scalars())
        gone = [run for run in open_ if self._is_gone(run)]
        if not gone and senders <= {run.id for run in open_} | {self.run}:
            return 0
        with self._database.writing() as connection:
            for run in gone:
                same = (RUNS.c.id == run.id) & (RUNS.c.counter == run.counter)
                end = RUNS.update().where(same, RUNS.c.ended.is_(None))
                connection.execute(end.values(ended=now(), how=_LOST))
            return self._sweep(connection)

    def _is_gone(self, run: Any) -> bool:  # noqa: ANN401 - a result's row
        time_ = self._clock()
        counter, since = self._watched.get(run.id, (None, time_))
        if counter != run.counter:
            self._watched[run.id] = (run.counter, time_)
            since = time_
        if time_ - since >= run.expiry:
            return True
        return run.host is not None and self._machine.is_gone(
            Process(run.host, run.pid, run.pid_started)
        )

    def _sweep(self, connection: Connection) -> int:
        """``sending`` rows of ended runs are unknown, always."""
        rows = self._calls.abandoned(connection)
        self._calls.update(connection, [left(row) for row in rows])
        return len(rows)

    def end(self, how: str, counts: Mapping[str, Any] | None) -> None:
        """End this run: calls of ours still ``sending`` are unknown."""
        end = RUNS.update().where(RUNS.c.id == self.run)
        values: dict[str, Any] = {
            "ended": sa.func.coalesce(RUNS.c.ended, now()),
            "how": sa.case((RUNS.c.ended.is_(None), how or None), else_=RUNS.c.how),
        }
        if counts is not None:
            values["counts"] = _dumped(counts)
        with self._database.writing() as connection:
            connection.execute(end.values(values))
            self._sweep(connection)
            fold(connection, now() - _KEPT_SECONDS)


def fold(connection: Connection, before: int) -> None:
    """Make one row of the runs of each day and target that ended long ago: runs only grow.

    Args:
        connection: In a transaction.
        before: UTC seconds; whole days before it are folded.
    """
    old = (RUNS.c.ended < before - before % _DAY_SECONDS) & (RUNS.c.runs == 1)
    found = sa.select(RUNS).where(old).order_by(RUNS.c.id).with_for_update(skip_locked=True)
    days: dict[tuple[str, int], list[Any]] = {}
    for run in connection.execute(found):
        days.setdefault((run.target, run.ended // _DAY_SECONDS), []).append(run)
    for runs in days.values():
        *others, last = runs
        if not others:
            continue
        one = {
            "started": min(run.started for run in runs),
            "ended": max(run.ended for run in runs),
            "how": None,
            "counts": _dumped(_sum(read_counts(run.counts)[0] for run in runs)),
            "runs": sum(run.runs for run in runs),
        }
        connection.execute(RUNS.update().where(RUNS.c.id == last.id).values(one))
        connection.execute(RUNS.delete().where(RUNS.c.id.in_([run.id for run in others])))


def read_counts(text: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's counts by account, day and state; and what it told of itself while under way."""
    counts: dict[str, Any] = json.loads(text or "{}")
    return counts, counts.pop(PROGRESS, {}).get("", {})


def _sum(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of trees of numbers."""
    total: dict[str, Any] = {}
    for one in counts:
        for name, value in one.items():
            total[name] = (
                _sum([total.get(name, {}), value])
                if isinstance(value, dict)
                else total.get(name, 0) + value
            )
    return total


def _dumped(counts: Mapping[str, Any]) -> str:
    return json.dumps(counts, separators=(",", ":"))
