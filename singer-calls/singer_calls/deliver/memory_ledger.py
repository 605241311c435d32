"""A ledger in memory, for simulations: several runs on one store, on a clock of their own.

It keeps its promise only as long as the process lives, so no target uses it. One contract test
holds it and the databases to the same behaviour.
"""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from singer_calls.deliver.entries import (
    CLOSED,
    DELIVERED,
    PERSON,
    REJECTED,
    SENDING,
    WAITS,
    Found,
    Row,
    iso,
    records_of,
)
from singer_calls.deliver.ledger import (
    COUNT_LIMIT_CALLS,
    Asked,
    Claim,
    LedgerSummary,
    Lookup,
    Request,
    RunEndedError,
    RunFacts,
)
from singer_calls.deliver.machine import Machine, Process
from singer_calls.deliver.transitions import (
    Place,
    Rows,
    delivered_keys,
    is_quiet,
    left,
    places,
    twin,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from singer_calls.deliver.identity import Account


@dataclass(slots=True)
class MemoryRun:
    """A run as the store keeps it."""

    facts: RunFacts
    process: Process | None
    counter: int = 0
    ended: bool = False
    how: str = ""
    counts: Mapping[str, Any] | None = None


@dataclass(slots=True)
class MemoryStore:
    """What several runs share.

    Attributes:
        rows: By account and key.
        floors: Moments before which an account takes no new call.
        runs: By number.
        now: Seconds since the epoch.
        interrupt: Called with ``before`` or ``after`` and the run's number around each commit;
            what it raises is that run's: a database that is away, a death at that moment.
    """

    rows: dict[Place, Row] = field(default_factory=dict)
    floors: dict[Account, int] = field(default_factory=dict)
    runs: dict[int, MemoryRun] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    interrupt: Callable[[str, int], None] = lambda _when, _run: None
    lock: Any = field(default_factory=threading.RLock, repr=False)


class SimulatedMachine(Machine):
    """A machine whose processes die when ``MemoryLedger.die`` says so."""

    def __init__(self, host: str = "here") -> None:
        self._host = host
        self._numbers = itertools.count(1)
        self._dead: set[Process] = set()
        self.last: Process | None = None

    @override
    def process(self) -> Process | None:
        """A new process, the ``last`` one."""
        self.last = Process(self._host, next(self._numbers), 0)
        return self.last

    @override
    def is_gone(self, process: Process) -> bool:
        """True when it was killed here."""
        return process in self._dead

    def kill(self, process: Process) -> None:
        """End a process."""
        self._dead.add(process)


class MemoryLedger:
    """One run's hold on a store, see ``entries.Ledger``.

    Args:
        store: What the runs share.
        facts: What the run says of itself.
        clock: Seconds, monotonic.
        machine: Where the run is; None for one that nobody can look into.
    """

    def __init__(
        self,
        store: MemoryStore,
        facts: RunFacts,
        *,
        clock: Callable[[], float] = time.monotonic,
        machine: SimulatedMachine | None = None,
    ) -> None:
        self._store = store
        self._facts = facts
        self._clock = clock
        self._machine = machine
        self._process = machine.process() if machine else None
        self._watched: dict[int, tuple[int, float]] = {}
        self._dead = False
        self.expiry = facts.expiry
        with store.lock:
            self.run = max(store.runs, default=0) + 1
            store.runs[self.run] = MemoryRun(facts, self._process)
        self.reap()

    def die(self) -> None:
        """Be killed: nothing more is done, and nobody is told."""
        self._dead = True
        if self._machine and self._process:
            self._machine.kill(self._process)

    def summary(self, vendor: str) -> LedgerSummary:
        """What is known at the start."""
        with self._step():
            rows = [row for row in self._store.rows.values() if row.account.vendor == vendor]
            delivered = [row for row in rows if row.state in DELIVERED]
            moments = [row.identity.moment for row in delivered if row.identity.moment is not None]
            records = [
                row
                for row in self._store.rows.values()
                if row.account == records_of(self._facts.target)
            ]
            return LedgerSummary(
                place="memory",
                calls=min(len(delivered), COUNT_LIMIT_CALLS),
                newest=iso(max(moments)) if moments else None,
                unmarked=min(sum(row.unmarked for row in rows), COUNT_LIMIT_CALLS),
                empty=not self._store.rows,
                first_here=not rows and not records,
                records=sum(
                    row.state in WAITS or (row.state, row.remedy) == (CLOSED, PERSON)
                    for row in records
                ),
            )

    def who(self, run: int) -> str:
        """Whose run that is, for people."""
        return f"run {run} of {self._store.runs[run].facts.target}"

    def apply(self, requests: Sequence[Request]) -> list[Any]:
        """Carry out many requests as one."""
        if all(isinstance(request, Lookup | Asked) for request in requests):
            with self._step():
                return [self._look(request) for request in requests]
        with self._step(commits=True):
            results = [self._look(request) for request in requests]
            rows = Rows(
                self.run,
                self._facts.target,
                self._touched(requests),
                floors=self._store.floors,
                open=not self._store.runs[self.run].ended,
            )
            for number, request in enumerate(requests):
                if not isinstance(request, Lookup | Asked):
                    results[number] = rows.carry_out(request)
            for place, row in rows.rows.items():
                self._save(place, row)
        if not rows.open and any(isinstance(request, Claim) for request in requests):
            raise RunEndedError
        return results

    def _save(self, place: Place, row: Row) -> None:
        before = self._store.rows.get(place)
        if before is not row:
            quiet = before is not None and is_quiet(before, row)
            new = row if quiet else replace(row, updated=int(self._store.now()))
            self._store.rows[place] = new

    def _touched(self, requests: Sequence[Request]) -> dict[Place, Row]:
        rows = self._store.rows
        named = places(requests, self._facts.target)
        keys = delivered_keys(requests)
        touched = {place: rows[place] for place in named if place in rows}
        if keys:
            touched |= {
                place: row
                for place, row in rows.items()
                if row.key in keys and row.state == REJECTED
            }
        return touched

    def _look(self, request: Request) -> Found | tuple[Row, ...] | None:
        rows = self._store.rows
        if isinstance(request, Asked):
            return tuple(
                row
                for row in rows.values()
                if row.key == request.key
                and row.account.vendor == request.account.vendor
                and row.account != request.account
            )
        if not isinstance(request, Lookup):
            return None
        row = rows.get((request.account, request.key))
        return Found(
            row=row,
            twin=None if row else twin(request, self.run, rows.values()),
        )

    def beat(self) -> bool:
        """Prove that this run lives."""
        with self._step(commits=True):
            run = self._store.runs[self.run]
            run.counter += not run.ended
            return not run.ended

    def tell(self, waits_for: str, counts: Mapping[str, Any]) -> None:
        """Say for people how far this run is."""
        with self._step(commits=True):
            run = self._store.runs[self.run]
            if not run.ended:
                run.how, run.counts = waits_for, counts

    def reap(self) -> int:
        """End runs that are gone."""
        with self._step(commits=True):
            now = self._clock()
            for number, run in self._store.runs.items():
                if run.ended or number == self.run:
                    continue
                counter, since = self._watched.get(number, (-1, now))
                if counter != run.counter:
                    self._watched[number] = (run.counter, now)
                    since = now
                gone = self._machine and run.process and self._machine.is_gone(run.process)
                if gone or now - since >= run.facts.expiry:
                    run.ended, run.how = True, "lost"
            return self._sweep()

    def close(self, *, how: str = "", counts: Mapping[str, Any] | None = None) -> None:
        """End the run."""
        with self._step(commits=True):
            run = self._store.runs[self.run]
            run.how = run.how if run.ended else how
            run.ended, run.counts = True, run.counts if counts is None else counts
            self._sweep()

    def _sweep(self) -> int:
        """``sending`` rows of ended runs are unknown, always."""
        rows, runs = self._store.rows, self._store.runs
        lost = [
            place
            for place, row in rows.items()
            if row.state == SENDING and (row.run not in runs or runs[row.run].ended)
        ]
        rows.update({place: left(rows[place]) for place in lost})
        return len(lost)

    @contextmanager
    def _step(self, *, commits: bool = False) -> Iterator[None]:
        if self._dead:
            raise RuntimeError("a dead run does nothing")
        with self._store.lock:
            if commits:
                self._store.interrupt("before", self.run)
            yield
            if commits:
                self._store.interrupt("after", self.run)
