"""The statements of the ledger's hot path, as each database does them best.

SQLite: ``account = ? and key in (...)``, a few prepared lengths of the list, and ``executemany``;
row values in IN would scan the whole table. PostgreSQL: arrays, so that a group is one statement
whatever its size. All are driver SQL: nothing is compiled per call.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from sqlalchemy.dialects import postgresql, sqlite

from singer_calls.deliver.entries import REJECTED, SENDING, Row, Told
from singer_calls.deliver.identity import Account, Identity
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, RUNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.engine import Connection, Engine

    Raw = Sequence[Any]

# Of a row, with the type of PostgreSQL's arrays.
_TYPES = {
    "key": "text",
    "account": "int",
    "state": "text",
    "run": "int",
    "attempt": "int",
    "moment": "bigint",
    "caller": "int",
    "called": "int",
    "rule": "smallint",
    "bound": "bool",
    "fingerprint": "bytea",
    "refused": "bytea",
    "refused_before": "bytea",
    "filed": "bool",
    "released": "bool",
    "reason": "text",
    "field": "text",
    "remedy": "text",
    "reference": "text",
    "file": "text",
    "policy": "smallint",
    "source_read": "bigint",
    "told": "text",
}
COLUMNS = tuple(_TYPES)
_CHANGING = COLUMNS[2:]
_TEXT_LIMIT = 512  # characters of what a vendor or a rule says
_CHUNK_KEYS = 256  # keys per statement on SQLite
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode

_SELECT = f"SELECT {', '.join(COLUMNS)}, updated FROM {CALLS.name}"
_STANDING = "state IN ('sending', 'unknown', 'rejected')"
# The condition of the partial index of states, in its own words, and of runs that are open.
_ABANDONED = (
    f"{_SELECT} WHERE {_STANDING} AND state = '{SENDING}' AND run NOT IN "
    f"(SELECT id FROM {RUNS.name} WHERE ended IS NULL)"
)
_OPEN = f"SELECT id FROM {RUNS.name} WHERE ended IS NULL AND id = "


class RacedError(Exception):
    """Another run wrote the same new row in this moment: read again, and it is there."""


class Statements(Protocol):
    """What the ledger asks of the table of calls; rows are tuples in the order of ``COLUMNS``."""

    @property
    def new_accounts(self) -> Executable:
        """Adds accounts that are not there."""

    def read(self, connection: Connection, wanted: Mapping[int, Collection[str]]) -> list[Raw]:
        """Rows of these keys, by account."""

    def lock(
        self, connection: Connection, wanted: Mapping[int, Collection[str]], also: Collection[str]
    ) -> list[Raw]:
        """The same to change them, and the ``rejected`` ones under ``also`` in any account."""

    def under(self, connection: Connection, keys: Collection[str]) -> list[Raw]:
        """Rows under these keys in any account."""

    def at(self, connection: Connection, moments: Collection[int]) -> list[Raw]:
        """Rows of these moments."""

    def abandoned(self, connection: Connection) -> list[Raw]:
        """``sending`` rows of runs that are not open, to change them."""

    def hold_open(self, connection: Connection, run: int) -> bool:
        """Whether a run is open, and will be until the end of this transaction."""

    def insert(self, connection: Connection, rows: Sequence[Raw], now: int) -> None:
        """Add rows that were not there.

        Raises:
            RacedError: One is there by now.
        """

    def update(self, connection: Connection, rows: Sequence[Raw], now: int) -> None:
        """Change rows that were locked."""

    def see(self, connection: Connection, rows: Sequence[Raw]) -> None:
        """Change what is known of their source, in rows that were locked."""


def statements_for(engine: Engine) -> Statements:
    """Those of the engine's database."""
    return _Sqlite() if engine.dialect.name == "sqlite" else _Postgres()


