"""The sandbox itself: the table of vendors, their state, and the aiohttp application."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from aiohttp import web

from call_sandbox.calls import DEFAULT_NOW, Calls
from call_sandbox.control import add_control
from call_sandbox.exchange import Exchange
from call_sandbox.faults import Faults, chance
from call_sandbox.journal import Journal
from call_sandbox.state import State
from call_sandbox.vendor import Handler, Request, Response, Vendor, World
from call_sandbox.vendors.impact import Impact
from call_sandbox.vendors.invoca_ingestion import InvocaIngestion
from call_sandbox.vendors.invoca_live import InvocaLive
from call_sandbox.vendors.invoca_recordings import InvocaRecordings
from call_sandbox.vendors.invoca_signals import InvocaSignals
from call_sandbox.vendors.invox import Invox
from call_sandbox.vendors.iovox import Iovox
from call_sandbox.vendors.iovox_recordings import IovoxRecordings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

VENDORS: tuple[type[Vendor], ...] = (
    *(Invox, Impact, Iovox, IovoxRecordings),
    *(InvocaRecordings, InvocaLive, InvocaIngestion, InvocaSignals),
)
"""Every vendor; a new one is a module in `vendors/` and its class here."""

BODY_LIMIT_BYTES = 64 * 1024 * 1024


def new_state(
    *,
    seed: int = 1,
    calls: int = 1000,
    now: int = DEFAULT_NOW,
    days: int = 60,
    journal: IO[str] | None = None,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    vendors: Iterable[type[Vendor]] = VENDORS,
) -> State:
    """A sandbox before its first request; arguments as of `Sandbox`."""
    world = World(seed, Calls(seed, calls, now, days), now)
    state = State(world, [vendor(world) for vendor in vendors], Journal(journal), Faults(seed))
    state.set_switches(switches or {})
    return state


def new_app(state: State, recordings: Path | None = None) -> web.Application:
    """The application that serves a state.

    Args:
        state: What to serve.
        recordings: A folder whose files are served to whoever asks, below `/recordings/`.
    """
    app = web.Application(client_max_size=BODY_LIMIT_BYTES)
    add_control(app, state)
    if recordings is not None:
        recordings.mkdir(parents=True, exist_ok=True)
        app.router.add_static("/recordings", recordings)
    app.cleanup_ctx.append(partial(_fetching, state))
    for vendor in state.vendors.values():
        for path, handler in vendor.paths().items():
            app.router.add_route("*", vendor.prefix + path, _route(state, vendor, handler))
    for vendor in {vendor.prefix: vendor for vendor in state.vendors.values()}.values():
        app.router.add_route("*", vendor.prefix + "{_:.*}", _route(state, vendor, _no_such(vendor)))
    return app


async def _fetching(state: State, _: web.Application) -> AsyncIterator[None]:
    """Let the vendor that fetches recordings do so while the application runs."""
    fetching = [one for one in state.vendors.values() if isinstance(one, InvocaRecordings)]
    tasks = [asyncio.create_task(vendor.serve(state.journal)) for vendor in fetching]
    yield
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _route(state: State, vendor: Vendor, handler: Handler) -> Any:  # noqa: ANN401
    """The aiohttp handler of one path: journal and faults around the vendor."""

    async def answer(request: web.Request) -> web.StreamResponse:
        entry = state.journal.open(vendor.name, request.method, request.path)
        exchange = Exchange(request, vendor, handler, entry)
        try:
            if exchange.doomed:
                entry["fault"] = "reset_next"
                return exchange.reset()
            fault = state.faults.draw(vendor.name, early=True)
            if fault is None:
                await exchange.read()
                fault = state.faults.draw(vendor.name, entry["key"], early=False)
            if fault is None:
                return await exchange.send(exchange.process())
            entry["fault"] = fault.text
            luck = chance(state.world.seed, entry["key"], entry["n"])
            return await fault.word.act(exchange, fault.match, luck)
        finally:
            state.journal.close(entry)

    return answer


def _no_such(vendor: Vendor) -> Handler:
    def refuse(request: Request) -> Response:
        return vendor.refuse(request, 404, "No such path")

    return refuse
