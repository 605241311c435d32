"""What is forgotten on purpose, and how a ledger moves: no call is ever paid again for it."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import CLOSED, DELIVERED, PERSON, SENDING, Row, iso
from singer_calls.deliver.identity import Identity
from singer_calls.deliver.ledger import LedgerError
from singer_calls.deliver.sql_database import Database
from singer_calls.deliver.sql_errors import explained
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, DECISIONS, RUNS
from singer_calls.errors import PluginError
from singer_calls.ledger_cli.decisions import RECORD, RefusedError
from singer_calls.ledger_cli.filed_records import Line, lines_of
from singer_calls.ledger_cli.waiting import name_of
from singer_calls.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Connection

    from singer_calls.deliver.dead_letters_files import Files
    from singer_calls.ledger_cli.desk import Desk

MARGIN_SECONDS = 14 * 60 * 60  # seconds: as far as a corrected time zone moves a call
_TIMEOUT_SECONDS = 10.0
_BATCH_ROWS = 5000  # rows at a time
_FORGOTTEN = "forgotten by a person's decision"


# Files


def _rewrite(files: Files, name: str, keep: Callable[[Line], bool], *, records: bool) -> int:
    """Leave lines out of a file, for good; a file of which nothing is left goes.

    Returns:
        How many.
    """
    kept = removed = 0
    for line in lines_of(files, name, records=records):
        if not keep(line):
            removed += 1
        elif line.mark is not None or line.record is not None:
            kept += 1
    if not removed:
        return 0
    if not kept:
        files.remove(name)
        return removed
    lines = lines_of(files, name, records=records)
    files.write(name, (line.text for line in lines if keep(line)))
    return removed


def _leave_out(
    files: Files, names: Sequence[str], keep: Callable[[Line], bool], *, records: bool
) -> int:
    try:
        return sum(_rewrite(files, name, keep, records=records) for name in names)
    except OSError as error:
        raise PluginError(f"A file in rejected_path can't be changed: {error.strerror}") from error


# Forget


def forget(desk: Desk, files: Files, keys: Sequence[str], account: str | None) -> tuple[int, int]:
    """Erase calls: their originals everywhere, and in their rows all but the key and the state.

    A call that waited is closed. No row goes: the call would be new, and paid again.

    Returns:
        How many rows, and how many originals.

    Raises:
        RefusedError: A key is unknown, or its call is being sent, or a run has its files open.
    """
    listed = files.names()  # before the runs: a file of a later run is none of them
    desk.refuse_open_runs("its files can't be changed: forget when it has ended")
    calls = desk.under(keys, account)
    if missing := set(keys) - {call.key for call in calls}:
        raise RefusedError(f"The ledger knows no call {', '.join(map(shown, sorted(missing)))}")
    places = {(call.account, call.key) for call in calls}
    names = {key for _, key in places}

    def keep(line: Line) -> bool:
        if line.mark is None:
            return line.record is None or not _holds(line.record, names)
        return not places.intersection(line.places)

    records = any(account.vendor == RECORD for account, _ in places)
    removed = _leave_out(files, listed, keep, records=records)
    desk.change(places, _erased)
    return len(calls), removed


def _erased(row: Row) -> Row:
    if row.state == SENDING:
        raise RefusedError(f"{shown(row.key)} is being sent by run {row.run}: wait for its outcome")
    new = replace(
        row,
        identity=Identity(),
        fingerprint=b"",
        refused=(),
        field=None,
        file=None,
        released=False,
        told=None,
    )
    if row.state in DELIVERED:
        return replace(new, bound=True, reason="")
    return replace(new, state=CLOSED, remedy=PERSON, reason=_FORGOTTEN)


def _holds(value: Any, names: set[str]) -> bool:  # noqa: ANN401 - JSON
    """Whether one of these texts is somewhere in a record."""
    if isinstance(value, dict):
        return any(_holds(one, names) for one in value.values())
    if isinstance(value, list):
        return any(_holds(one, names) for one in value)
    return str(value) in names


# Prune


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was forgotten: rows and originals; ``files`` is None while a run has files open."""

    rows: int
    originals: int | None


