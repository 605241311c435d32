"""The ledger's database, second format: its tables, how it is opened, its errors in words.

Errors are told by the driver's code (``sqlite_errorcode``, SQLSTATE): a server's words come in its
own language and may hold an address or a password.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import REJECTED, SENDING, UNKNOWN, UNMARKED, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Connection, Engine

FORMAT = 2
MOUNTS = Path("/proc/self/mountinfo")
ONCE, LATEST = 0, 1  # policy of a delivery: sent once; what is known last is sent again

_PATIENCE = 50  # tenths of a second for another run to make the tables
_LOCK_WAIT = 5  # seconds for somebody's lock, before it is tried again
_CONNECT = 10  # seconds for a server to answer
_SILENT = 30  # seconds without an acknowledgement after which a connection is dead

_metadata = sa.MetaData()
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered as Python orders
_number = sa.BigInteger  # UTC seconds since the epoch

VERSION = sa.Table(
    "call_ledger_version", _metadata, sa.Column("version", sa.Integer, nullable=False)
)
ACCOUNTS = sa.Table(
    "call_ledger_accounts",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("vendor", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("floor", _number),  # no new call from before that moment
    sa.UniqueConstraint("vendor", "origin", "campaign"),
)
CALLS = sa.Table(
    "call_ledger_calls",
    _metadata,
    sa.Column("key", _text, primary_key=True),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("moment", _number),
    sa.Column("caller", sa.Integer),
    sa.Column("called", sa.Integer),
    sa.Column("rule", sa.SmallInteger, nullable=False),
    sa.Column("bound", sa.Boolean, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary),
    sa.Column("refused", sa.LargeBinary),
    sa.Column("refused_before", sa.LargeBinary),
    sa.Column("filed", sa.Boolean, nullable=False),
    sa.Column("released", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("field", sa.Text),
    sa.Column("remedy", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("file", sa.Text),
    sa.Column("first_seen", _number, nullable=False),
    sa.Column("updated", _number, nullable=False),
    sa.Column("policy", sa.SmallInteger, nullable=False, server_default=str(ONCE)),
    sa.Column("source_read", _number),  # of LATEST: newer knowledge wins
)
# Two versions of each row: room for the second on the first one's page.
_room = sa.DDL("ALTER TABLE %(fullname)s SET (fillfactor = 80)")  # type: ignore[no-untyped-call]
sa.event.listen(CALLS, "after_create", _room.execute_if(dialect="postgresql"))
DECISIONS = sa.Table(
    "call_ledger_decisions",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", _text, nullable=False),
    sa.Column("account", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("reference", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("decided", _number, nullable=False),
    sa.Index("ix_call_ledger_decisions", "key", "account"),
)
RUNS = sa.Table(
    "call_ledger_runs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("started", _number, nullable=False),
    sa.Column("ended", _number),
    sa.Column("how", sa.Text),
    sa.Column("counter", sa.Integer, nullable=False),
    sa.Column("expiry", sa.Float, nullable=False),
    sa.Column("host", sa.Text),  # boot id and PID namespace, see machine.py
    sa.Column("pid", sa.Integer),
    sa.Column("pid_started", _number),
    sa.Column("node", sa.Text),  # the host's name, for people
    sa.Column("counts", sa.Text),  # JSON: {account: {day: {state: n}}}
    sa.Column("runs", sa.Integer, nullable=False, server_default="1"),  # folded into this row
    sqlite_autoincrement=True,  # a number is never used again
)


def _partial(name: str, condition: sa.ColumnElement[bool], *columns: sa.Column[Any]) -> None:
    sa.Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


# SQLite uses a partial index only for a query that repeats its condition, without parameters.
_standing: sa.BindParameter[Any] = sa.bindparam(
    None, [SENDING, UNKNOWN, REJECTED], expanding=True, literal_execute=True
)
STANDING = CALLS.c.state.in_(_standing)
IS_UNMARKED = CALLS.c.rule == sa.literal_column(str(UNMARKED))
_partial("ix_call_ledger_standing", STANDING, CALLS.c.state, CALLS.c.updated)
_partial("ix_call_ledger_moment", CALLS.c.moment.is_not(None), CALLS.c.moment)
_partial("ix_call_ledger_unmarked", IS_UNMARKED, CALLS.c.account)
_partial("ix_call_ledger_open_runs", RUNS.c.ended.is_(None), RUNS.c.id)


# Errors


def code_of(error: BaseException | None) -> int | str | None:
    """The driver's code of an error: SQLite's primary result code, or a SQLSTATE."""
    cause = getattr(error, "orig", error)
    number = getattr(cause, "sqlite_errorcode", None)
    return number & 0xFF if number is not None else getattr(cause, "sqlstate", None)


_BUSY, _LOCKED = 5, 6
_AGAIN = {_BUSY, _LOCKED, "40001", "40P01", "55P03", "57014", "25006", "25P03", "53300"}
_TWICE = {"42P07", "42710", "23505"}  # another run made it at the same moment


def is_transient(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the same may work in a moment: connection lost, deadlock, locked, restarting."""
    code = code_of(error)
    if isinstance(error, sa.exc.TimeoutError) or code in _AGAIN:
        return True
    if isinstance(code, str):
        return code[:2] in {"08", "57"}
    # A connection that broke or could not be made has no code.
    return isinstance(error, sa.exc.OperationalError) and code is None


