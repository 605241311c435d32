"""What is asked of the ledger while a commit fails."""

import asyncio

import pytest

from singer_calls.deliver.group_commit import GroupCommit, ThreadWorker
from singer_calls.deliver.identity import NOBODY, Account
from singer_calls.deliver.ledger import Claim, LedgerError, Note

ACCOUNT = Account("vendor", "https://vendor.example", "1")


class FullOnce:
    """A ledger on a disk that is full for one commit."""

    def __init__(self):
        self.applied = []

    def apply(self, requests):
        self.applied.append(requests)
        if len(self.applied) == 1:
            raise LedgerError("The ledger can't be written: the disk is full")
        return [1] * len(requests)


def test_after_a_failed_commit_outcomes_are_written_and_nothing_is_claimed():
    ledger = FullOnce()
    outcome = Note(ACCOUNT, "b", 1, "accepted")

    async def ask():
        async with GroupCommit(ledger, None, ThreadWorker("ledger")) as commit:
            lost = commit.ask(Note(ACCOUNT, "a", 1, "accepted"))
            await asyncio.sleep(0.01)
            claim = commit.ask(Claim(ACCOUNT, "c", None, b"", NOBODY))
            written = commit.ask(outcome)
            for refused in (lost, claim):
                with pytest.raises(LedgerError, match="full"):
                    await refused
            return await written

    assert asyncio.run(ask())
    assert ledger.applied[1:] == [[outcome]]
