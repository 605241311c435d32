"""Sends calls side by side from a loop in a thread of its own; no call waits for a batch.

For each attempt the order is one onion: rate limit > in-flight slot > one request with its
timeout; retries are around it, so that a call which waits for its next try gives its slot away.
A bounded number of open calls gives back-pressure to the reader. ``sending`` is in the ledger
before the first byte leaves, and the outcome before the slot is given back: at most
``max_in_flight`` calls can be of unknown outcome after a crash.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from singer_calls.deliver import ledger as db
from singer_calls.deliver.books import Books, SetAside
from singer_calls.deliver.limiter import Pause
from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Fatal,
    Known,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from singer_calls.deliver.reader import StopReading
from singer_calls.deliver.retry import Again, RetryPolicy
from singer_calls.errors import PluginError
from singer_calls.http.rate_limit import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from singer_calls.deliver.delivery import Answer, Delivery
    from singer_calls.deliver.ledger import Ledger, Row
    from singer_calls.deliver.rejected import HeldFile, Original, RejectedFile
    from singer_calls.deliver.transport import Transport

_OPEN_PER_SLOT = 16  # calls that may wait for their next try, per slot
_GLANCE = 0.1  # seconds between two looks at whether a signal came, while waiting
_BUSY = 0.5  # seconds between two looks at a call that another run is sending

_STATE_OF: Mapping[type[Outcome], str] = {
    Accepted: db.ACCEPTED,
    Duplicate: db.DUPLICATE,
    Rejected: db.REJECTED,
    Unknown: db.UNKNOWN,
    Retry: db.WAITING,
    Fatal: db.WAITING,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call on its way.

    Attributes:
        number: Its place in the input, for the watermark.
        original: The record as the tap sent it.
        delivery: What to send, None when our own check refused the record.
        classify: Reads the vendor's answer.
        refused: The outcome of our own check, None when it passed.
    """

    number: int
    original: Original
    delivery: Delivery | None = None
    classify: Callable[[Answer], Outcome] | None = field(default=None, repr=False)
    refused: Rejected | None = None


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """The settings a sender needs, see options.py for their meaning."""

    max_in_flight: int
    requests_per_minute: int | None
    retry: RetryPolicy

    @property
    def max_open(self) -> int:
        """Calls taken from the input and not settled, at most; 1 keeps strict order."""
        return 1 if self.max_in_flight == 1 else self.max_in_flight * _OPEN_PER_SLOT


_T = TypeVar("_T")


