"""What was sent: one row per call and destination, durable before the request leaves.

    (none) ─claim─> sending ─> accepted | duplicate | rejected | unknown
                       └─────> waiting (certainly not processed) ─claim─> sending ...

``sending`` rows of a run that is gone become ``unknown``: their request may have left. SQLite (WAL,
full sync) by default, PostgreSQL by URL; several runs may share one ledger. It holds keys, states
and hashes, never a call.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from singer_calls.deliver.lease import lease_for
from singer_calls.deliver.ledger_store import CALLS, RUNS, explained, migrate, now, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection

SENDING, WAITING, UNKNOWN = "sending", "waiting", "unknown"
ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"
STATES = (SENDING, WAITING, UNKNOWN, ACCEPTED, DUPLICATE, REJECTED)
DELIVERED = frozenset({ACCEPTED, DUPLICATE})

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_CHUNK = 400  # keys per statement, below SQLite's limit on parameters


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger knows of a call.

    Attributes:
        state: One of ``STATES``.
        run: Number of the run that wrote it.
        fingerprint: Hash of the content sent.
        filed: True when an unknown call is in a held file already.
    """

    state: str
    run: int
    fingerprint: str
    filed: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """Read a call's row. Result: ``Row`` or None."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Make the call ours to send, if its row still is as it was seen. Result: bool.

    Attributes:
        seen: The row as looked up, None for no row.
        fingerprint: Hash of the content about to be sent.
    """

    scope: str
    key: str
    seen: Row | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Note:
    """Write down what became of a call that is ours. Result: None."""

    scope: str
    key: str
    state: str
    reason: str = ""
    reference: str | None = None
    filed: bool = False


Request = Lookup | Claim | Note


