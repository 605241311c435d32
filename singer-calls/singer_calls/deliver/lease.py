"""Which runs are alive: a lock that the operating system or the database drops when one dies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import filelock
import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_LOCK_CLASS = 0x63616C6C  # "call": keeps our PostgreSQL advisory locks apart from others'


class Lease(Protocol):
    """Proof of life of the runs that share a ledger."""

    def hold(self, run: int) -> None:
        """Be alive as this run until ``release`` or death."""

    def is_gone(self, run: int) -> bool:
        """True when that run has died or ended; it can't come back."""

    def release(self) -> None:
        """Be gone."""


class FileLease:
    """One lock file per run beside a SQLite ledger; the system drops the lock at death.

    Args:
        database: Path of the ledger's file.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._mine: filelock.FileLock | None = None

    def _lock(self, run: int) -> filelock.FileLock:
        return filelock.FileLock(f"{self._database}.run-{run}.lock", blocking=False, mode=0o600)

    def hold(self, run: int) -> None:
        """Be alive as this run until ``release`` or death."""
        self._mine = self._lock(run)
        self._mine.acquire()

    def is_gone(self, run: int) -> bool:
        """True when nobody holds that run's lock."""
        lock = self._lock(run)
        try:
            lock.acquire()
        except filelock.Timeout:
            return False
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
        return True

    def release(self) -> None:
        """Be gone."""
        if self._mine is not None:
            self._mine.release()
            Path(self._mine.lock_file).unlink(missing_ok=True)
            self._mine = None


class SessionLease:
    """A PostgreSQL advisory lock per run, held by one session; the server drops it with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None

    def _try(self, session: Connection, run: int) -> bool:
        lock = sa.func.pg_try_advisory_lock(_LOCK_CLASS, run)
        return bool(session.execute(sa.select(lock)).scalar())

    def hold(self, run: int) -> None:
        """Be alive as this run until ``release`` or death."""
        self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._try(self._session, run)

    def is_gone(self, run: int) -> bool:
        """True when no session holds that run's lock."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
            gone = self._try(session, run)
            if gone:
                session.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK_CLASS, run)))
            return gone

    def release(self) -> None:
        """Be gone."""
        if self._session is not None:
            self._session.close()
            self._session = None


def lease_for(engine: Engine) -> Lease:
    """The lease that fits the ledger's database."""
    if engine.dialect.name == "sqlite":
        return FileLease(str(engine.url.database))
    return SessionLease(engine)
