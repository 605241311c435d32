"""How the ledger's database is opened, and what is refused, since it could forget what was sent."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.ledger import LedgerError
from singer_calls.deliver.sql_errors import DAMAGED, HINTS, code_of
from singer_calls.deliver.sql_tables import ADDED, CALLS, FORMAT, VERSION, create

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

MOUNTS = Path("/proc/self/mountinfo")

_TABLES_TENTHS = 50  # of a second, for another run to make the tables
_LOCK_WAIT_SECONDS = 5  # for somebody's lock, before it is tried again
_CONNECT_SECONDS = 10  # for a server to answer
_SILENT_SECONDS = 30  # without an acknowledgement after which a connection is dead
_TWICE = {"42P07", "42710", "23505"}  # another run made it at the same moment


# Opening


def open_engine(url: str, *, create: bool = True) -> Engine:
    """Connect to a ledger, and make sure that what is written there stays.

    Transactions of the engine take the write lock at once on SQLite; those of
    ``reading(engine)`` take none.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        create: Whether a missing SQLite file is made, and the database is to be written.

    Raises:
        LedgerError: The URL or the database is of no use here.
    """
    try:
        address = sa.engine.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Without its cause, which quotes the URL: of a password with @ or : in it, a part.
        raise LedgerError(
            "ledger_url is not a SQLAlchemy URL: give one such as sqlite:///calls.ledger.db, and "
            "write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25"
        ) from None
    backend = address.get_backend_name()
    if backend in {"postgres", "postgresql"}:
        return _open_server(address.set(drivername="postgresql+psycopg"), write=create)
    if backend != "sqlite":
        raise LedgerError("ledger_url must be a SQLite or PostgreSQL URL")
    return _open_file(address, create=create)


def reading(engine: Engine) -> Engine:
    """The same engine for plain reads: no transaction, no lock."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine.execution_options(plain=True)


def place_of(engine: Engine) -> str:
    """Where a ledger is, for people: the file, or the URL without its secrets."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return str(Path(str(url.database)).resolve())
    return url.set(drivername="postgresql", password=None, query={}).render_as_string()


def _open_server(address: URL, *, write: bool) -> Engine:
    arguments = {
        "prepare_threshold": None,  # a pooler gives each transaction another session
        "client_encoding": "utf8",
        "application_name": "call-ledger",
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": _SILENT_SECONDS,
        "tcp_user_timeout": _SILENT_SECONDS * 1000,
    }
    for name in arguments.keys() & address.query.keys():
        del arguments[name]
    engine = sa.create_engine(
        address,
        connect_args=arguments,
        isolation_level="READ COMMITTED",
        use_native_hstore=False,
        pool_size=2,
    )
    if write:
        try:
            _check_server(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def _check_server(engine: Engine) -> None:
    settings = ("server_encoding", "synchronous_commit", "fsync", "transaction_read_only")
    asked = [sa.func.current_setting(name) for name in settings]
    with reading(engine).connect() as connection:
        row = connection.execute(sa.select(*asked, sa.func.pg_is_in_recovery())).one()
    encoding, commit, fsync, read_only, standby = row
    if standby or read_only == "on":
        raise LedgerError(f"The ledger (ledger_url) can't be opened: {HINTS['25006']}")
    if encoding != "UTF8":
        raise LedgerError(
            f"The ledger's database (ledger_url) is in the encoding {encoding}, which can't hold "
            "every call's id: make one with ENCODING 'UTF8'"
        )
    if "off" in {commit, fsync}:
        name = "synchronous_commit" if commit == "off" else "fsync"
        raise LedgerError(
            f"The ledger's database (ledger_url) has {name} off and may forget what was sent: "
            "switch it on, for this user or database at least"
        )


def _open_file(address: URL, *, create: bool) -> Engine:
    database = str(address.database or "")
    if database in {"", ":memory:"} or address.query.get("mode") == "memory":
        raise LedgerError("ledger_url must name a file: a ledger in memory forgets what was sent")
    if database.startswith("file:") or address.query:
        raise LedgerError(
            "ledger_url must name a file by its path alone: sqlite:////folder/calls.ledger.db"
        )
    # Two paths of one file are one ledger: SQLite keeps its side files beside the real one.
    file = Path(database).resolve()
    if not create and not file.exists():
        raise LedgerError("There is no ledger at ledger_url yet: nothing was sent from here")
    _refuse_split(file)
    if create:
        _make_file(file)
    engine = sa.create_engine(
        address.set(database=str(file)),
        connect_args={"timeout": _LOCK_WAIT_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # the driver begins nothing, the next listener does
        if create and not _is_foreign(connection):
            _use_wal(connection)  # which the file keeps
        # What is deleted is overwritten: not every build of SQLite does so by itself.
        for pragma in ("synchronous=FULL", "cache_size=-16000", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("plain"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _is_foreign(connection: Any) -> bool:  # noqa: ANN401 - the driver's
    """Whether a file holds tables, and none of ours: nothing of it may be changed."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return bool(tables) and not any(name.startswith("call_ledger") for name in tables)


