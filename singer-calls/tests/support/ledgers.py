"""Where the runs of a test keep what they know: in memory, or in a real database."""

from __future__ import annotations

import dataclasses
import time

import sqlalchemy as sa

from singer_calls.deliver.machine import Machine
from singer_calls.deliver.memory_ledger import MemoryLedger, MemoryStore, SimulatedMachine
from singer_calls.deliver.sql_calls import Calls
from singer_calls.deliver.sql_database import Database
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, DECISIONS, RUNS


class NoMachine(Machine):
    """Where nobody can look into processes."""

    def process(self):
        return None


class InMemory:
    """Runs on one store.

    Attributes:
        machine: Where they run, for who may look into their processes.
    """

    def __init__(self):
        self.machine = SimulatedMachine()
        self._store = MemoryStore()

    @property
    def rows(self):
        """By account and key."""
        return self._store.rows

    def open(self, facts, clock=time.monotonic, machine=None):
        """Begin a run."""
        return MemoryLedger(self._store, facts, clock=clock, machine=machine)

    def die(self, ledger):
        """Kill the process of a run."""
        ledger.die()

    def floor(self, account, moment):
        """What a person's ``prune`` does."""
        self._store.floors[account] = moment

    def release(self, account, key):
        """What a person's "send again" does."""
        place = account, key
        self._store.rows[place] = dataclasses.replace(self._store.rows[place], released=True)

    def close(self):
        """Nothing is held."""


class OnDatabase:
    """Runs on one database; the same for each. Closing empties it for the next test or schedule.

    Args:
        url: SQLAlchemy URL of a ledger; it is made.
    """

    def __init__(self, url):
        self.machine = SimulatedMachine()
        self._url = url
        self._database = Database(url, 10)
        self._ledgers = []

    @property
    def rows(self):
        """By account and key."""
        with self._database.reading() as connection:
            keys = set(connection.execute(sa.select(CALLS.c.key)).scalars())
            found = Calls(self._database).under(connection, keys) if keys else []
        return {(row.account, row.key): row for row in found}

    def open(self, facts, clock=time.monotonic, machine=None):
        """Begin a run."""
        ledger = SqlLedger(self._url, facts, clock=clock, machine=machine or NoMachine())
        self._ledgers.append((ledger, machine and machine.last))
        return ledger

    def die(self, ledger):
        """Kill the process of a run."""
        [process] = [process for one, process in self._ledgers if one is ledger]
        self.machine.kill(process)
        ledger._database.close()

    def floor(self, account, moment):
        """What a person's ``prune`` does."""
        where = ACCOUNTS.c.campaign == account.campaign
        self._change(ACCOUNTS.update().where(where).values(floor=moment))

    def release(self, account, key):
        """What a person's "send again" does."""
        accounts = sa.select(ACCOUNTS.c.id).where(ACCOUNTS.c.campaign == account.campaign)
        where = (CALLS.c.key == key) & CALLS.c.account.in_(accounts)
        self._change(CALLS.update().where(where).values(released=True))

    def _change(self, statement):
        with self._database.writing() as connection:
            assert connection.execute(statement).rowcount == 1

    def close(self):
        """Leave it, empty."""
        for ledger, _process in self._ledgers:
            ledger._database.close()
        with self._database.writing() as connection:
            for table in (CALLS, DECISIONS, RUNS):
                connection.execute(table.delete())
        self._database.close()