def prune(desk: Desk, files: Files, before: int, account: str | None) -> Pruned:
    """Forget delivered and closed calls of before a moment, under a floor.

    The floor is written first: from then on no new call from before it is sent. Calls of the last
    14 hours under it stay, as do those without a moment and those that wait.

    Args:
        desk: The ledger.
        files: Those of ``rejected_path``.
        before: UTC seconds since the epoch.
        account: Part of the accounts' name, None for all.
    """
    with desk.writing() as (connection, _calls):
        numbers = [
            number
            for number, one in desk.accounts(connection).items()
            if one.vendor != RECORD and (account is None or account in name_of(one))
        ]
        if not numbers:
            raise RefusedError(f"The ledger knows no account {shown(account or '')}")
        lower = sa.func.coalesce(ACCOUNTS.c.floor, before - 1) < before
        raised = ACCOUNTS.update().where(ACCOUNTS.c.id.in_(numbers), lower)
        connection.execute(raised.values(floor=before))
    rows = 0
    old = (CALLS.c.moment.is_not(None)) & (CALLS.c.moment < before - MARGIN_SECONDS)
    gone = old & CALLS.c.state.in_([*sorted(DELIVERED), CLOSED]) & CALLS.c.account.in_(numbers)
    some = sa.select(CALLS.c.key, CALLS.c.account).where(gone).limit(_BATCH_ROWS)
    batch = CALLS.delete().where(sa.tuple_(CALLS.c.key, CALLS.c.account).in_(some), gone)
    while True:
        with desk.writing() as (connection, _calls):
            count = connection.execute(batch).rowcount
        rows += count
        if count < _BATCH_ROWS:
            break
    return Pruned(rows, _prune_files(desk, files, before))


def _prune_files(desk: Desk, files: Files, before: int) -> int | None:
    listed = files.names()
    if desk.open_runs():
        return None
    waiting = {(call.account, call.key) for call in desk.waiting()}
    with desk.reading() as connection:
        known = set(desk.accounts(connection).values())
    old = iso(before)

    def keep(line: Line) -> bool:
        if line.mark is None or str(line.mark.get("time")) >= old:
            return True
        of_another_ledger = line.places[0][0] not in known
        return of_another_ledger or not waiting.isdisjoint(line.places)

    return _leave_out(files, listed, keep, records=True)


# Copy


def copy(desk: Desk, url: str) -> dict[str, int]:
    """Carry a ledger to another database, in one transaction there.

    Returns:
        How many rows there are of each table, the same on both sides.

    Raises:
        RefusedError: A run lives, or there is another ledger already.
        LedgerError: A database can't be used.
    """
    with desk.writing() as (source, _calls):  # before there are tables in the other one
        desk.refuse_open(source, "copy when it has ended")
    with explained("opened"):
        target = Database(url, _TIMEOUT_SECONDS)
    with closing(target), desk.writing() as (source, _calls):
        if target.place == desk.place and target.engine.url == desk.engine.url:
            raise RefusedError("That is the same ledger")
        if source.dialect.name == "postgresql":
            source.exec_driver_sql(f"LOCK TABLE {RUNS.name}, {CALLS.name} IN EXCLUSIVE MODE")
        desk.refuse_open(source, "copy when it has ended")
        with explained("written"), target.writing() as new:
            _refuse_other(source, new)
            return {table.name: _carry(source, new, table) for table in _TABLES}


_TABLES = (ACCOUNTS, RUNS, CALLS, DECISIONS)


def _refuse_other(source: Connection, new: Connection) -> None:
    """An earlier copy may be made again; a ledger with a life of its own is none."""
    columns = sa.select(RUNS.c.id, RUNS.c.target, RUNS.c.started)
    ours = {tuple(row) for row in source.execute(columns)}
    theirs = {tuple(row) for row in new.execute(columns)}
    has_calls = new.execute(sa.select(CALLS.c.key).limit(1)).first() is not None
    if theirs - ours or (has_calls and not theirs):
        raise RefusedError("There is a ledger already, with runs that this one does not know")


def _carry(source: Connection, new: Connection, table: sa.Table) -> int:
    new.execute(table.delete())
    streamed = source.execution_options(yield_per=_BATCH_ROWS).execute(sa.select(table))
    for rows in streamed.partitions():
        new.execute(table.insert(), [dict(row._mapping) for row in rows])  # noqa: SLF001 - public
    count = sa.select(sa.func.count()).select_from(table)
    counts = Counter(one.execute(count).scalar_one() for one in (source, new))
    if len(counts) != 1:
        raise LedgerError("The copy has not as many rows as the ledger: nothing was written")
    if new.dialect.name == "postgresql" and "id" in table.c:
        newest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        new.execute(sa.select(sa.func.setval(sequence, newest)).where(newest.is_not(None)))
    return int(next(iter(counts)))