_DAMAGED = "restore it from a backup; starting without it could send calls again"
_HINTS: dict[int | str, str] = {
    _BUSY: "another program holds it locked",
    _LOCKED: "another program holds it locked",
    8: "it is read-only",
    10: "its disk can't be read or written",
    11: f"the file is damaged: {_DAMAGED}",
    13: "the disk is full: make room and run again",
    14: "its folder does not exist or may not be written",
    26: f"the file is damaged or no ledger: {_DAMAGED}",
    "25006": "it is read-only: name the primary server, not a standby",
    "28000": "the server refuses this user",
    "28P01": "the server refuses this password",
    "3D000": "there is no such database on the server",
    "3F000": "there is no schema to make the tables in: see search_path",
    "40P01": "it was busy with other runs for too long",
    "42501": "the user may not read, write or make its tables",
    "53100": "the server's disk is full",
    "53300": "the server takes no more connections",
    "55P03": "another program holds its tables locked",
    "57P01": "the server is being shut down",
    "57P03": "the server is starting or being shut down",
}


def in_words(error: Exception, what: str) -> LedgerError:
    """A database's error as a sentence.

    Args:
        error: From SQLAlchemy, the system or the import of a driver.
        what: ``opened``, ``read`` or ``written``.
    """
    if isinstance(error, ImportError):
        return LedgerError(
            "The ledger (ledger_url) needs a database driver: install the extra [postgres]"
        )
    if isinstance(error, OSError):
        return LedgerError(f"The ledger (ledger_url) can't be {what}: {error.strerror}")
    cause = getattr(error, "orig", None)
    code = code_of(error)
    kind = type(cause or error).__name__ + (f" {code}" if isinstance(code, str) else "")
    hint = "check that it exists, can be reached and is not damaged"
    return LedgerError(
        f"The ledger (ledger_url) can't be {what} ({kind}: {_HINTS.get(code or '', hint)})"
    )


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn a database's error into a sentence.

    Raises:
        LedgerError: Instead of it.
    """
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise in_words(error, what) from error


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
    except sa.exc.ArgumentError as error:
        raise LedgerError(
            "ledger_url is not a SQLAlchemy URL: give one such as sqlite:///calls.ledger.db"
        ) from error
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
        "connect_timeout": _CONNECT,
        "keepalives_idle": _SILENT,
        "tcp_user_timeout": _SILENT * 1000,
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
        raise LedgerError(f"The ledger (ledger_url) can't be opened: {_HINTS['25006']}")
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
        connect_args={"timeout": _LOCK_WAIT, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # the driver begins nothing, the next listener does
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("plain"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


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
        raise LedgerError(f"The ledger (ledger_url) lost its content: {_DAMAGED}")
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
    for _ in range(_PATIENCE):
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


def create(connection: Connection) -> None:
    """Make the tables of this format; the version's may be there."""
    if not sa.inspect(connection).has_table(VERSION.name):
        VERSION.create(connection)
    tables = [table for table in _metadata.sorted_tables if table is not VERSION]
    _metadata.create_all(connection, tables=tables, checkfirst=False)
    connection.execute(VERSION.delete())
    connection.execute(VERSION.insert().values(version=FORMAT))


def limit_waits(connection: Connection) -> None:
    """Wait seconds at most for a lock in this transaction, as SQLite's connections do anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(_LOCK_WAIT * 1000)}")
