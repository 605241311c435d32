"""The ledger's database: its tables and their format, how it is opened, its errors in words."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.delivery import KEY_LIMIT
from singer_calls.deliver.entries import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

SCHEMA_VERSION = 1
_PATIENCE = 50  # tenths of a second for another run to make the tables
# Statements that lead from a format to the next: none yet, format 1 is the first.
MIGRATIONS: dict[int, tuple[str, ...]] = {}

_metadata = sa.MetaData()
VERSION = sa.Table(
    "call_ledger_version", _metadata, sa.Column("version", sa.Integer, nullable=False)
)
RUNS = sa.Table(
    "call_ledger_runs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("started", sa.String(32), nullable=False),
    sa.Column("ended", sa.String(32)),
)
CALLS = sa.Table(
    "call_ledger",
    _metadata,
    sa.Column("scope", sa.String(KEY_LIMIT), primary_key=True),
    sa.Column("key", sa.String(KEY_LIMIT), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("filed", sa.Boolean, nullable=False),
    sa.Column("reference", sa.String(255)),
    sa.Column("reason", sa.String(512)),
    sa.Column("updated", sa.String(32), nullable=False, index=True),
)


def now() -> str:
    """The time of an entry: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn a database's error into a sentence; its own text may hold an address or a password."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        raise LedgerError(
            f"The ledger (ledger_url) can't be {what} ({type(cause or error).__name__}: "
            f"{_HINTS.get(_hint(cause), 'check that it exists, is writable and not damaged')})"
        ) from error
    except OSError as error:
        raise LedgerError(f"The ledger (ledger_url) can't be {what}: {error.strerror}") from error
    except ImportError as error:
        raise LedgerError(
            "The ledger (ledger_url) needs a database driver: install the extra [postgres]"
        ) from error


_HINTS = {
    "full": "the disk is full: make room and run again",
    "locked": "another program holds it locked",
    "malformed": "the file is damaged: restore it from a backup; starting without it could send "
    "calls again",
    "not a database": "the file is damaged or no ledger: restore it from a backup; starting "
    "without it could send calls again",
    "readonly": "it is read-only",
    "unable to open": "its folder does not exist or may not be written",
}


def _hint(cause: object) -> str:
    text = str(cause)
    return next((word for word in _HINTS if word in text), "")


def open_engine(url: str, *, create: bool = True) -> Engine:
    """Connect to a ledger.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        create: Whether a missing SQLite file is made.

    Raises:
        LedgerError: The URL is of no use here.
    """
    try:
        address = sa.engine.make_url(url)
    except sa.exc.ArgumentError as error:
        raise LedgerError(
            "ledger_url is not a SQLAlchemy URL: give one such as sqlite:///calls.ledger.db"
        ) from error
    if address.get_backend_name() not in {"sqlite", "postgresql"}:
        raise LedgerError("ledger_url must be a SQLite or PostgreSQL URL")
    if address.get_backend_name() == "postgresql":
        return sa.create_engine(address, pool_pre_ping=True)
    return _open_file(address, create=create)


def _open_file(address: sa.engine.URL, *, create: bool) -> Engine:
    if address.database in {None, "", ":memory:"}:
        raise LedgerError("ledger_url must name a file: a ledger in memory forgets what was sent")
    file = Path(str(address.database))
    if file.exists():
        _refuse_emptied(file)
    if create:
        # Only the owner may read keys and hashes; SQLite gives its side files the same mode.
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
    elif not file.exists():
        raise LedgerError("There is no ledger at ledger_url yet: nothing was sent from here")
    engine = sa.create_engine(address, connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # the driver begins nothing, the next listener does
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _refuse_emptied(file: Path) -> None:
    """SQLite takes a file that lost all its content for a new one."""
    for _ in range(_PATIENCE):
        if any(part.exists() and part.stat().st_size for part in (file, Path(f"{file}-wal"))):
            return
        time.sleep(0.1)  # another run may be making it just now
    raise LedgerError(
        "The ledger (ledger_url) is an empty file: restore it from a backup. Only if nothing was "
        "ever sent with it, delete it"
    )


def migrate(engine: Engine) -> None:
    """Make the tables, or bring those of an older release up to date.

    Raises:
        LedgerError: They are of a newer release; nothing was changed.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Two first starts at once: one makes the tables, the other waits for it.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_VERSION)))
        if not sa.inspect(connection).has_table(VERSION.name):
            _metadata.create_all(connection)
            connection.execute(VERSION.insert().values(version=SCHEMA_VERSION))
            return
        version = connection.execute(sa.select(VERSION.c.version)).scalar() or 0
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger (ledger_url) was written by a newer release (format {version}, "
                f"this one knows {SCHEMA_VERSION}): upgrade this plugin"
            )
        for step in range(version, SCHEMA_VERSION):
            for statement in MIGRATIONS[step]:
                connection.exec_driver_sql(statement)
        connection.execute(VERSION.update().values(version=SCHEMA_VERSION))
