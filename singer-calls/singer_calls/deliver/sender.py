"""Sends calls side by side; no call waits for a batch.

For each attempt the order is one onion: rate limit > in-flight slot, or the pause of everyone >
one request with its timeout; retries are around it, so that a call which waits for its next try
gives its slot away. ``sending`` is in the ledger before the first byte leaves, and the outcome with
the claim of the call that takes its slot, or before it: at most ``max_in_flight`` calls can be of
unknown outcome after a crash.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from singer_calls.deliver.admission import Admission
from singer_calls.deliver.judgement import (
    ANOTHER_CALL,
    PRUNED,
    USED,
    judge,
)
from singer_calls.deliver.ledger import FORGOTTEN, Asked, Claim, Lookup, RunEndedError
from singer_calls.deliver.notes import written
from singer_calls.deliver.other_runs import OtherRuns
from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Fatal,
    InvalidCallError,
    Outcome,
    Pending,
    Rejected,
    Retry,
    Unknown,
)
from singer_calls.deliver.tasks import Committed, Turns
from singer_calls.deliver.unsent import Unsent
from singer_calls.errors import PluginError
from singer_calls.http.rate_limit import RateLimiter, SlidingWindow
from singer_calls.http.retry import RetryAfter

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from singer_calls.deliver.admission import Slot
    from singer_calls.deliver.call import Call
    from singer_calls.deliver.delivery import Delivery, Response
    from singer_calls.deliver.entries import Row
    from singer_calls.deliver.group_commit import GroupCommit
    from singer_calls.deliver.identity import Account
    from singer_calls.deliver.run_options import SenderOptions
    from singer_calls.deliver.transport import Transport

_HOUR_SECONDS = 3600
_MOST_DOUBTS = 3  # unknown outcomes in a row: the vendor is not to be had


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery that may be sent.

    Attributes:
        delivery: What to send.
        claim: What makes it ours.
        since: When its call was delivered, UTC seconds since the epoch; of ``LATEST``.
    """

    delivery: Delivery
    claim: Claim
    since: int = 0

    @property
    def row(self) -> Row | None:
        """The row as it was looked up."""
        return self.claim.seen


