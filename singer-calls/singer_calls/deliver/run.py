"""One delivery run: every call taken is settled, set aside, or before no STATE.

It owns the ledger's and the files' group commit, the sender, the watermark, the counts and the
thresholds. It knows no SDK and no thread: ``take`` and ``state`` may be called from the reader's
thread, all else belongs to one loop. A test drives it with lists, and with a clock of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from singer_calls.deliver.group_commit import GroupCommit
from singer_calls.deliver.latest import LatestSender
from singer_calls.deliver.lease import Lease
from singer_calls.deliver.outcome import Outcome, Pending, Rejected
from singer_calls.deliver.sender import Sender
from singer_calls.deliver.thresholds import Thresholds
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver.call import Call
    from singer_calls.deliver.dead_letters import DeadLetters
    from singer_calls.deliver.destination import Destination, Endpoint
    from singer_calls.deliver.group_commit import Worker
    from singer_calls.deliver.ledger import Ledger
    from singer_calls.deliver.run_options import RunOptions
    from singer_calls.deliver.summary import Summary
    from singer_calls.deliver.transport import Transport
    from singer_calls.deliver.watermark import Watermark


class DeliveryRun:
    """One run before one vendor; an async context.

    Args:
        options: The settings.
        destination: Where calls go.
        ledger: Opened and closed by its owner.
        letters: Files of what is set aside; closed by the run.
        make_transport: Makes a way to an endpoint, given what says whether a request may leave;
            entered and left by the run. Calls have one, what is said of them later another.
        watermark: Which STATE is true already.
        summary: Counts.
        workers: Where commits are made, and where a beat waits for the database.
        clocks: Monotonic seconds that go on while the machine sleeps, and epoch seconds.
        failed: Told that nothing more can be sent.
        settled: Told each outcome, after it is counted.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        destination: Destination,
        ledger: Ledger,
        letters: DeadLetters,
        make_transport: Callable[[Endpoint, Callable[[], bool]], Transport],
        watermark: Watermark,
        summary: Summary,
        workers: tuple[Worker, Worker],
        clocks: tuple[Callable[[], float], Callable[[], float]],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._letters = letters
        self._watermark = watermark
        self._on_failed = failed
        self._worker = workers[1]
        self.lease = Lease(ledger, workers[1], options.request_timeout, clocks[0])
        self._transport = make_transport(destination, self.lease.may_send)
        self._commit = GroupCommit(ledger, letters, workers[0])
        self.sender = Sender(
            options.sender,
            transport=self._transport,
            classify=destination.outcome,
            commit=self._commit,
            fail=self.fail,
            clocks=clocks,
        )
        self.latest: LatestSender | None = None
        if (latest := destination.latest) is not None and options.latest is not None:
            self._latest_transport = make_transport(latest, self.lease.may_send)
            self.latest = LatestSender(
                options.latest,
                latest,
                transport=self._latest_transport,
                commit=self._commit,
                clocks=clocks,
                limiter=self.sender.limiter,
            )
        self._summary = summary
        self._thresholds = Thresholds(options.max_rejected_percent)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self.failure: PluginError | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._commit)
        await self._stack.enter_async_context(self._transport)
        if self.latest is not None:
            await self._stack.enter_async_context(self._latest_transport)
        beats = asyncio.create_task(self._beat())
        self._stack.callback(beats.cancel)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()
        self._worker.close()
        self._letters.close()

    async def _beat(self) -> None:
        try:
            await self.lease.keep()
        except PluginError as error:
            self.fail(error)

    def begin(self, call: Call) -> asyncio.Task[None]:
        """Start bringing a call to its outcome."""
        task = asyncio.get_running_loop().create_task(self._process(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.sender.abandoned:
            task.cancel()
        return task

    async def drain(self) -> None:
        """Wait until every call that was begun is settled or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self.latest is not None and self.latest.failure is not None:
            self.fail(self.latest.failure)

    def abandon(self) -> None:
        """Begin no further attempt; what is under way goes on to its outcome and no further."""
        for sender in self._senders:
            sender.abandoned = True
        for task in list(self._tasks):
            if not any(task in sender.committed for sender in self._senders):
                task.cancel()

    @property
    def _senders(self) -> list[Sender]:
        return [self.sender, self.latest] if self.latest else [self.sender]

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return sum(sender.admission.in_flight for sender in self._senders)

    @property
    def waits_for(self) -> str:
        """What holds the run up, for people; "" when nothing does."""
        return next((why for sender in self._senders if (why := sender.waits_for)), "")

    def fail(self, failure: PluginError) -> None:
        """Nothing more can be sent, for this reason; the first one counts."""
        if self.failure is None:
            self.failure = failure
            self.abandon()
            self._on_failed()

    async def _process(self, call: Call) -> None:
        try:
            outcome = await self.sender.deliver(call)
            if self.latest is not None:
                outcome = await self.latest.tell(call, outcome)
        except asyncio.CancelledError:
            return  # not settled: no STATE passes it, the next run reads it again
        except PluginError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 - a fault must stop the run, not one task silently
            self.fail(_fault(error))
        else:
            self.settle(call, outcome)

    def settle(self, call: Call, outcome: Outcome) -> None:
        """Count an outcome that is durable, and let STATE pass its call unless it is pending."""
        self._summary.settle(outcome, call.account)
        self._thresholds.settle(call.number, outcome)
        if isinstance(outcome, Pending):
            self._watermark.stop_at(call.number)
        else:
            self._watermark.settle(call.number)
        rejected = isinstance(outcome, Rejected) and not outcome.earlier
        if rejected and self._options.fail_on_rejected:
            self._fail_and_say("A call was rejected and on_error is fail")
        elif sentence := self._thresholds.exceeded():
            self._fail_and_say(sentence)

    def check_at_end(self) -> None:
        """What only the whole run shows."""
        if sentence := self._thresholds.exceeded(at_end=True):
            self._fail_and_say(sentence)

    def _fail_and_say(self, sentence: str) -> None:
        where = " and ".join(self._letters.paths)
        see = f": see {where}, correct the cause and replay with --input" if where else ""
        self.fail(PluginError(f"{sentence}{see}."))


def _fault(error: Exception) -> PluginError:
    return PluginError(
        f"A fault in the program stopped the run ({type(error).__name__}): please report it."
    )
