"""The table of calls as ``Row``s, and the accounts that it knows by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.identity import Account
from singer_calls.deliver.sql_database import Database, now
from singer_calls.deliver.sql_rows import raw_of, row_of
from singer_calls.deliver.sql_tables import ACCOUNTS
from singer_calls.deliver.transitions import is_quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from singer_calls.deliver.entries import Row
    from singer_calls.deliver.transitions import Place

_NAMES = (ACCOUNTS.c.id, ACCOUNTS.c.vendor, ACCOUNTS.c.origin, ACCOUNTS.c.campaign)
_FLOORS = sa.select(ACCOUNTS.c.id, ACCOUNTS.c.floor).where(ACCOUNTS.c.floor.is_not(None))


class Calls:
    """Reads and writes rows, in the transactions of its callers.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.statements
        self._numbers: dict[Account, int] = {}
        self._accounts: dict[int, Account] = {}

    # Accounts

    def of_vendor(self, connection: Connection, vendor: str) -> list[int]:
        """Numbers of all accounts of a vendor."""
        self._load(connection)
        return [number for one, number in self._numbers.items() if one.vendor == vendor]

    def number(self, connection: Connection, account: Account) -> int | None:
        """Number of an account, None when nobody has written to it."""
        if account not in self._numbers:
            self._load(connection)
        return self._numbers.get(account)

    def make_accounts(self, accounts: set[Account]) -> None:
        """Number accounts that have none, in a transaction of their own."""
        if accounts <= self._numbers.keys():
            return
        new = [one._asdict() for one in sorted(accounts) if one not in self._numbers]
        with self._database.writing() as connection:
            connection.execute(self._rows.new_accounts, new)
            self._load(connection)

    def floors(self, connection: Connection) -> dict[Account, int]:
        """Moments before which an account takes no new call."""
        found = connection.execute(_FLOORS)
        return {self._accounts[id_]: floor for id_, floor in found if id_ in self._accounts}

    def _load(self, connection: Connection) -> None:
        for number, *names in connection.execute(sa.select(*_NAMES)):
            account = Account(*names)
            self._numbers[account] = number
            self._accounts[number] = account

    # Rows

    def read(self, connection: Connection, wanted: set[Place]) -> dict[Place, Row]:
        """Rows at these places."""
        by_account: dict[int, list[str]] = {}
        for account, key in wanted:
            if (number := self.number(connection, account)) is not None:
                by_account.setdefault(number, []).append(key)
        return self._by_place(connection, self._rows.read(connection, by_account))

    def lock(
        self, connection: Connection, wanted: set[Place], delivered: set[str]
    ) -> dict[Place, Row]:
        """The same to change them, and the ``rejected`` ones under the delivered keys."""
        by_account: dict[int, list[str]] = {}
        for account, key in wanted:
            by_account.setdefault(self._numbers[account], []).append(key)
        return self._by_place(connection, self._rows.lock(connection, by_account, delivered))

    def at(self, connection: Connection, moments: set[int]) -> list[Row]:
        """Rows of these moments, in any account."""
        return self._known(connection, self._rows.at(connection, moments))

    def under(self, connection: Connection, keys: set[str]) -> list[Row]:
        """Rows under these keys, in any account."""
        return self._known(connection, self._rows.under(connection, keys))

    def abandoned(self, connection: Connection) -> list[Row]:
        """``sending`` rows of runs that are not open, to change them."""
        return self._known(connection, self._rows.abandoned(connection))

    def save(
        self, connection: Connection, before: Mapping[Place, Row], after: Mapping[Place, Row]
    ) -> None:
        """Write what is new or has changed since the rows were locked.

        Raises:
            RacedError: What is new is there by now.
        """
        new = [row for place, row in after.items() if place not in before]
        if new:
            self._rows.insert(connection, self._raw(new), now())
        changed = [
            (before[place], row)
            for place, row in after.items()
            if before.get(place, row) is not row
        ]
        seen = [new for old, new in changed if is_quiet(old, new)]
        if seen:
            self._rows.see(connection, self._raw(seen))
        self.update(connection, [new for old, new in changed if not is_quiet(old, new)])

    def update(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write rows that were locked."""
        if rows:
            self._rows.update(connection, self._raw(rows), now())

    def _raw(self, rows: Iterable[Row]) -> list[Sequence[Any]]:
        """Rows as the database takes them, in the one order of keys."""
        raw = [raw_of(row, self._numbers[row.account]) for row in rows]
        return sorted(raw, key=lambda one: (one[0], one[1]))

    def _known(self, connection: Connection, raw: Sequence[Sequence[Any]]) -> list[Row]:
        if any(one[1] not in self._accounts for one in raw):
            self._load(connection)
        return [row_of(one, self._accounts[one[1]]) for one in raw]

    def _by_place(self, connection: Connection, raw: Sequence[Sequence[Any]]) -> dict[Place, Row]:
        return {(row.account, row.key): row for row in self._known(connection, raw)}
