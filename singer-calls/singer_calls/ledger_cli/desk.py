"""What people read in a ledger and decide there; begins no run.

Reads take no lock, and none of them walks through the calls: what waits has an index, what was
delivered is counted in the rows of the runs.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import WAITS
from singer_calls.deliver.identity import Account
from singer_calls.deliver.ledger import LedgerError
from singer_calls.deliver.sql_calls import Calls
from singer_calls.deliver.sql_database import Database, now
from singer_calls.deliver.sql_errors import explained
from singer_calls.deliver.sql_runs import read_counts
from singer_calls.deliver.sql_store import format_of, open_engine, place_of, reading
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, DECISIONS, FORMAT, RUNS
from singer_calls.deliver.transitions import elsewhere
from singer_calls.ledger_cli.decisions import Choice, Decision, RefusedError, decided
from singer_calls.ledger_cli.runs import Run, end_gone, open_runs
from singer_calls.ledger_cli.waiting import (
    SHOWN,
    Call,
    Filter,
    Place,
    call_of,
    conditions_of,
    is_waiting,
    name_of,
    state_shown,
    why_shown,
)
from singer_calls.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from singer_calls.deliver.entries import Row

_TIMEOUT_SECONDS = 10.0  # for which an outage is sat out
_CHUNK_KEYS = 500  # per statement
_PAGE_ROWS = 1000  # per statement


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was made of a call."""

    decision: str
    who: str
    decided: int
    attempt: int
    reference: str | None
    note: str | None