class _Sqlite:
    """Its transactions hold the one write lock: nobody can come between."""

    new_accounts = sqlite.insert(ACCOUNTS).on_conflict_do_nothing()

    _insert = (
        f"INSERT INTO {CALLS.name} ({', '.join(COLUMNS)}, first_seen, updated) "
        f"VALUES ({', '.join('?' * (len(COLUMNS) + 2))})"
    )
    _update = (
        f"UPDATE {CALLS.name} SET {', '.join(f'{name} = ?' for name in _CHANGING)}, "
        "updated = ? WHERE key = ? AND account = ?"
    )
    _see = f"UPDATE {CALLS.name} SET source_read = ?, told = ? WHERE key = ? AND account = ?"

    def read(self, connection: Connection, wanted: Mapping[int, Collection[str]]) -> list[Raw]:
        rows: list[Raw] = []
        for account, keys in wanted.items():
            rows += _among(connection, "account = ? AND key", keys, account)
        return rows

    def lock(
        self, connection: Connection, wanted: Mapping[int, Collection[str]], also: Collection[str]
    ) -> list[Raw]:
        rejected = _among(connection, "state = ? AND key", also, REJECTED)
        return self.read(connection, wanted) + rejected

    def under(self, connection: Connection, keys: Collection[str]) -> list[Raw]:
        return _among(connection, "key", keys)

    def at(self, connection: Connection, moments: Collection[int]) -> list[Raw]:
        return _among(connection, "moment IS NOT NULL AND moment", moments)

    def abandoned(self, connection: Connection) -> list[Raw]:
        return _all(connection, _ABANDONED)

    def hold_open(self, connection: Connection, run: int) -> bool:
        return bool(_all(connection, f"{_OPEN} ?", (run,)))

    def insert(self, connection: Connection, rows: Sequence[Raw], now: int) -> None:
        connection.exec_driver_sql(self._insert, [(*row, now, now) for row in rows])

    def update(self, connection: Connection, rows: Sequence[Raw], now: int) -> None:
        connection.exec_driver_sql(self._update, [(*row[2:], now, *row[:2]) for row in rows])

    def see(self, connection: Connection, rows: Sequence[Raw]) -> None:
        connection.exec_driver_sql(self._see, [(*row[-2:], *row[:2]) for row in rows])


@cache
def _in(condition: str, length: int) -> str:
    return f"{_SELECT} WHERE {condition} IN ({', '.join('?' * length)})"


def _among(
    connection: Connection, condition: str, values: Collection[Any], *first: object
) -> list[Raw]:
    """Rows with one of these values, on SQLite."""
    rows: list[Raw] = []
    ordered = list(values)
    for start in range(0, len(ordered), _CHUNK_KEYS):
        some = ordered[start : start + _CHUNK_KEYS]
        # A power of two: few statements, each prepared once. What is named twice is found once.
        length = 1 << (len(some) - 1).bit_length()
        some += some[-1:] * (length - len(some))
        rows += _all(connection, _in(condition, length), (*first, *some))
    return rows


