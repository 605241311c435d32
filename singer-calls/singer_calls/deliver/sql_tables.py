"""The tables of the ledger's second format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import ONCE, REJECTED, SENDING, UNKNOWN, UNMARKED

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

FORMAT = 2

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
    sa.Column("source_read", _number),  # UTC microseconds: newer knowledge wins
    sa.Column("told", sa.Text),  # JSON, see ``entries.Told``
)
ADDED = (CALLS.c.told,)  # what a ledger of this format may lack
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
    sa.Column("how", sa.Text),  # it ended; until then what it waits for
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


def create(connection: Connection) -> None:
    """Make the tables of this format; the version's may be there."""
    if not sa.inspect(connection).has_table(VERSION.name):
        VERSION.create(connection)
    tables = [table for table in _metadata.sorted_tables if table is not VERSION]
    _metadata.create_all(connection, tables=tables, checkfirst=False)
    connection.execute(VERSION.delete())
    connection.execute(VERSION.insert().values(version=FORMAT))
