"""Looks a call up, and waits while another run is sending it: alive or not, and not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from singer_calls.deliver.entries import SENDING, Found
from singer_calls.deliver.outcome import Pending
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver.group_commit import GroupCommit
    from singer_calls.deliver.ledger import Lookup

_POLL_SECONDS = 0.5, 2.0  # between two looks, the shortest and the longest
_WAIT_EXPIRIES = 2  # of another run's lease: how long its call is waited for


class OtherRuns:
    """Used from one loop.

    Args:
        commit: The ledger.
        clock: Monotonic seconds.
    """

    def __init__(self, commit: GroupCommit, clock: Callable[[], float]) -> None:
        self._commit = commit
        self._clock = clock
        self._waiting: dict[str, int] = {}

    async def find(self, lookup: Lookup) -> Found | Pending:
        """What the ledger knows, once no other run is sending it."""
        found: Found = await self._commit.ask(lookup)
        if found.row is not None and found.row.state == SENDING:
            found = await self._wait(lookup, found)
        if found.row is not None and found.row.state == SENDING:
            return Pending(f"{self._commit.who(found.row.run)} is sending this call, without end")
        return found

    async def _wait(self, lookup: Lookup, found: Found) -> Found:
        """Another run is sending the call, alive or not: wait for what it becomes, not for ever."""
        shortest, longest = _POLL_SECONDS
        pause = shortest
        until = self._clock() + _WAIT_EXPIRIES * self._commit.expiry
        self._waiting[lookup.key] = found.row.run if found.row else 0
        try:
            while self._clock() < until:
                await self._commit.reap()
                found = await self._commit.ask(lookup)
                if found.row is None or found.row.state != SENDING:
                    break
                await asyncio.sleep(pause)
                pause = min(longest, pause * 1.5)
        finally:
            self._waiting.pop(lookup.key, None)
        return found

    @property
    def waits_for(self) -> str:
        """Whose calls are waited for, for people; "" when none are."""
        if not self._waiting:
            return ""
        told = f"{len(self._waiting)} calls that another run is sending"
        try:
            runs = "; ".join(self._commit.who(run) for run in sorted({*self._waiting.values()}))
        except PluginError:  # the database is away: who asks is a thread that only tells
            return told
        return f"{told}: {runs}"
