"""Says what becomes known of delivered calls: policy ``LATEST``, beside the calls' own sender.

It has its own account in the ledger, rate limit, slots and breaker. What ends it (no access, a
vendor that is down) ends no delivery of calls: these go on, and the run fails when they are done.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from singer_calls.deliver import entries as db
from singer_calls.deliver.delivery import Delivery
from singer_calls.deliver.knowledge import judge_latest, told_of
from singer_calls.deliver.ledger import Claim, Lookup, Seen
from singer_calls.deliver.outcome import (
    Accepted,
    AlreadyDelivered,
    Duplicate,
    Outcome,
    Pending,
    Rejected,
    Updated,
)
from singer_calls.deliver.sender import Ready, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver.call import Call
    from singer_calls.deliver.destination import LatestDestination
    from singer_calls.deliver.group_commit import GroupCommit
    from singer_calls.deliver.identity import Account
    from singer_calls.deliver.run_options import SenderOptions
    from singer_calls.deliver.transport import Transport
    from singer_calls.errors import PluginError
    from singer_calls.http.rate_limit import RateLimiter

_HOUR_SECONDS = 3600


class LatestSender(Sender):
    """Brings what is known of one delivered call after the other to its vendor; used from one loop.

    Args:
        options: How to send.
        destination: Where to.
        transport: To the vendor.
        commit: The ledger and the files.
        clocks: Monotonic seconds, and seconds since the epoch.
        limiter: Of the calls' sender: what the user allows, for the whole process. A permit of it
            is taken last, so that a pause here holds up no call.

    Attributes:
        failure: Why nothing more can be said.
        taken: Calls that were delivered before this was kept: what was seen of them first counts
            as said.
    """

    def __init__(
        self,
        options: SenderOptions,
        destination: LatestDestination,
        *,
        transport: Transport,
        commit: GroupCommit,
        clocks: tuple[Callable[[], float], Callable[[], float]],
        limiter: RateLimiter,
    ) -> None:
        super().__init__(
            options,
            transport=transport,
            classify=destination.outcome,
            commit=commit,
            fail=self._end,
            clocks=clocks,
        )
        self._with_others = limiter.permit
        self._url = destination.url
        self._waiting: set[asyncio.Task[None]] = set()
        self.failure: PluginError | None = None
        self.taken = 0

    def _end(self, failure: PluginError) -> None:
        """Say nothing more; calls of which something was to be said are not settled."""
        if self.failure is None:
            self.failure = failure
            self.abandoned = True
            for task in self._waiting:
                if task not in self.committed:
                    task.cancel()

    async def tell(self, call: Call, delivered: Outcome) -> Outcome:
        """Say what is known of a call that was delivered, if it is news.

        A replayed file says nothing: it is what was known when it was written.

        Args:
            call: A call of the input.
            delivered: Its outcome.

        Returns:
            The call's outcome, or that of the news.

        Raises:
            PluginError: The ledger or a file can't be used.
            CancelledError: Nothing more is said; the call is not settled.
        """
        known = call.knowledge
        # What was accepted a moment ago was told with it.
        if known is None or call.source.licence or not isinstance(
            delivered, AlreadyDelivered | Duplicate
        ):  # fmt: skip
            return delivered
        outcome = await self._bring(call, known.account, known.key)
        if isinstance(outcome, Accepted):
            return Updated(outcome.reason)
        if not isinstance(outcome, AlreadyDelivered):
            return outcome
        if isinstance(delivered, AlreadyDelivered) and delivered.changed:
            return replace(delivered, changed=outcome.changed)
        return delivered

    @override
    async def _bring(self, call: Call, account: Account, key: str) -> Outcome:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        self._waiting.add(task)
        try:
            return await super()._bring(call, account, key)
        finally:
            self._waiting.discard(task)

    @override
    async def _look_up(self, call: Call) -> Ready | Outcome:
        known, where = call.knowledge, call.delivery or call.place
        assert known is not None  # noqa: S101 - see ``tell``
        assert where is not None  # noqa: S101 - a call without a place is not delivered
        found = await self._others.find(Lookup(known.account, known.key))
        if isinstance(found, Outcome):
            return found
        row = found.row
        own = (await self._commit.ask(Lookup(where.account, where.key))).row
        judged = judge_latest(known, call.read, (own, row), self._clocks[1]())
        if isinstance(judged, db.Told):
            self.taken += 1
            await self._see(where.account, call, judged)
            return AlreadyDelivered("delivered before it was kept what was said", changed=True)
        if isinstance(judged, Outcome) and own and call.read > (own.source_read or 0):
            await self._see(where.account, call)
        if isinstance(judged, Outcome) and not isinstance(judged, Rejected):
            return judged
        assert own is not None  # noqa: S101 - or nothing would be said
        told = known.told(told_of(own, row))
        body = known.make_body(known.whole(told.names))
        delivery = Delivery(
            known.account,
            known.key,
            self._url,
            body,
            headers={"Content-Type": "application/json"},
            identity=known.identity,
            fingerprint=told.fingerprint,
        )
        refused = judged or self._campaigns.get((known.account, ""))
        if isinstance(refused, Rejected):
            if refused.earlier:
                return refused
            return await self._unsent.refused_unasked(call, delivery, row, refused, db.LATEST)
        if self.abandoned:  # the call came after the end: see ``_end`` for those before it
            raise asyncio.CancelledError
        claim = Claim(
            known.account,
            known.key,
            row,
            delivery.fingerprint,
            known.identity,
            told=told,
            source_read=call.read,
            call=where.account,
        )
        return Ready(delivery, claim, own.updated)

    async def _see(self, account: Account, call: Call, told: db.Told | None = None) -> None:
        known = call.knowledge
        assert known is not None  # noqa: S101 - see ``tell``
        await self._commit.ask(Seen(account, known.key, call.read, told))

    @override
    async def _understand(self, outcome: Outcome, ready: Ready) -> Outcome:
        """The vendor may not find a call yet; for so long after its delivery, and no longer."""
        if isinstance(outcome, Pending):
            late = self._clocks[1]() - ready.since > outcome.hours * _HOUR_SECONDS
            if late:
                hours = f"{outcome.hours:g} h after it was delivered"
                return Rejected(f"{outcome.reason}, and it is more than {hours}", outcome.field)
        return outcome