class Sender:
    """Brings one call after the other to its outcome; used from one loop.

    Args:
        options: How to send.
        transport: To the vendor.
        classify: Reads the vendor's answer.
        commit: The ledger and the files.
        fail: Told a reason why nothing more can be sent.
        clocks: Monotonic seconds, and seconds since the epoch.
    """

    def __init__(
        self,
        options: SenderOptions,
        *,
        transport: Transport,
        classify: Callable[[Response], Outcome],
        commit: GroupCommit,
        fail: Callable[[PluginError], None],
        clocks: tuple[Callable[[], float], Callable[[], float]],
    ) -> None:
        self._options = options
        self._transport = transport
        self._classify = classify
        self._commit = commit
        self._fail = fail
        self._clocks = clocks
        window = SlidingWindow(options.requests_per_minute, options.requests_per_second)
        self.limiter = RateLimiter(window, clock=clocks[0])
        """Of its requests."""
        self._with_others: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        self._turns = Turns()
        self._campaigns: dict[tuple[Account, str], Rejected] = {}  # refused, by partner
        self._memory = _Memory()
        self._others = OtherRuns(commit, clocks[0])
        self.admission = Admission(options.max_in_flight, options.retry, clocks[0])
        self.committed = Committed()
        """Tasks that must not be cut short."""
        self._unsent = Unsent(
            options.target,
            commit=commit,
            committed=self.committed,
            fail=fail,
            now=clocks[1],
            remembers=options.remembers,
        )
        self.abandoned = False
        """Set when no further attempt may be begun."""

    async def deliver(self, call: Call) -> Outcome:
        """Bring one call to its outcome, and make that durable.

        Raises:
            PluginError: The ledger or a file can't be used.
            CancelledError: The run ends; the call is not settled.
        """
        if call.delivery is not None:
            return await self._bring(call, call.delivery.account, call.delivery.key)
        refused = call.refused or Rejected("can't be sent")
        if call.place is None:
            return await self._unsent.refused(call, refused)
        # Its call may be under way from another record of this input.
        async with self._turns.turn(call.place.account, call.place.key):
            return await self._unsent.refused(call, refused)

    async def _bring(self, call: Call, account: Account, key: str) -> Outcome:
        async with self._turns.turn(account, key):
            return await self._try(call)

    async def _try(self, call: Call) -> Outcome:
        tries = attempts = 0
        while True:
            ready = await self._look_up(call)
            if isinstance(ready, Outcome):
                return ready
            async with (
                self.limiter.permit(),
                self.admission.enter(attempts) as slot,
                self._with_others(),
            ):
                step = await self.committed.finish(self._attempt(call, ready, tries + 1, slot))
            if isinstance(step, Outcome):
                return step
            if self.abandoned:
                raise asyncio.CancelledError
            if step is not None:
                attempts += 1
                if not self.admission.remaining:  # a pause of everyone is no failure of its own
                    tries += 1
                    await asyncio.sleep(step.wait)

    async def _look_up(self, call: Call) -> Ready | Outcome:
        """How the call is to be claimed, or what becomes of it without a claim."""
        delivery = call.delivery
        assert delivery is not None  # noqa: S101 - see ``deliver``
        lookup = Lookup(delivery.account, delivery.key, delivery.identity, self._options.same_key)
        found = await self._others.find(lookup)
        if isinstance(found, Outcome):
            return found
        row = found.row
        outcome = judge(delivery, found, call.source.licence, self._options.policy)
        if row is None and self._unsent.remembers:
            outcome = await self._unsent.as_decided(call, outcome)
        if outcome is None:
            refused = self._campaigns.get((delivery.account, delivery.partner))
            if refused is None:
                return Ready(delivery, self._claim(call, delivery, row))
            return await self._unsent.refused_unasked(call, delivery, row, refused)
        return await self._unsent.judged(call, delivery, row, outcome)

    def _claim(self, call: Call, delivery: Delivery, row: Row | None) -> Claim:
        known = call.knowledge
        return Claim(
            delivery.account,
            delivery.key,
            row,
            delivery.fingerprint,
            delivery.identity,
            told=known.at_ingestion(row) if known else None,
            source_read=call.read if known else None,
        )

    async def _attempt(
        self, call: Call, ready: Ready, tries: int, slot: Slot
    ) -> RetryAfter | Outcome | None:
        """One request; the outcome, or when to try again, or None to look again at once."""
        delivery, row = ready.delivery, ready.row
        if delivery.make_body is not None:
            try:
                body = await asyncio.to_thread(delivery.make_body)
            except InvalidCallError as error:
                return await self._unsent.remember(call, Rejected(error.reason, field=error.field))
            delivery = replace(delivery, body=body)
        attempt: int = await self._commit.ask(ready.claim)
        if attempt == 0:
            return None  # another run was faster
        if attempt == FORGOTTEN:
            return await self._unsent.remember(call, Rejected(PRUNED))
        number = self._memory.begin()
        outcome = await self._transport.post(delivery, self._classify)
        outcome = await self._understand(outcome, ready)
        if isinstance(outcome, Rejected) and _same_refusal(call, delivery, row):
            outcome = replace(outcome, earlier=True)
        step = self._after(outcome, tries, slot.began)
        note, letter = written(call, delivery, attempt, outcome, before=row, final=step is outcome)
        if self._unsent.remembers and call.source.alone:
            note = replace(note, record=call.source.name)
        self._learn(delivery, outcome, number, step)
        noted = self._commit.ask(note, letter)
        if letter is None:  # else the note waits for a file, and may fail alone
            slot.leave()
        if not await noted:
            raise RunEndedError  # another run ended ours and made this call its own
        if isinstance(step, Fatal):
            raise asyncio.CancelledError  # not settled: no STATE passes it
        return step

    def _learn(
        self, delivery: Delivery, outcome: Outcome, number: int, step: Outcome | RetryAfter
    ) -> None:
        """What one call's outcome says of the vendor, and of the campaign."""
        if isinstance(step, Fatal):
            self._fail(PluginError(f"{step.reason}."))
        if isinstance(outcome, Unknown) and step is outcome:
            self._doubt(number)
        elif isinstance(outcome, Accepted | Duplicate | Rejected | Pending):
            self._memory.doubts = 0
            self.admission.succeeded()
        if isinstance(outcome, Rejected) and outcome.campaign:
            self._campaigns.setdefault((delivery.account, delivery.partner), outcome)
        elif isinstance(outcome, Accepted):
            self._campaigns.pop((delivery.account, delivery.partner), None)

    async def _understand(self, outcome: Outcome, ready: Ready) -> Outcome:
        """What an outcome means, by what the ledger knows."""
        if isinstance(outcome, Duplicate) and outcome.claim:
            return await self._vouch(outcome, ready.delivery, ready.row)
        return outcome

    async def _vouch(self, outcome: Duplicate, delivery: Delivery, row: Row | None) -> Outcome:
        """The vendor says that it had the call: is it ours?"""
        asked: list[Row] = [
            *(await self._commit.ask(Asked(delivery.account, delivery.key))),
            *([row] if row is not None else []),
        ]
        asked = [one for one in asked if one.attempt]
        if any(delivery.identity.contradicts(one.identity) for one in asked):
            return Rejected(ANOTHER_CALL, field=self._options.policy.key_field)
        if asked or outcome.claim == "received":
            return outcome
        if self._options.fresh:
            self._memory.adopted += 1
            return outcome
        return Unknown(USED)

    def _after(self, outcome: Outcome, tries: int, began: float) -> Outcome | RetryAfter:
        """What follows an attempt: another one, or the outcome that stands."""
        if isinstance(outcome, Retry):
            step = self.admission.failed(began, tries, outcome.after, everyone=outcome.everyone)
        elif (
            isinstance(outcome, Unknown)
            and self._options.policy.retry_unknown
            and outcome.reason != USED
        ):
            step = self._options.retry.after(tries)
        else:
            return outcome
        if isinstance(step, RetryAfter):
            return step
        return Fatal(f"The vendor failed {step.why} ({outcome.reason}): run again when it is back")

    def _doubt(self, number: int) -> None:
        """An unknown outcome under ``hold``: on with one call at a time, and not for long."""
        memory = self._memory
        if number > memory.doubted_from:
            memory.doubts += 1
            memory.doubted_from = memory.begun
        self.admission.doubt()
        if memory.doubts >= _MOST_DOUBTS:
            self._fail(
                PluginError(
                    f"{_MOST_DOUBTS} calls in a row left and got no answer that says what became "
                    "of them: the vendor is not to be had. They are held; run again when it is "
                    "back."
                )
            )

    @property
    def waits_for(self) -> str:
        """What holds the sender up, for people; "" when nothing does."""
        if self.admission.remaining:
            return f"the vendor asked for a pause, {self.admission.remaining:.0f} s left"
        if not self.admission.in_flight and (held_up := self._others.waits_for):
            return held_up
        return "requests_per_minute" if self.limiter.holds else ""

    @property
    def adopted(self) -> int:
        """Calls that a vendor already had while our ledger was new."""
        return self._memory.adopted


@dataclass(slots=True)
class _Memory:
    """What one run's sender counts."""

    begun: int = 0
    doubts: int = 0
    doubted_from: int = 0
    adopted: int = 0

    def begin(self) -> int:
        self.begun += 1
        return self.begun


def _same_refusal(call: Call, delivery: Delivery, row: Row | None) -> bool:
    """Whether this very content was refused before; a replayed file is written anew."""
    refused = row.refused if row is not None else ()
    return delivery.fingerprint in refused and call.source.licence is None
