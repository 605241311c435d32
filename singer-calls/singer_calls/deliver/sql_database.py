"""A ledger's database as its users see it: plain reads, short transactions, tried again."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from singer_calls.deliver.sql_errors import explained, in_words, is_transient
from singer_calls.deliver.sql_migration import migrate
from singer_calls.deliver.sql_rows import RacedError, statements_for
from singer_calls.deliver.sql_store import (
    complete_tables,
    file_of,
    format_of,
    limit_waits,
    make_tables,
    open_engine,
    place_of,
    reading,
    refuse_removed,
)
from singer_calls.deliver.sql_tables import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries

_T = TypeVar("_T")


class Database:
    """An open ledger of this format; makes it, or migrates it, where that is needed.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        timeout: Seconds for which an outage is sat out.

    Raises:
        LedgerError: The URL is wrong, or the database can't be used, or is newer than this code.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._timeout = timeout
        with explained("opened"):
            self.engine = open_engine(url)
            self._reader = reading(self.engine)
            self.statements = statements_for(self.engine)
            try:
                version = format_of(self.engine)
                if version is None:
                    make_tables(self.engine)
                elif version < FORMAT:
                    migrate(self.engine, url)
                else:
                    complete_tables(self.engine)
                self._file = file_of(self.engine)
            except BaseException:
                self.close()
                raise

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return place_of(self.engine)

    def reading(self) -> sa.engine.Connection:
        """A connection for plain reads, which take no lock; a context."""
        return self._reader.connect()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, durable when it is left.

        Raises:
            LedgerError: The file of SQLite is gone, or another.
        """
        refuse_removed(self.engine, self._file)
        with self.engine.begin() as connection:
            limit_waits(connection)
            yield connection

    def lasting(self, what: str, work: Callable[[bool], _T]) -> _T:
        """Do it, again and again through a short outage.

        Args:
            what: ``read`` or ``written``, for the sentence.
            work: Is told whether it may have been done before, without our knowing.

        Raises:
            LedgerError: It can't be done, or the outage lasts.
        """
        until: float | None = None
        pause, again = _FIRST_PAUSE, False
        while True:
            try:
                return work(again)
            except RacedError:
                continue
            except sa.exc.SQLAlchemyError as error:
                now = time.monotonic()
                until = until or now + self._timeout
                if now >= until or not is_transient(error):
                    raise in_words(error, what) from error
            time.sleep(pause)
            pause, again = min(2 * pause, _LONGEST_PAUSE), True

    def close(self) -> None:
        """Leave it."""
        self.engine.dispose()


def now() -> int:
    """The time of an entry: UTC seconds since the epoch."""
    return int(time.time())
