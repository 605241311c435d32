"""What was sent: one row per call and account, durable before the request leaves.

SQLite (WAL, full sync) by default, PostgreSQL by URL; several runs may share one ledger. It holds
keys, states, marks and hashes, never a call.

A group of requests is one transaction: read the rows that it can touch (locked, in one order of
keys), change them in memory (transitions.py), write those that changed. Look-ups are plain reads.

A run's proof of life is a counter in its row. Who waits for a run and sees its counter stand
still for the run's expiry, on the waiter's own clock, ends it; a claim needs its run's row open.
"""

from __future__ import annotations

import json
import platform
import time
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from singer_calls.deliver.entries import (
    DELIVERED,
    KNOWN_LIMIT,
    SENDING,
    WAITS,
    Asked,
    Claim,
    Found,
    Known,
    Lookup,
    Request,
    Row,
    RunEndedError,
    RunFacts,
    records_of,
)
from singer_calls.deliver.identity import Account
from singer_calls.deliver.machine import Machine, Process
from singer_calls.deliver.memory_ledger import iso
from singer_calls.deliver.sql_migration import migrate
from singer_calls.deliver.sql_rows import RacedError, raw_of, row_of, statements_for
from singer_calls.deliver.sql_store import (
    ACCOUNTS,
    CALLS,
    FORMAT,
    IS_UNMARKED,
    RUNS,
    STANDING,
    explained,
    format_of,
    in_words,
    is_transient,
    limit_waits,
    make_tables,
    open_engine,
    place_of,
    reading,
)
from singer_calls.deliver.transitions import Place, Rows, delivered_keys, left, places, twin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries of a transaction
_LOST = "lost"  # how a run ended that another one ended

_T = TypeVar("_T")


def open_ledger(url: str, facts: RunFacts) -> SqlLedger:
    """Begin a run on a ledger; makes it, or brings it to this format, where that is needed.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        facts: What the run says of itself.

    Raises:
        LedgerError: The URL is wrong, or the database can't be used, or is newer than this code.
    """
    return SqlLedger(url, facts)


