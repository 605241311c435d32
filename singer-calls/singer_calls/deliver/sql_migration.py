"""From the first format to the second: one transaction, and on SQLite a copy beside the file.

The first format knew a call by the text of its destination (``https://host/path campaign 7``) and
its key, in whatever spelling they came. Rows that become one keep the strongest state.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from singer_calls.deliver.entries import (
    ACCEPTED,
    DUPLICATE,
    REJECTED,
    SENDING,
    UNKNOWN,
    UNMARKED,
    WAITING,
)
from singer_calls.deliver.identity import Account
from singer_calls.deliver.ledger import LedgerError
from singer_calls.deliver.sql_store import limit_waits
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, RUNS, VERSION, create
from singer_calls.deliver.transitions import LEFT
from singer_calls.http.origin import origin_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

COPY = ".format-1"  # ends the name of the copy
_STRONGEST = ((ACCEPTED,), (DUPLICATE,), (UNKNOWN, SENDING), (REJECTED,), (WAITING,))
_LOCK_CLASS = 0x63616C6C  # of the first format's advisory locks, one per living run
_SCOPE = re.compile(r"(?P<url>\S+) campaign (?P<campaign>.*)", re.DOTALL)
_TARGET = re.compile(r"target-(?P<vendor>.+)-calls")
_WHOLE = re.compile(r"(\d+)\.0+")

# What the two databases say differently: a moment as a number, and a whole number with a point.
_EPOCH = {
    "sqlite": "CAST(strftime('%s', {0}) AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM CAST({0} AS timestamptz)) AS bigint)",
}
_POINTED = {
    "sqlite": "{0} GLOB '[0-9]*.*0' AND rtrim({0}, '0') GLOB '*.' AND {1} NOT GLOB '*[^0-9]*'",
    "postgresql": r"{0} ~ '^[0-9]+\.0+$' AND {1} <> ''",
}
_WITHOUT_POINT = "rtrim(rtrim({0}, '0'), '.')"


def migrate(engine: Engine, url: str) -> None:
    """Bring a ledger of the first format to this one.

    Args:
        engine: On the ledger.
        url: As it was given: the first format kept its locks beside a symlink.

    Raises:
        LedgerError: One of its runs still lives; nothing was changed.
    """
    with engine.begin() as connection:
        limit_waits(connection)
        _lock(connection, VERSION.name)
        if connection.execute(sa.select(VERSION.c.version)).scalar() != 1:
            return  # another run has done it meanwhile: the others have other names now
        _lock(connection, "call_ledger, call_ledger_runs")
        _refuse_living(connection, url)
        if engine.dialect.name == "sqlite":
            _copy(Path(str(engine.url.database)))
        for table in ("call_ledger", "call_ledger_runs"):
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_1")
        create(connection)
        _move_runs(connection)
        _move_accounts(connection)
        _move_calls(connection)


def _lock(connection: Connection, tables: str) -> None:
    """Wait for whoever uses these tables; SQLite has locked all of them at the beginning."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")