class Ledger:
    """One run's hold on the ledger.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        target: The plugin's name.

    Raises:
        LedgerError: The URL is wrong, or the database can't be used, or is newer than this code.
    """

    def __init__(self, url: str, target: str) -> None:
        with explained("opened"), ExitStack() as undo:
            self._engine = open_engine(url)
            undo.callback(self._engine.dispose)
            self._insert: Any = _INSERT[self._engine.dialect.name]
            self._lease = lease_for(self._engine)
            undo.callback(self._lease.release)
            migrate(self._engine)
            with self._engine.begin() as connection:
                new = connection.execute(RUNS.insert().values(target=target, started=now()))
                self.run: int = (new.inserted_primary_key or (0,))[0]
                self._lease.hold(self.run)
            self.reap()
            undo.pop_all()

    def reap(self) -> int:
        """Mark what runs that are gone left in ``sending`` as ``unknown``.

        Returns:
            How many calls.
        """
        with explained("read"), self._engine.begin() as connection:
            open_runs = sa.select(RUNS.c.id).where(RUNS.c.ended.is_(None), RUNS.c.id != self.run)
            gone = [run for (run,) in connection.execute(open_runs) if self._lease.is_gone(run)]
            if not gone:
                return 0
            return _end(connection, gone)

    def apply(self, requests: Sequence[Request]) -> list[Any]:
        """Carry out many requests in one durable transaction.

        Returns:
            The result of each, in order.
        """
        with explained("written"):
            if all(isinstance(request, Lookup) for request in requests):
                with self._engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                ) as connection:
                    return self._lookups(connection, requests)
            with self._engine.begin() as connection:
                results = self._lookups(connection, requests)
                taken = self._claim_new(connection, requests)
                for number, request in enumerate(requests):
                    if isinstance(request, Claim):
                        results[number] = (
                            (request.scope, request.key) in taken
                            if request.seen is None
                            else self._reclaim(connection, request, request.seen)
                        )
                self._write_notes(connection, requests)
                return results

    def _lookups(self, connection: Connection, requests: Sequence[Request]) -> list[Any]:
        wanted = [request for request in requests if isinstance(request, Lookup)]
        rows: dict[tuple[str, str], Row] = {}
        for start in range(0, len(wanted), _CHUNK):
            pairs = [(want.scope, want.key) for want in wanted[start : start + _CHUNK]]
            found = sa.select(
                CALLS.c.scope,
                CALLS.c.key,
                CALLS.c.state,
                CALLS.c.run,
                CALLS.c.fingerprint,
                CALLS.c.filed,
            ).where(sa.tuple_(CALLS.c.scope, CALLS.c.key).in_(pairs))
            for scope, key, *rest in connection.execute(found):
                rows[scope, key] = Row(*rest)
        return [
            rows.get((request.scope, request.key)) if isinstance(request, Lookup) else None
            for request in requests
        ]

    def _claim_new(
        self, connection: Connection, requests: Sequence[Request]
    ) -> set[tuple[str, str]]:
        new = [
            {
                "scope": request.scope,
                "key": request.key,
                "state": SENDING,
                "run": self.run,
                "fingerprint": request.fingerprint,
                "attempts": 1,
                "filed": False,
                "updated": now(),
            }
            for request in requests
            if isinstance(request, Claim) and request.seen is None
        ]
        taken: set[tuple[str, str]] = set()
        for start in range(0, len(new), _CHUNK // 8):
            insert = (
                self._insert(CALLS)
                .values(new[start : start + _CHUNK // 8])
                .on_conflict_do_nothing()
                .returning(CALLS.c.scope, CALLS.c.key)
            )
            taken.update((scope, key) for scope, key in connection.execute(insert))
        return taken

    def _reclaim(self, connection: Connection, claim: Claim, seen: Row) -> bool:
        still = (
            (CALLS.c.scope == claim.scope)
            & (CALLS.c.key == claim.key)
            & (CALLS.c.state == seen.state)
            & (CALLS.c.run == seen.run)
        )
        mine = (
            CALLS.update()
            .where(still)
            .values(
                state=SENDING,
                run=self.run,
                fingerprint=claim.fingerprint,
                attempts=CALLS.c.attempts + 1,
                filed=False,
                updated=now(),
            )
        )
        return connection.execute(mine).rowcount == 1

    def _write_notes(self, connection: Connection, requests: Sequence[Request]) -> None:
        notes = [
            {
                "at_scope": note.scope,
                "at_key": note.key,
                "state": note.state,
                "run": self.run,
                "reason": note.reason[:512] or None,
                "reference": note.reference and note.reference[:255],
                "filed": note.filed,
                "updated": now(),
            }
            for note in requests
            if isinstance(note, Note)
        ]
        if notes:
            where = (CALLS.c.scope == sa.bindparam("at_scope")) & (
                CALLS.c.key == sa.bindparam("at_key")
            )
            columns = ("state", "run", "reason", "reference", "filed", "updated")
            update = CALLS.update().where(where).values({c: sa.bindparam(c) for c in columns})
            connection.execute(update, notes)

    def close(self) -> None:
        """End the run: a call whose outcome it could not write down is unknown."""
        try:
            with explained("written"), self._engine.begin() as connection:
                _end(connection, [self.run])
        finally:
            self._lease.release()
            self._engine.dispose()


def _end(connection: Connection, runs: Sequence[int]) -> int:
    """End runs; the number of calls that they left in ``sending``, now ``unknown``."""
    left = (
        CALLS.update()
        .where((CALLS.c.state == SENDING) & CALLS.c.run.in_(runs))
        .values(
            state=UNKNOWN,
            filed=False,
            reason="the run ended before the vendor's answer was written down",
            updated=now(),
        )
    )
    count = connection.execute(left).rowcount
    connection.execute(RUNS.update().where(RUNS.c.id.in_(runs)).values(ended=now()))
    return count


def report(url: str) -> Iterator[str]:
    """What a ledger holds, for people: no run is begun, nothing is changed.

    Yields:
        Lines: calls by day and state, then the keys that wait for a person, oldest first.

    Raises:
        LedgerError: There is none, or it can't be read.
    """
    day = sa.func.substr(CALLS.c.updated, 1, 10)
    by_day = (
        sa.select(day, CALLS.c.state, sa.func.count())
        .group_by(day, CALLS.c.state)
        .order_by(day.desc(), CALLS.c.state)
    )
    waiting = (
        sa.select(CALLS.c.state, CALLS.c.key, CALLS.c.updated, CALLS.c.reason)
        .where(CALLS.c.state.in_((UNKNOWN, REJECTED)))
        .order_by(CALLS.c.state, CALLS.c.updated, CALLS.c.key)
    )
    with explained("read"):
        engine = open_engine(url, create=False)
        with closing(engine.connect()) as connection:
            yield f"{'day':<12}{'state':<12}{'calls':>8}"
            for when, state, count in connection.execute(by_day):
                yield f"{when:<12}{state:<12}{count:>8}"
            for state, key, updated, reason in connection.execute(waiting):
                yield f"{state} {key} {updated} {reason or ''}".rstrip()
        engine.dispose()