class Desk:
    """An existing ledger, open for a person.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL, absolute.

    Raises:
        LedgerError: There is none, it can't be read, or it is of another release.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._database: Database | None = None
        with explained("read"):
            self.engine = open_engine(url, create=False)
            try:
                self._check()
            except BaseException:
                self.engine.dispose()
                raise
        self._reader = reading(self.engine)

    def _check(self) -> None:
        version = format_of(self.engine)
        if version is None:
            raise LedgerError("There is no ledger at ledger_url: name the one that the runs use")
        if version != FORMAT:
            raise LedgerError(
                "The ledger (ledger_url) is of an earlier release: the next run brings it up to "
                "date, then look again"
            )

    def close(self) -> None:
        """Leave it."""
        self.engine.dispose()
        if self._database is not None:
            self._database.close()

    @property
    def place(self) -> str:
        """Where it is: the file, or the URL without its secrets."""
        return place_of(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reads.

        Raises:
            LedgerError: It can't be read.
        """
        with explained("read"), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, Calls]]:
        """One transaction, and the calls in it. ``sending`` rows of runs that are gone are none."""
        database = self._database = self._database or Database(self._url, _TIMEOUT_SECONDS)
        calls = Calls(database)
        with explained("written"), database.writing() as connection:
            calls.of_vendor(connection, "")  # reads the accounts
            end_gone(connection, calls)
            yield connection, calls

    # What is there

    def accounts(self, connection: Connection) -> dict[int, Account]:
        """All accounts by their numbers."""
        columns = (ACCOUNTS.c.id, ACCOUNTS.c.vendor, ACCOUNTS.c.origin, ACCOUNTS.c.campaign)
        return {id_: Account(*names) for id_, *names in connection.execute(sa.select(*columns))}

    def runs(self, limit: int | None = None) -> list[Run]:
        """Runs, the newest first."""
        columns = (
            RUNS.c.id,
            RUNS.c.target,
            RUNS.c.started,
            RUNS.c.ended,
            RUNS.c.how,
            RUNS.c.node,
            RUNS.c.counts,
        )
        with self.reading() as connection:
            found = connection.execute(
                sa.select(*columns).order_by(RUNS.c.id.desc()).limit(limit)
            ).all()
        return [
            Run(
                run.id,
                run.target,
                run.started,
                run.ended,
                run.how,
                run.node,
                *read_counts(run.counts),
            )
            for run in found
        ]

    def waiting(self, wanted: Filter | None = None, limit: int | None = None) -> Iterator[Call]:
        """Calls that wait for a person, oldest first."""
        place = sa.tuple_(CALLS.c.updated, CALLS.c.key, CALLS.c.account)
        left_ = sys.maxsize if limit is None else limit
        last: tuple[Any, ...] | None = None
        while left_ > 0:
            with self.reading() as connection:
                accounts = self.accounts(connection)
                conditions = list(conditions_of(wanted or Filter(), accounts))
                if last is not None:
                    conditions.append(place > last)
                query = sa.select(*SHOWN).where(*conditions).order_by(*place.clauses)
                rows = connection.execute(query.limit(min(left_, _PAGE_ROWS))).all()
            for row in rows:
                yield call_of(row, accounts)
            if len(rows) < _PAGE_ROWS:
                return
            last = (rows[-1].updated, rows[-1].key, rows[-1].account)
            left_ -= len(rows)

    def groups(self) -> list[tuple[str, str, Account, int, int]]:
        """What waits by state, reason and account: with how many, and the oldest."""
        state, why = state_shown(), why_shown()
        count = sa.func.count()
        query = (
            sa.select(state, why, CALLS.c.account, count, sa.func.min(CALLS.c.updated))
            .where(is_waiting())
            .group_by(state, why, CALLS.c.account)
            .order_by(count.desc())
        )
        with self.reading() as connection:
            accounts = self.accounts(connection)
            found = connection.execute(query).all()
        return [(s, w, accounts[number], n, oldest) for s, w, number, n, oldest in found]

    def under(self, keys: Sequence[str], account: str | None = None) -> list[Call]:
        """All that is known under these keys.

        Args:
            keys: Whole keys.
            account: Part of an account's name.
        """
        calls: list[Call] = []
        with self.reading() as connection:
            accounts = self.accounts(connection)
            open_ = open_runs(connection)
            for start in range(0, len(keys), _CHUNK_KEYS):
                query = sa.select(*SHOWN).where(CALLS.c.key.in_(keys[start : start + _CHUNK_KEYS]))
                ordered = query.order_by(CALLS.c.key, CALLS.c.account)
                calls += [call_of(row, accounts, open_) for row in connection.execute(ordered)]
        return [call for call in calls if account is None or account in name_of(call.account)]

    def one_each(self, keys: Sequence[str], account: str | None = None) -> list[Call]:
        """The call of each key; of several accounts, the one that waits for a person.

        Raises:
            RefusedError: A key is unknown, or is one of several accounts all the same.
        """
        found: dict[str, list[Call]] = {}
        for call in self.under(keys, account):
            found.setdefault(call.key, []).append(call)
        for key in keys:
            if key not in found:
                where = f" in the account {shown(account)}" if account else ""
                raise RefusedError(f"The ledger knows no call {shown(key)}{where}")
            waits = [call for call in found[key] if call.state in WAITS]
            if len(waits) == 1:
                found[key] = waits
            if len(found[key]) > 1:
                names = "; ".join(shown(name_of(call.account), 200) for call in found[key])
                raise RefusedError(
                    f"{shown(key)} is a call of several accounts: choose with --account: {names}"
                )
        return [found[key][0] for key in dict.fromkeys(keys)]

    def decisions(self, call: Call) -> list[Decided]:
        """What people decided of a call, oldest first."""
        columns = (
            DECISIONS.c.decision,
            DECISIONS.c.who,
            DECISIONS.c.decided,
            DECISIONS.c.attempt,
            DECISIONS.c.reference,
            DECISIONS.c.note,
        )
        with self.reading() as connection:
            numbers = {one: id_ for id_, one in self.accounts(connection).items()}
            same = (DECISIONS.c.key == call.key) & (DECISIONS.c.account == numbers[call.account])
            query = sa.select(*columns).where(same).order_by(DECISIONS.c.id)
            return [Decided(*row) for row in connection.execute(query)]

    def open_runs(self) -> list[int]:
        """Numbers of runs that live, or may."""
        with self.writing() as (connection, _calls):  # which ends those that are gone
            return sorted(open_runs(connection))

    def refuse_open_runs(self, what: str) -> None:
        """Refuse while a run lives.

        Raises:
            RefusedError: One does.
        """
        with self.writing() as (connection, _calls):
            self.refuse_open(connection, what)

    def refuse_open(self, connection: Connection, what: str) -> None:
        """The same in a transaction that is open already.

        Raises:
            RefusedError: A run lives.
        """
        if runs := sorted(open_runs(connection)):
            raise RefusedError(f"Run {runs[0]} is under way: {what}")

    # Decisions

    def change(self, places: set[Place], new: Callable[[Row], Row]) -> None:
        """Change these rows, and forget what people noted about them."""
        with self.writing() as (connection, calls):
            before = calls.lock(connection, places, set())
            calls.save(connection, before, {place: new(row) for place, row in before.items()})
            for start in range(0, len(places), _CHUNK_KEYS):
                keys = [key for _, key in sorted(places, key=str)[start : start + _CHUNK_KEYS]]
                notes = DECISIONS.update().where(DECISIONS.c.key.in_(keys))
                connection.execute(notes.values(note=None))
        if self.engine.dialect.name == "sqlite":  # what was there is in the -wal still
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def decide(
        self,
        places: Iterable[Place],
        decision: Decision,
        seen: Mapping[Place, int] | None = None,
    ) -> int:
        """Write a decision about these calls down, about all of them or none.

        Args:
            places: The calls.
            decision: A person's.
            seen: The attempt of each that the person saw.

        Returns:
            About how many.

        Raises:
            RefusedError: Of one of them there is nothing to decide.
        """
        wanted = set(places)
        delivered = {key for _, key in wanted} if decision.choice is Choice.DELIVERED else set()
        with self.writing() as (connection, calls):
            before = calls.lock(connection, wanted, delivered)
            after = dict(before)
            for place in sorted(wanted, key=lambda one: (one[1], name_of(one[0]))):
                if place not in before:
                    raise RefusedError(f"The ledger knows no call {shown(place[1])} any more")
                attempt = seen.get(place) if seen else decision.attempt
                after[place] = decided(before[place], replace(decision, attempt=attempt))
            for row in [after[place] for place in wanted] if delivered else []:
                after |= elsewhere(row, after)
            calls.save(connection, before, after)
            numbers = {one: id_ for id_, one in self.accounts(connection).items()}
            audit = [
                {
                    "key": key,
                    "account": numbers[account],
                    "attempt": before[account, key].attempt,
                    "decision": decision.choice.value,
                    "reference": decision.reference,
                    "note": decision.note,
                    "who": decision.who,
                    "decided": now(),
                }
                for account, key in wanted
            ]
            if audit:
                connection.execute(DECISIONS.insert(), audit)
        return len(wanted)