def _refuse_living(connection: Connection, url: str) -> None:
    if connection.dialect.name == "sqlite":
        named = Path(str(sa.engine.make_url(url).database))
        locks = [
            lock
            for file in {named.absolute(), named.resolve()}
            for lock in file.parent.glob(f"{_literal(file.name)}.run-*.lock")
        ]
        lives = any(map(_is_held, locks))
    else:
        held = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_locks JOIN call_ledger_runs ON id = CAST(objid AS bigint) "
            f"WHERE locktype = 'advisory' AND classid = {_LOCK_CLASS} AND ended IS NULL "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        lives = bool(held.scalar())
    if lives:
        raise LedgerError(
            "A run of the release before this one still uses the ledger (ledger_url): wait for "
            "its end, then run again. Nothing was changed"
        )


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_held(lock: Path) -> bool:
    """Whether a process holds a lock file of the first format (flock; it dies with it)."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        with suppress(PermissionError):  # where an open file can't be removed
            lock.unlink(missing_ok=True)
            return False
        return True
    with lock.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    lock.unlink(missing_ok=True)
    return False


def _copy(file: Path) -> None:
    """The ledger as it is, with what its ``-wal`` holds, for whoever must go back."""
    copy = file.with_name(f"{file.name}{COPY}")
    copy.unlink(missing_ok=True)  # of a migration that was killed half-way
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _move_runs(connection: Connection) -> None:
    epoch = _EPOCH[connection.dialect.name]
    started, ended = epoch.format("started"), epoch.format("ended")
    now = epoch.format("CURRENT_TIMESTAMP")
    connection.exec_driver_sql(
        f"INSERT INTO {RUNS.name} (id, target, started, ended, how, counter, expiry) "
        f"SELECT id, target, {started}, coalesce({ended}, {now}), "
        "CASE WHEN ended IS NULL THEN 'lost' END, 0, 0 FROM call_ledger_runs_1"
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{RUNS.name}', 'id'), max(id)) "
            f"FROM {RUNS.name} HAVING max(id) IS NOT NULL"
        )


def _move_accounts(connection: Connection) -> None:
    """Each text of a destination with the number of its account, in ``call_ledger_scopes_1``."""
    scopes = connection.exec_driver_sql(
        "SELECT scope, max(target) FROM call_ledger_1 LEFT JOIN call_ledger_runs_1 ON id = run "
        "GROUP BY scope"
    ).all()
    numbers: dict[Account, int] = {}
    connection.exec_driver_sql("CREATE TABLE call_ledger_scopes_1 (scope TEXT, account INTEGER)")
    for scope, target in scopes:
        account = account_of(scope, target or "")
        if account not in numbers:
            numbers[account] = len(numbers) + 1
            new = {"vendor": account.vendor, "origin": account.origin, "campaign": account.campaign}
            made = connection.execute(ACCOUNTS.insert().values(new)).inserted_primary_key
            numbers[account] = made[0] if made else 0
        connection.execute(
            sa.text("INSERT INTO call_ledger_scopes_1 VALUES (:scope, :account)"),
            {"scope": scope, "account": numbers[account]},
        )


def account_of(scope: str, target: str) -> Account:
    """The account that a text of the first format meant.

    Args:
        scope: Such as ``https://Host:443/path campaign 7``.
        target: The plugin that wrote it, by its name.
    """
    named = _TARGET.fullmatch(target)
    vendor = named["vendor"] if named else target
    parts = _SCOPE.fullmatch(scope)
    if parts is None:
        return Account(vendor, scope, "")
    whole = _WHOLE.fullmatch(parts["campaign"])
    campaign = whole[1] if whole else parts["campaign"]
    with suppress(ValueError):
        return Account(vendor, origin_of(parts["url"]), campaign)
    return Account(vendor, parts["url"], campaign)


def _move_calls(connection: Connection) -> None:
    """The strongest first: whoever comes later under the same key and account is left out."""
    dialect = connection.dialect.name
    updated = _EPOCH[dialect].format("old.updated")
    whole = _WITHOUT_POINT.format("old.key")
    pointed = _POINTED[dialect].format("old.key", whole)
    columns = (
        "key, account, state, run, attempt, rule, bound, filed, released, reason, reference, "
        "first_seen, updated"
    )
    values = (
        "account, CASE state WHEN :sending THEN :unknown ELSE state END, run, attempts, "
        f"{UNMARKED}, state NOT IN (:rejected, :waiting), "
        # The first format's file had each rejected call, its ledger did not say so.
        "state = :rejected OR (filed AND state <> :sending), false, "
        f"CASE state WHEN :sending THEN :left ELSE reason END, reference, {updated}, {updated}"
    )
    source = (
        "FROM call_ledger_1 AS old JOIN call_ledger_scopes_1 AS s ON s.scope = old.scope "
        "WHERE state IN (:one, :other)"
    )
    words = {
        "sending": SENDING,
        "unknown": UNKNOWN,
        "rejected": REJECTED,
        "waiting": WAITING,
        "left": LEFT,
    }
    insert = f"INSERT INTO {CALLS.name} ({columns}) SELECT"
    for states in _STRONGEST:
        state = {"one": states[0], "other": states[-1]}
        # A number that came as 123.0 comes as 123 now; a text that ends so comes as it did.
        for key, only in (("old.key", ""), (whole, f"AND {pointed}")):
            query = f"{insert} {key}, {values} {source} {only} ON CONFLICT DO NOTHING"
            connection.execute(sa.text(query), words | state)
    # Both spellings are one call: what is known of 123 is true of 123.0.
    changing = ("state", "run", "attempt", "bound", "filed", "reason", "reference", "updated")
    whole = _WITHOUT_POINT.format(f"{CALLS.name}.key")
    pointed = _POINTED[dialect].format(f"{CALLS.name}.key", whole)
    connection.exec_driver_sql(
        f"UPDATE {CALLS.name} SET {', '.join(f'{name} = other.{name}' for name in changing)} "
        f"FROM {CALLS.name} AS other WHERE {pointed} AND other.key = {whole} "
        f"AND other.account = {CALLS.name}.account AND other.state <> {CALLS.name}.state"
    )
