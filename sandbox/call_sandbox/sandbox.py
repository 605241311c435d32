"""A sandbox in a thread of its own, for tests: real sockets, port 0."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from call_sandbox.app import VENDORS, new_app, new_state
from call_sandbox.calls import DEFAULT_NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from call_sandbox.state import State
    from call_sandbox.vendor import Vendor

T = TypeVar("T")


async def start(
    state: State, host: str, port: int, recordings: Path | None = None
) -> tuple[web.AppRunner, int]:
    """Serve a state, and a folder of recordings; returns what to clean up and the port.

    Raises:
        OSError: The port is taken.
    """
    # A request whose client has gone is cancelled: no late answer outlives a test.
    runner = web.AppRunner(
        new_app(state, recordings), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner, runner.addresses[0][1]


class Sandbox:
    """Context manager: the sandbox serves while the block runs.

    Args:
        calls: How many calls exist at `now`; more follow when the clock is moved.
        seed: Equal seeds give equal calls and equal faults.
        now: Epoch seconds, the sandbox's time when it starts; it moves with `advance` only.
        days: The span before `now` in which the calls lie.
        journal: A text file that gets each journal entry as a line.
        switches: Vendor -> switch -> value.
        port: 0 takes any free one.
        recordings: A folder whose files are served below `/recordings/`.
        vendors: Who is served: the table's, or a plugin author's own.
    """

    def __init__(
        self,
        calls: int = 1000,
        seed: int = 1,
        *,
        now: int = DEFAULT_NOW,
        days: int = 60,
        journal: IO[str] | None = None,
        switches: Mapping[str, Mapping[str, Any]] | None = None,
        port: int = 0,
        recordings: Path | None = None,
        vendors: Iterable[type[Vendor]] = VENDORS,
    ) -> None:
        self.state = new_state(
            calls=calls,
            seed=seed,
            now=now,
            days=days,
            journal=journal,
            switches=switches,
            vendors=vendors,
        )
        self.port = port
        self._recordings = recordings

    def __enter__(self) -> Self:
        ready: Future[None] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._serve(ready)), name="call-sandbox")
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def now(self) -> float:
        """The sandbox's time, epoch seconds."""
        return self.state.world.now

    def journal(self, vendor: str | None = None, since: int = 0) -> list[dict[str, Any]]:
        """Journal entries with `n` above `since`, oldest first; fields as in `Journal`."""
        lines = self._in_loop(lambda: list(self.state.journal.lines(vendor, since)))
        return [json.loads(line) for line in lines]

    def books(self, vendor: str) -> dict[str, int]:
        """Call key -> how often the vendor processed it."""
        return self._in_loop(lambda: self.state.books(vendor))

    def signals(self) -> dict[str, dict[str, Any]]:
        """What Invoca knows of each call: `signals`, `custom_data`, its number of `updates`."""
        return self._in_loop(self.state.signals)

    def faults(self, vendor: str, *rules: Mapping[str, Any] | str) -> None:
        """Replace a vendor's fault rules; a bare word is `{"fault": word}`."""
        self._in_loop(lambda: self.state.faults.set_rules(self.state.vendor(vendor).name, rules))

    def script(self, vendor: str, calls: Mapping[str, Iterable[str]]) -> None:
        """Prescribe answers: call key -> fault words, one per try."""
        self._in_loop(lambda: self.state.faults.set_script(self.state.vendor(vendor).name, calls))

    def fired(self, vendor: str) -> dict[str, int]:
        """Which faults fired, and how often."""
        return self._in_loop(lambda: dict(self.state.faults.fired[vendor]))

    def switches(self, vendor: str, **values: str | int) -> None:
        """Turn switches of a vendor."""
        self._in_loop(lambda: self.state.set_switches({vendor: values}))

    def advance(self, seconds: float) -> None:
        """Move the sandbox's time on."""
        self._in_loop(lambda: self.state.advance(seconds))

    def reset(self) -> None:
        """Forget books, journal, faults and scripts; time and switches stay."""
        self._in_loop(self.state.reset)

    def _in_loop(self, function: Callable[[], T]) -> T:
        """Run a function between two requests, so that it sees whole states."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            runner, self.port = await start(self.state, "127.0.0.1", self.port, self._recordings)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            ready.set_exception(error)
            return
        ready.set_result(None)
        await self._stop.wait()
        await runner.cleanup()
