"""A thread with a loop for a run, driven by a reader that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from singer_calls.deliver.reader import StopReading

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver.call import Call
    from singer_calls.deliver.run import DeliveryRun
    from singer_calls.errors import PluginError

_POLL_SECONDS = 0.1  # between two looks at whether a signal came, while waiting


class RunThread:
    """Runs a delivery run beside the reader; calls are handed over in chunks.

    Args:
        make: Makes the run; called in the thread, so that its parts belong to its loop.
        max_open: Calls taken and not settled, at most.
        stopping: True once a signal has asked for the end: waits are cut short.
    """

    def __init__(
        self, make: Callable[[], DeliveryRun], max_open: int, stopping: Callable[[], bool]
    ) -> None:
        self._make = make
        self._stopping = stopping
        self._room = threading.Semaphore(max_open)
        self._max_open = max_open
        self._inbox: deque[Call] = deque()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="sender", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._broken: BaseException | None = None
        self._check = False
        self._run: DeliveryRun | None = None

    @property
    def run(self) -> DeliveryRun:
        """The run, once started."""
        assert self._run is not None  # noqa: S101 - see ``start``
        return self._run

    @property
    def failure(self) -> PluginError | None:
        """Why nothing more can be sent."""
        return self._run.failure if self._run else None

    def start(self) -> None:
        """Start the thread.

        Raises:
            BaseException: What kept the run from starting.
        """
        self._thread.start()
        self._ready.wait()
        if self._broken is not None:
            raise self._broken

    def submit(self, call: Call) -> None:
        """Hand a call over; waits while too many are open.

        Raises:
            PluginError: Sending can't go on; the call was not taken.
            StopReading: A signal came while it waited; the call was not taken.
        """
        while not self._room.acquire(timeout=_POLL_SECONDS):
            if self._stopping():
                raise StopReading
        if self.failure is not None:
            self._room.release()
            raise self.failure
        self._inbox.append(call)
        if len(self._inbox) == 1:  # else the loop has been woken and not looked yet
            self._soon(self._begin)

    def fail(self, failure: PluginError) -> None:
        """Stop sending for a reason from outside; may be called from any thread."""
        if self._thread.is_alive():
            self._soon(self.run.fail, failure)
        else:  # all calls are settled, and still the run has failed
            self.run.failure = self.run.failure or failure

    def close(self, *, abandon: bool, check: bool) -> None:
        """Wait for the open calls and end the thread.

        Args:
            abandon: Wait for the requests in flight only; calls that were not sent stay unsettled.
            check: Whether the run as a whole is judged.

        Raises:
            BaseException: What broke the thread.
        """
        self._check = check
        self._soon(self._finish, abandon)
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            if self._stopping() and not abandon:
                abandon = True
                self._soon(self._finish, abandon)
        if self._broken is not None:
            raise self._broken

    def _soon(self, function: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: nothing is left to do
                self._loop.call_soon_threadsafe(function, *arguments)

    def _begin(self) -> None:
        while self._inbox:
            task = self.run.begin(self._inbox[0])
            task.add_done_callback(lambda _task: self._room.release())
            self._inbox.popleft()

    def _finish(self, abandon: bool) -> None:
        self._begin()
        if abandon:
            self.run.abandon()
        if self._end is not None:
            self._end.set()

    def _main(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - raised where the run is started or closed
            self._broken = error
        finally:
            self._ready.set()
            self._room.release(self._max_open)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._run = self._make()
        async with self._run:
            self._ready.set()
            await self._end.wait()
            await self._run.drain()
            if self._check:
                self._run.check_at_end()
