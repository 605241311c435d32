"""Calls that another run is sending."""

from __future__ import annotations

import asyncio
import time

import pytest

from singer_calls.deliver.entries import SENDING, Found, Row
from singer_calls.deliver.identity import Account
from singer_calls.deliver.ledger import LedgerError, Lookup
from singer_calls.deliver.other_runs import OtherRuns

HERE = Account("impact", "https://vendor.example", "7")


class Commit:
    """A ledger in which run 5 sends a call until somebody looks whether it lives."""

    expiry = 60.0

    def __init__(self, *, away):
        self.away = away
        self.found = Found(Row(HERE, "a", SENDING, 5, 1))
        self.others = OtherRuns(self, time.monotonic)

    async def ask(self, _request):
        return self.found

    async def reap(self):
        self.told, self.found = self.others.waits_for, Found()

    def who(self, run):
        if self.away:
            raise LedgerError("The ledger can't be read")
        return f"run {run}"


@pytest.mark.parametrize(("away", "runs"), [(False, ": run 5"), (True, "")])
def test_what_is_waited_for_can_be_told_without_the_ledger(away, runs):
    """Whoever tells how far a run is must not end with the database."""
    commit = Commit(away=away)
    assert asyncio.run(commit.others.find(Lookup(HERE, "a"))) == Found()
    assert commit.told == f"1 calls that another run is sending{runs}"
    assert commit.others.waits_for == ""
