"""What was sent: one row per call and account, durable before the request leaves.

SQLite (WAL, full sync) by default, PostgreSQL by URL; several runs may share one ledger. It holds
keys, states, marks and hashes, never a call.

A group of requests is one transaction: read the rows that it can touch (locked, in one order of
keys), change them in memory (transitions.py), write those that changed. Look-ups are plain reads.
A claim needs its run's row open (sql_runs.py).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import DELIVERED, WAITS, Found, Row, iso, records_of
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
from singer_calls.deliver.sql_calls import Calls
from singer_calls.deliver.sql_database import Database
from singer_calls.deliver.sql_errors import explained
from singer_calls.deliver.sql_runs import Runs
from singer_calls.deliver.sql_tables import CALLS, DECISIONS, IS_UNMARKED, STANDING
from singer_calls.deliver.transitions import Rows, delivered_keys, places, twin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from singer_calls.deliver.machine import Machine


class SqlLedger:
    """One run's hold on a ledger, see ``entries.Ledger``; opening it begins the run.

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
        self._target = facts.target
        self._database = Database(url, facts.request_timeout)
        self._calls = Calls(self._database)
        try:
            with explained("opened"):
                self._runs = Runs(self._database, self._calls, facts, clock=clock, machine=machine)
            self.run = self._runs.run
            self.reap()
        except BaseException:
            self._database.close()
            raise

    def summary(self, vendor: str) -> LedgerSummary:
        """What is known at the start; counting ends at ``COUNT_LIMIT_CALLS``."""
        return self._database.lasting("read", lambda _again: self._summary(vendor))

    def _summary(self, vendor: str) -> LedgerSummary:
        with self._database.reading() as connection:
            theirs = CALLS.c.account.in_(self._calls.of_vendor(connection, vendor))
            records = self._calls.number(connection, records_of(self._target))
            delivered = theirs & CALLS.c.state.in_(sorted(DELIVERED))
            of_records = CALLS.c.account == records
            waiting = of_records & STANDING & CALLS.c.state.in_(sorted(WAITS))
            any_call = sa.select(CALLS.c.key).limit(1)
            any_here = any_call.where(theirs | of_records)
            decided = DECISIONS.c.account == records
            calls = _count(connection, delivered)
            newest = sa.select(CALLS.c.moment).where(delivered, CALLS.c.moment.is_not(None))
            last = newest.order_by(CALLS.c.moment.desc()).limit(1)
            moment = connection.execute(last).scalar() if calls else None
            return LedgerSummary(
                place=self._database.place,
                calls=calls,
                newest=None if moment is None else iso(moment),
                unmarked=_count(connection, theirs & IS_UNMARKED),
                records=_count(connection, waiting) + _count(connection, decided, DECISIONS),
                empty=connection.execute(any_call).first() is None,
                first_here=connection.execute(any_here).first() is None,
            )

    def who(self, run: int) -> str:
        """Whose run that is, for people."""
        return self._database.lasting("read", lambda _again: self._runs.who(run))

    def apply(self, requests: Sequence[Request]) -> list[Any]:
        """Carry out many requests in one durable transaction.

        Raises:
            LedgerError: The database can't do it.
            RunEndedError: Our run was ended, and there was a claim.
        """
        if all(isinstance(request, Lookup | Asked) for request in requests):
            return self._database.lasting("read", lambda _again: self._look(requests))
        return self._database.lasting("written", lambda again: self._write(requests, again=again))

    def _look(self, requests: Sequence[Request]) -> list[Any]:
        lookups = [request for request in requests if isinstance(request, Lookup)]
        asked = [request for request in requests if isinstance(request, Asked)]
        with self._database.reading() as connection:
            rows = self._calls.read(connection, {(one.account, one.key) for one in lookups})
            new = [one.identity for one in lookups if (one.account, one.key) not in rows]
            moments = {who.moment for who in new if who.proves and who.moment is not None}
            near = self._calls.at(connection, moments) if moments else []
            under = self._calls.under(connection, {one.key for one in asked}) if asked else []
        near_by = _grouped(near, lambda row: row.identity.moment)
        under_by = _grouped(under, lambda row: row.key)

        def found(request: Request) -> Found | tuple[Row, ...]:
            if isinstance(request, Asked):
                return tuple(
                    row
                    for row in under_by.get(request.key, ())
                    if row.account.vendor == request.account.vendor
                    and row.account != request.account
                )
            assert isinstance(request, Lookup)  # noqa: S101 - there is no third kind
            row = rows.get((request.account, request.key))
            candidates = () if row else near_by.get(request.identity.moment, ())
            return Found(row, twin(request, self.run, candidates))

        return [found(request) for request in requests]

    def _write(self, requests: Sequence[Request], *, again: bool) -> list[Any]:
        looks = [request for request in requests if isinstance(request, Lookup | Asked)]
        writes = [request for request in requests if not isinstance(request, Lookup | Asked)]
        claims = [request for request in writes if isinstance(request, Claim)]
        looked = iter(self._look(looks) if looks else ())
        named = places(writes, self._target)
        self._calls.make_accounts({account for account, _key in named})
        with self._database.writing() as connection:
            statements = self._database.statements
            may_send = not claims or statements.hold_open(connection, self.run)
            before = self._calls.lock(connection, named, delivered_keys(writes))
            # After the rows: who prunes sets the floor and removes them at once.
            new = any(claim.seen is None for claim in claims)
            floors = self._calls.floors(connection) if new else {}
            rows = Rows(self.run, self._target, dict(before), floors, open=may_send, again=again)
            results = [
                next(looked) if isinstance(one, Lookup | Asked) else rows.carry_out(one)
                for one in requests
            ]
            self._calls.save(connection, before, rows.rows)
        if not may_send:
            raise RunEndedError
        return results

    def beat(self) -> bool:
        """Prove that this run lives; may be called from any thread."""
        return self._database.lasting("written", lambda _again: self._runs.beat())

    def tell(self, waits_for: str, counts: Mapping[str, Any]) -> None:
        """Say for people how far this run is; may be called from any thread.

        Raises:
            LedgerError: It could not be written now.
        """
        with explained("written"):
            self._runs.tell(waits_for, counts)

    def reap(self) -> int:
        """End runs that are gone: their ``sending`` calls are ``unknown``."""
        return self._database.lasting("written", lambda _again: self._runs.reap())

    def close(self, *, how: str = "", counts: Mapping[str, Any] | None = None) -> None:
        """End the run: calls of ours still ``sending`` are unknown."""
        try:
            self._database.lasting("written", lambda _again: self._runs.end(how, counts))
        finally:
            self._database.close()


def _count(
    connection: Connection, condition: sa.ColumnElement[bool], table: sa.Table = CALLS
) -> int:
    some = sa.select(sa.literal(1)).select_from(table).where(condition).limit(COUNT_LIMIT_CALLS)
    count = sa.select(sa.func.count()).select_from(some.subquery())
    return int(connection.execute(count).scalar_one())


def _grouped(rows: Sequence[Row], by: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(by(row), []).append(row)
    return groups