class Sender:
    """The one sender of a target.

    Args:
        options: How to send.
        transport: To the vendor; entered and left in the sender's thread.
        ledger: What was sent; opened and closed by its owner.
        rejected: File of rejected calls.
        held: File of calls whose outcome is unknown.
        settled: Told the call and its outcome, from the sender's thread, once it is durable.
        failed: Told, from the sender's thread, when sending can't go on.
        stopping: True once a signal has asked for the end: waits are cut short.
    """

    def __init__(
        self,
        options: SenderOptions,
        *,
        transport: Transport,
        ledger: Ledger,
        rejected: RejectedFile,
        held: HeldFile,
        settled: Callable[[Call, Outcome], None],
        failed: Callable[[], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._options = options
        self._transport = transport
        self._ledger = ledger
        self._files = (rejected, held)
        self._on_settled = settled
        self._on_failed = failed
        self._stopping = stopping
        self._room = threading.Semaphore(options.max_open)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._pause = Pause()
        self._closed = False
        self._abandon = False
        self._settled_count = 0
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._keys: dict[tuple[str, str], asyncio.Future[None]] = {}
        self.failure: PluginError | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._ready.wait()

    def submit(self, call: Call) -> None:
        """Hand a call over; waits while too many are open.

        Raises:
            PluginError: Sending can't go on; the call was not taken.
            StopReading: A signal came while it waited; the call was not taken.
        """
        while not self._room.acquire(timeout=_GLANCE):
            if self._stopping():
                raise StopReading
        if self.failure is not None:
            self._room.release()
            raise self.failure
        self._call_soon(self._begin, call)

    def fail(self, failure: PluginError) -> None:
        """Stop sending for a reason from outside; may be called from any thread."""
        if self._thread.is_alive():
            self._call_soon(self._fail, failure)
        else:  # all calls are settled, and still the run has failed
            self.failure = self.failure or failure

    def close(self, *, abandon: bool = False) -> None:
        """Wait for the open calls and end the thread.

        Args:
            abandon: Wait for the requests in flight only; calls that were not sent stay unsettled.

        Raises:
            PluginError: Sending could not go on; calls without an outcome stay unsettled.
        """
        if not self._closed:
            self._closed = True
            self._call_soon(self._finish, abandon)
            while self._thread.is_alive():
                self._thread.join(_GLANCE)
                if self._stopping() and not abandon:
                    abandon = True
                    self._call_soon(self._finish, abandon)
        if self.failure is not None:
            raise self.failure

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._in_flight

    @property
    def waits_for(self) -> str:
        """What holds the sender up, for people; "" when nothing does."""
        if self._pause.remaining:
            return f"the vendor asked for a pause, {self._pause.remaining:.0f} s left"
        waiting = len(self._tasks) - self._in_flight
        if not self._in_flight and waiting:
            return f"{waiting} calls wait for their next try"
        return ""

    def _call_soon(self, function: Callable[..., None], *args: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: nothing is left to do
                self._loop.call_soon_threadsafe(function, *args)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:  # noqa: BLE001 - the reader must not wait for a dead thread
            self.failure = self.failure or _fault(error)
            self._on_failed()
        finally:
            self._ready.set()
            self._room.release(self._options.max_open)

    async def _main(self) -> None:
        options = self._options
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(options.max_in_flight)
        self._limiter = RateLimiter(options.requests_per_minute)
        self._books = Books(self._ledger, *self._files)
        end = self._end = asyncio.Event()
        async with (
            self._transport,
            self._books,
        ):
            self._ready.set()
            await end.wait()
            while self._tasks:
                await asyncio.wait(self._tasks)

    def _finish(self, abandon: bool) -> None:
        if abandon:
            self._stop_unsent()
        if self._end is not None:
            self._end.set()

    def _begin(self, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self._process(call))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if self._abandon:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    def _fail(self, failure: PluginError) -> None:
        if self.failure is None:
            self.failure = failure
            self._stop_unsent()
            self._on_failed()

    def _stop_unsent(self) -> None:
        # A task under way goes on to its outcome and no further; all others end here.
        self._abandon = True
        for task in self._tasks - self._under_way:
            task.cancel()

    async def _process(self, call: Call) -> None:
        try:
            outcome = await self._outcome(call)
        except asyncio.CancelledError:
            return  # not settled: no STATE passes it, the next run reads it again
        except PluginError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a fault must stop the run, not one task silently
            self._fail(_fault(error))
        else:
            if isinstance(outcome, Fatal):
                self._fail(PluginError(f"{outcome.reason}."))
            else:
                self._settled_count += 1
                self._on_settled(call, outcome)

    async def _outcome(self, call: Call) -> Outcome:
        if call.delivery is None or call.classify is None:
            refused = call.refused or Rejected("the record can't be sent")
            await self._finishing(self._books.ask(None, SetAside(call.original, refused, 0)))
            return refused
        place = (call.delivery.scope, call.delivery.key)
        while (earlier := self._keys.get(place)) is not None:
            await asyncio.wait([earlier])
        self._keys[place] = asyncio.get_running_loop().create_future()
        try:
            return await self._send(call, call.delivery, call.classify)
        finally:
            self._keys.pop(place).set_result(None)

    async def _finishing(self, work: Awaitable[_T]) -> _T:
        """Do what must not be cut short: from the claim to the outcome written down."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        self._under_way.add(task)
        try:
            return await work
        finally:
            self._under_way.discard(task)

    async def _send(
        self, call: Call, delivery: Delivery, classify: Callable[[Answer], Outcome]
    ) -> Outcome:
        fingerprint = hashlib.sha256(delivery.body).hexdigest()
        tries = 0
        while True:
            row: Row | None = await self._books.ask(db.Lookup(delivery.scope, delivery.key))
            if row is not None and row.state == db.SENDING:  # by another run, alive or not
                await self._books.reap()
                await asyncio.sleep(_BUSY)
                continue
            if row is not None and (known := self._known(call, row, fingerprint)) is not None:
                if isinstance(known, Unknown) and not row.filed:
                    await self._finishing(self._hold(call, delivery, known, tries))
                return known
            settled_before = self._settled_count
            async with self._limiter.permit(), self._slots:
                await self._pause.wait()
                claim = db.Claim(delivery.scope, delivery.key, row, fingerprint)
                step = await self._finishing(self._attempt(call, delivery, classify, claim, tries))
            if step is None:
                continue  # another run was faster: look again
            if not isinstance(step, Again):
                return step
            if self._abandon:
                raise asyncio.CancelledError
            # A limit that let others through meanwhile is no failure of the vendor.
            tries += not (step.everyone and self._settled_count > settled_before)
            if step.everyone:
                self._pause.extend(step.wait)
            else:
                await asyncio.sleep(step.wait)

    def _known(self, call: Call, row: Row, fingerprint: str) -> Outcome | None:
        """What the ledger alone decides; None when the call may be sent."""
        if row.state in db.DELIVERED:
            return Known("delivered earlier", changed=row.fingerprint != fingerprint)
        if row.state == db.UNKNOWN and not (
            call.original.replayed or self._options.retry.retry_unknown
        ):
            return Unknown("an earlier attempt may have reached the vendor", earlier=row.filed)
        return None

    async def _attempt(
        self,
        call: Call,
        delivery: Delivery,
        classify: Callable[[Answer], Outcome],
        claim: db.Claim,
        tries: int,
    ) -> Again | Outcome | None:
        if not await self._books.ask(claim):
            return None
        self._in_flight += 1
        try:
            outcome = await self._transport.post(delivery, classify)
        finally:
            self._in_flight -= 1
        step = self._options.retry.after(outcome, tries + 1)
        if isinstance(step, Unknown):
            await self._hold(call, delivery, step, tries + 1)
            return step
        note = db.Note(
            delivery.scope,
            delivery.key,
            _STATE_OF[type(outcome)],
            reason=outcome.reason,
            reference=getattr(outcome, "reference", None),
        )
        rejected = isinstance(outcome, Rejected)
        aside = SetAside(call.original, outcome, tries + 1) if rejected else None
        await self._books.ask(note, aside)
        return step

    async def _hold(self, call: Call, delivery: Delivery, outcome: Unknown, tries: int) -> None:
        note = db.Note(delivery.scope, delivery.key, db.UNKNOWN, reason=outcome.reason, filed=True)
        await self._books.ask(note, SetAside(call.original, outcome, tries))


def _fault(error: Exception) -> PluginError:
    return PluginError(
        f"A fault in the program stopped the run ({type(error).__name__}): please report it."
    )