class _Postgres:
    """Rows are locked in one order, so that no two runs can wait for each other."""

    new_accounts = postgresql.insert(ACCOUNTS).on_conflict_do_nothing()

    _ordered = "ORDER BY key, account FOR UPDATE"
    _arrays = ", ".join(f"%s::{kind}[]" for kind in _TYPES.values())
    _insert = (
        f"INSERT INTO {CALLS.name} ({', '.join(COLUMNS)}, first_seen, updated) "
        f"SELECT *, %s, %s FROM unnest({_arrays}) ON CONFLICT DO NOTHING"
    )
    _update = (
        f"UPDATE {CALLS.name} AS c SET {', '.join(f'{name} = n.{name}' for name in _CHANGING)}, "
        f"updated = %s FROM unnest({_arrays}) AS n({', '.join(COLUMNS)}) "
        "WHERE c.key = n.key AND c.account = n.account"
    )
    _see = (
        f"UPDATE {CALLS.name} AS c SET source_read = n.source_read, told = n.told FROM "
        "unnest(%s::text[], %s::int[], %s::bigint[], %s::text[]) "
        "AS n(key, account, source_read, told) WHERE c.key = n.key AND c.account = n.account"
    )

    def read(self, connection: Connection, wanted: Mapping[int, Collection[str]]) -> list[Raw]:
        where = "WHERE account = ANY(%s::int[]) AND key = ANY(%s::text[])"
        arguments = (list(wanted), _keys(wanted))
        return _all(connection, f"{_SELECT} {where}", arguments) if wanted else []

    def lock(
        self, connection: Connection, wanted: Mapping[int, Collection[str]], also: Collection[str]
    ) -> list[Raw]:
        where = "account = ANY(%s::int[])"
        if also:
            where = f"({where} OR state = '{REJECTED}')"
        query = f"{_SELECT} WHERE key = ANY(%s::text[]) AND {where} {self._ordered}"
        return _all(connection, query, (_keys(wanted), list(wanted)))

    def under(self, connection: Connection, keys: Collection[str]) -> list[Raw]:
        query = f"{_SELECT} WHERE key = ANY(%s::text[])"
        return _all(connection, query, (list(keys),)) if keys else []

    def at(self, connection: Connection, moments: Collection[int]) -> list[Raw]:
        query = f"{_SELECT} WHERE moment IS NOT NULL AND moment = ANY(%s::bigint[])"
        return _all(connection, query, (list(moments),)) if moments else []

    def abandoned(self, connection: Connection) -> list[Raw]:
        return _all(connection, f"{_ABANDONED} {self._ordered}")

    def hold_open(self, connection: Connection, run: int) -> bool:
        return bool(_all(connection, f"{_OPEN} %s FOR SHARE", (run,)))

    def insert(self, connection: Connection, rows: Sequence[Raw], now: int) -> None:
        arguments = (now, now, *_columns(rows))
        if connection.exec_driver_sql(self._insert, arguments).rowcount < len(rows):
            raise RacedError

    def update(self, connection: Connection, rows: Sequence[Raw], now: int) -> None:
        connection.exec_driver_sql(self._update, (now, *_columns(rows)))

    def see(self, connection: Connection, rows: Sequence[Raw]) -> None:
        seen = [(*row[:2], *row[-2:]) for row in rows]
        connection.exec_driver_sql(self._see, tuple(_columns(seen)))


def _all(connection: Connection, query: str, arguments: tuple[Any, ...] = ()) -> list[Raw]:
    # The driver's own rows: SQLAlchemy's cost as much again as the query.
    cursor = connection.exec_driver_sql(query, arguments).cursor
    return list(cursor.fetchall()) if cursor else []


def _keys(wanted: Mapping[int, Collection[str]]) -> list[str]:
    return list({key for keys in wanted.values() for key in keys})


def _columns(rows: Sequence[Raw]) -> Iterator[list[Any]]:
    return map(list, zip(*rows, strict=True))


def row_of(raw: Raw, account: Account) -> Row:
    """A row as the ledger's users see it."""
    (key, _, state, run, attempt, moment, caller, called, rule, bound, fingerprint) = raw[:11]
    (refused, before, filed, released, reason, field, remedy, reference, file) = raw[11:20]
    policy, source_read, told, updated = raw[20:]
    return Row(
        account,
        key,
        state,
        run,
        attempt,
        Identity(moment, caller, called, rule),
        bool(bound),
        fingerprint or b"",
        tuple(one for one in (refused, before) if one is not None),
        bool(filed),
        bool(released),
        reason or "",
        remedy or "",
        field,
        reference,
        file,
        policy,
        source_read,
        _told(told) if told else None,
        updated,
    )


def raw_of(row: Row, account: int) -> Raw:
    """A row as the database takes it."""
    refused = (*row.refused, None, None)
    return (
        row.key,
        account,
        row.state,
        row.run,
        row.attempt,
        row.identity.moment,
        row.identity.caller,
        row.identity.called,
        row.identity.rule,
        row.bound,
        row.fingerprint or None,
        refused[0],
        refused[1],
        row.filed,
        row.released,
        _text(row.reason),
        _text(row.field),
        row.remedy or None,
        _text(row.reference),
        _text(row.file),
        row.policy,
        row.source_read,
        _json(row.told) if row.told else None,
    )


def _json(told: Told) -> str:
    value = {"names": told.names, "fingerprint": told.fingerprint.hex(), "sure": told.sure}
    return _encode(value).decode()


def _told(text: str) -> Told:
    value = _decode(text)
    return Told(tuple(value["names"]), bytes.fromhex(value["fingerprint"]), value["sure"])


def _text(value: str | None) -> str | None:
    """A text of a vendor's, as every database takes it."""
    if not value:
        return None
    return value[:_TEXT_LIMIT].replace("\0", "").encode(errors="replace").decode()