def _use_wal(connection: Any) -> None:  # noqa: ANN401 - the driver's
    """Switch to WAL; when two do so at once, SQLite says "busy" whatever its timeout."""
    end = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _refuse_split(file: Path) -> None:
    """A file with another name elsewhere: its ``-wal``, half of the ledger, has one name only."""
    if not file.exists():
        return
    if file.stat().st_nlink > 1:
        raise LedgerError(
            "The ledger's file (ledger_url) has more than one name (hard links), and SQLite keeps "
            "half of it beside one of them: remove the other names"
        )
    if _is_mount(file):
        raise LedgerError(
            "The ledger's file (ledger_url) is mounted by itself, and SQLite keeps half of it "
            "beside it: mount its folder"
        )


def _is_mount(file: Path) -> bool:
    with suppress(OSError):
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
        # The fifth field is the mount point, with blanks as \040 (man 5 proc).
        points = {line.split(" ")[4].encode().decode("unicode_escape") for line in lines}
        return str(file) in points
    return os.path.ismount(file)


def file_of(engine: Engine) -> tuple[int, int] | None:
    """Which file of SQLite this is, device and inode; None without one, as on a server."""
    if engine.dialect.name != "sqlite":
        return None
    try:
        found = os.stat(str(engine.url.database))  # noqa: PTH116 - before each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refuse_removed(engine: Engine, opened: tuple[int, int] | None) -> None:
    """Refuse to write to a file of SQLite that is gone: it goes on as ever, and nobody finds it.

    Args:
        engine: On the ledger.
        opened: Which file it was at first.

    Raises:
        LedgerError: It is gone, or another one has its name.
    """
    if file_of(engine) != opened:
        raise LedgerError(
            "The file of the ledger (ledger_url) was removed or replaced while this run was under "
            "way: nothing more is sent. Bring back the one that knows what was sent"
        )


def _making(file: Path) -> Path:
    """Stands beside a ledger whose tables are not made yet: without it an empty file is a loss."""
    return file.with_name(f"{file.name}.making")


def _make_file(file: Path) -> None:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _making(file).touch(mode=0o600)
        # Only the owner may read keys; SQLite gives its side files the same mode.
        file.touch(mode=0o600)
    elif not file.stat().st_size and not _making(file).exists() and not file.stat().st_size:
        raise LedgerError(
            "The ledger (ledger_url) is an empty file: restore it from a backup. Only if nothing "
            "was ever sent with it, delete it"
        )


# Tables


def format_of(engine: Engine) -> int | None:
    """The format of the tables that are there; None for none.

    Raises:
        LedgerError: It is newer than this code, or half of it is missing.
    """
    with reading(engine).connect() as connection:
        if not sa.inspect(connection).has_table(VERSION.name):
            return None
        version = connection.execute(sa.select(VERSION.c.version)).scalar()
    if version is None:
        raise LedgerError(f"The ledger (ledger_url) lost its content: {DAMAGED}")
    if version > FORMAT:
        raise LedgerError(
            f"The ledger (ledger_url) was written by a newer release (format {version}, this one "
            f"knows {FORMAT}): upgrade this plugin"
        )
    return int(version)


def make_tables(engine: Engine) -> None:
    """Make the tables in a database that has none.

    Raises:
        LedgerError: It is a file with something else in it.
    """
    file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
    if file and not _making(file).exists() and format_of(engine) is None:
        raise LedgerError(
            "The file at ledger_url holds no ledger: name another one, or restore the ledger from "
            "a backup (a copy made while a run went on lacks its -wal file)"
        )
    for _ in range(_TABLES_TENTHS):
        try:
            with engine.begin() as connection:
                limit_waits(connection)
                if not sa.inspect(connection).has_table(VERSION.name):
                    create(connection)
            break
        except sa.exc.DBAPIError as error:
            if code_of(error) not in _TWICE:
                raise
            time.sleep(0.1)
    if file:
        _making(file).unlink(missing_ok=True)


def complete_tables(engine: Engine) -> None:
    """Add the columns that this format got after its first ledgers were made; all may be null."""
    for column in _missing(engine):
        kind = column.type.compile(engine.dialect)
        try:
            with engine.begin() as connection:
                limit_waits(connection)
                connection.exec_driver_sql(
                    f"ALTER TABLE {CALLS.name} ADD COLUMN {column.name} {kind}"
                )
        except sa.exc.DBAPIError:
            if column in _missing(engine):  # else another run was faster
                raise


def _missing(engine: Engine) -> list[sa.Column[Any]]:
    with reading(engine).connect() as connection:
        there = {column["name"] for column in sa.inspect(connection).get_columns(CALLS.name)}
    return [column for column in ADDED if column.name not in there]


def limit_waits(connection: Connection) -> None:
    """Wait seconds at most for a lock in this transaction, as SQLite's connections do anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(_LOCK_WAIT_SECONDS * 1000)}")