class SqlLedger:
    """One run's hold on a ledger, see ``entries.Ledger``.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        facts: What the run says of itself.
        clock: Seconds, monotonic.
        machine: Which process this is, and which others are gone.

    Raises:
        LedgerError: The URL is wrong, or the database can't be used, or is newer than this code.
    """

    def __init__(
        self,
        url: str,
        facts: RunFacts,
        *,
        clock: Callable[[], float] = time.monotonic,
        machine: Machine | None = None,
    ) -> None:
        self.expiry = facts.expiry
        self._facts = facts
        self._clock = clock
        self._machine = machine or Machine()
        self._counter = 0
        self._watched: dict[int, tuple[int, float]] = {}
        self._numbers: dict[Account, int] = {}
        self._accounts: dict[int, Account] = {}
        with explained("opened"):
            self._engine = open_engine(url)
            try:
                self._reader = reading(self._engine)
                self._rows = statements_for(self._engine)
                version = format_of(self._engine)
                if version is None:
                    make_tables(self._engine)
                elif version < FORMAT:
                    migrate(self._engine)
                self.run = self._begin()
                self.reap()
            except BaseException:
                self._engine.dispose()
                raise

    def _begin(self) -> int:
        process = self._machine.process()
        with self._engine.begin() as connection:
            limit_waits(connection)
            new = RUNS.insert().values(
                target=self._facts.target,
                started=_now(),
                counter=self._counter,
                expiry=self.expiry,
                host=process and process.host,
                pid=process and process.pid,
                pid_started=process and process.started,
                node=platform.node(),
            )
            return int((connection.execute(new).inserted_primary_key or (0,))[0])

    # What is known

    def known(self, vendor: str) -> Known:
        """What is known at the start; counting ends at ``KNOWN_LIMIT``."""
        records = records_of(self._facts.target)

        def ask(_again: bool) -> Known:
            with self._reader.connect() as connection:
                self._load_accounts(connection)
                theirs = [n for one, n in self._numbers.items() if one.vendor == vendor]
                delivered = CALLS.c.account.in_(theirs) & CALLS.c.state.in_(sorted(DELIVERED))
                calls = _count(connection, delivered) if theirs else 0
                newest = (
                    sa.select(CALLS.c.moment)
                    .where(delivered, CALLS.c.moment.is_not(None))
                    .order_by(CALLS.c.moment.desc())
                    .limit(1)
                )
                moment = connection.execute(newest).scalar() if calls else None
                waits = STANDING & CALLS.c.state.in_(sorted(WAITS))
                mine = CALLS.c.account == self._numbers.get(records)
                return Known(
                    place=place_of(self._engine),
                    calls=calls,
                    newest=None if moment is None else iso(moment),
                    unmarked=_count(connection, CALLS.c.account.in_(theirs) & IS_UNMARKED),
                    records=_count(connection, mine & waits),
                )

        return self._lasting("read", ask)

    def who(self, run: int) -> str:
        """Whose run that is, for people."""

        def ask(_again: bool) -> str:
            columns = (RUNS.c.target, RUNS.c.started, RUNS.c.pid, RUNS.c.node)
            with self._reader.connect() as connection:
                row = connection.execute(sa.select(*columns).where(RUNS.c.id == run)).first()
            if row is None:
                return f"run {run}"
            process = f", process {row.pid}" if row.pid else ""
            return f"run {run} of {row.target}{process} on {row.node}, begun {iso(row.started)}"

        return self._lasting("read", ask)

    # Requests

    def apply(self, requests: Sequence[Request]) -> list[Any]:
        """Carry out many requests in one durable transaction.

        Raises:
            LedgerError: The database can't do it.
            RunEndedError: Our run was ended, and there was a claim.
        """
        if all(isinstance(request, Lookup | Asked) for request in requests):
            return self._lasting("read", lambda _again: self._look(requests))
        return self._lasting("written", lambda again: self._write(requests, again=again))

    def _look(self, requests: Sequence[Request]) -> list[Any]:
        with self._reader.connect() as connection:
            lookups = [request for request in requests if isinstance(request, Lookup)]
            rows = self._read(connection, {(one.account, one.key) for one in lookups})
            missing = [
                one for one in lookups if one.identity.proves and (one.account, one.key) not in rows
            ]
            moments = {one.identity.moment for one in missing if one.identity.moment is not None}
            candidates: dict[int | None, list[Row]] = {}
            for row in self._known_rows(connection, self._rows.at(connection, moments)):
                candidates.setdefault(row.identity.moment, []).append(row)
            asked = {request.key for request in requests if isinstance(request, Asked)}
            others: dict[str, list[Row]] = {}
            for row in self._known_rows(connection, self._rows.under(connection, asked)):
                others.setdefault(row.key, []).append(row)
        results: list[Any] = []
        for request in requests:
            if isinstance(request, Lookup):
                row_or_none = rows.get((request.account, request.key))
                near = candidates.get(request.identity.moment, ())
                same = None if row_or_none or not near else twin(request, self.run, near)
                results.append(Found(row_or_none, same))
            elif isinstance(request, Asked):
                results.append(tuple(_elsewhere(request, others.get(request.key, ()))))
            else:
                results.append(None)
        return results

    def _read(self, connection: Connection, wanted: set[Place]) -> dict[Place, Row]:
        by_account: dict[int, list[str]] = {}
        for account, key in wanted:
            number = self._number(connection, account)
            if number is not None:
                by_account.setdefault(number, []).append(key)
        raw = self._rows.read(connection, by_account)
        return {(row.account, row.key): row for row in self._known_rows(connection, raw)}

    def _write(self, requests: Sequence[Request], *, again: bool) -> list[Any]:
        looks = [request for request in requests if isinstance(request, Lookup | Asked)]
        looked = iter(self._look(looks) if looks else ())
        claims = [request for request in requests if isinstance(request, Claim)]
        target = self._facts.target
        named = places((one for one in requests if not isinstance(one, Lookup | Asked)), target)
        self._make_accounts({account for account, _key in named})
        with self._engine.begin() as connection:
            limit_waits(connection)
            open_ = not claims or self._rows.hold_open(connection, self.run)
            before = self._locked(connection, named, delivered_keys(requests))
            floors = self._floors(connection) if any(not one.seen for one in claims) else {}
            rows = Rows(self.run, target, dict(before), floors, open=open_, again=again)
            results = [
                next(looked) if isinstance(one, Lookup | Asked) else rows.carry_out(one)
                for one in requests
            ]
            self._save(connection, before, rows.rows)
        if not open_:
            raise RunEndedError
        return results

    def _locked(
        self, connection: Connection, named: set[Place], delivered: set[str]
    ) -> dict[Place, Row]:
        by_account: dict[int, list[str]] = {}
        for account, key in named:
            by_account.setdefault(self._numbers[account], []).append(key)
        raw = self._rows.lock(connection, by_account, delivered)
        return {(row.account, row.key): row for row in self._known_rows(connection, raw)}

    def _save(
        self, connection: Connection, before: Mapping[Place, Row], after: Mapping[Place, Row]
    ) -> None:
        new = [row for place, row in after.items() if place not in before]
        changed = [row for place, row in after.items() if before.get(place, row) is not row]
        if new:
            self._rows.insert(connection, self._values(new), _now())
        if changed:
            self._rows.update(connection, self._values(changed), _now())

    def _values(self, rows: Iterable[Row]) -> list[Sequence[Any]]:
        """Rows as the database takes them, in the one order of keys."""
        values = [raw_of(row, self._numbers[row.account]) for row in rows]
        return sorted(values, key=lambda one: (one[0], one[1]))

    def _known_rows(self, connection: Connection, raw: Sequence[Any]) -> list[Row]:
        if any(one[1] not in self._accounts for one in raw):
            self._load_accounts(connection)
        return [row_of(one, self._accounts[one[1]]) for one in raw]

    # Accounts

    def _number(self, connection: Connection, account: Account) -> int | None:
        if account not in self._numbers:
            self._load_accounts(connection)
        return self._numbers.get(account)

    def _load_accounts(self, connection: Connection) -> None:
        columns = (ACCOUNTS.c.id, ACCOUNTS.c.vendor, ACCOUNTS.c.origin, ACCOUNTS.c.campaign)
        for number, *names in connection.execute(sa.select(*columns)):
            account = Account(*names)
            self._numbers[account] = number
            self._accounts[number] = account

    def _make_accounts(self, accounts: set[Account]) -> None:
        if accounts <= self._numbers.keys():
            return
        with self._engine.begin() as connection:
            limit_waits(connection)
            new = [
                {"vendor": one.vendor, "origin": one.origin, "campaign": one.campaign}
                for one in sorted(accounts, key=lambda one: (one.vendor, one.origin, one.campaign))
                if one not in self._numbers
            ]
            connection.execute(self._rows.new_accounts, new)
            self._load_accounts(connection)

    def _floors(self, connection: Connection) -> dict[Account, int]:
        columns = (ACCOUNTS.c.id, ACCOUNTS.c.floor)
        found = connection.execute(sa.select(*columns).where(ACCOUNTS.c.floor.is_not(None)))
        return {
            self._accounts[number]: floor for number, floor in found if number in self._accounts
        }

    # Life and death

    def beat(self) -> bool:
        """Prove that this run lives; may be called from any thread."""
        mine = (RUNS.c.id == self.run) & RUNS.c.ended.is_(None)
        # The one before may have been written without our knowing: both numbers are ours.
        ours = RUNS.c.counter.in_((self._counter, self._counter + 1))
        next_ = RUNS.update().where(mine, ours).values(counter=self._counter + 1)

        def write(_again: bool) -> bool:
            with self._engine.begin() as connection:
                limit_waits(connection)
                return connection.execute(next_).rowcount == 1

        alive = self._lasting("written", write)
        self._counter += alive
        return alive

    def reap(self) -> int:
        """End runs that are gone: their ``sending`` calls are ``unknown``."""
        return self._lasting("written", lambda _again: self._reap())

    def _reap(self) -> int:
        with self._reader.connect() as connection:
            columns = (
                RUNS.c.id,
                RUNS.c.counter,
                RUNS.c.expiry,
                RUNS.c.host,
                RUNS.c.pid,
                RUNS.c.pid_started,
            )
            open_ = connection.execute(
                sa.select(*columns).where(RUNS.c.ended.is_(None), RUNS.c.id != self.run)
            ).all()
            sending = set(connection.execute(_SENDING_RUNS).scalars())
        gone = [run for run in open_ if self._is_gone(run)]
        alive = {run.id for run in open_} | {self.run}
        if not gone and sending <= alive:
            return 0
        with self._engine.begin() as connection:
            limit_waits(connection)
            for run in gone:
                same = (
                    (RUNS.c.id == run.id) & RUNS.c.ended.is_(None) & (RUNS.c.counter == run.counter)
                )
                connection.execute(RUNS.update().where(same).values(ended=_now(), how=_LOST))
            return self._sweep(connection)

    def _is_gone(self, run: Any) -> bool:  # noqa: ANN401 - a result's row
        now = self._clock()
        counter, since = self._watched.get(run.id, (None, now))
        if counter != run.counter:
            self._watched[run.id] = (run.counter, now)
            since = now
        if now - since >= run.expiry:
            return True
        return run.host is not None and self._machine.is_gone(
            Process(run.host, run.pid, run.pid_started)
        )

    def _sweep(self, connection: Connection) -> int:
        """``sending`` rows of ended runs are unknown, always."""
        before = self._known_rows(connection, self._rows.abandoned(connection))
        if before:
            self._rows.update(connection, self._values(map(left, before)), _now())
        return len(before)

    def close(self, *, how: str = "", counts: Mapping[str, Any] | None = None) -> None:
        """End the run: calls of ours still ``sending`` are unknown."""
        end = (
            RUNS.update()
            .where(RUNS.c.id == self.run)
            .values(
                ended=sa.func.coalesce(RUNS.c.ended, _now()),
                how=sa.func.coalesce(RUNS.c.how, how or None),
                counts=None if counts is None else json.dumps(counts, separators=(",", ":")),
            )
        )

        def write(_again: bool) -> None:
            with self._engine.begin() as connection:
                limit_waits(connection)
                connection.execute(end)
                self._sweep(connection)

        try:
            self._lasting("written", write)
        finally:
            self._engine.dispose()

    def _lasting(self, what: str, work: Callable[[bool], _T]) -> _T:
        """Do it, again and again through a short outage, for as long as a request may take.

        Args:
            what: ``read`` or ``written``, for the sentence.
            work: Is told whether it may have been done before.
        """
        until: float | None = None
        pause, again = _FIRST_PAUSE, False
        while True:
            try:
                return work(again)
            except RacedError:
                continue
            except sa.exc.SQLAlchemyError as error:
                now = time.monotonic()
                until = until or now + self._facts.request_timeout
                if now >= until or not is_transient(error):
                    raise in_words(error, what) from error
            time.sleep(pause)
            pause, again = min(2 * pause, _LONGEST_PAUSE), True


_SENDING_RUNS = sa.select(CALLS.c.run).where(STANDING, CALLS.c.state == SENDING).distinct()


def _count(connection: Connection, condition: sa.ColumnElement[bool]) -> int:
    some = sa.select(sa.literal(1)).select_from(CALLS).where(condition).limit(KNOWN_LIMIT)
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
    )


def _elsewhere(request: Asked, rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        if row.account.vendor == request.account.vendor and row.account != request.account:
            yield row


def _now() -> int:
    return int(time.time())
