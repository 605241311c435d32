"""Invoca fetches the recording of each call that it ingested, as documented up to a day later.

"A standard network request using wget or curl" (vendor docs, Supported Recording Access Options):
a GET of the whole, without credentials. Only addresses of this machine are asked; what another one
would hold is not known here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from call_sandbox.sound import sound
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from call_sandbox.journal import Journal

DAY_SECONDS = 86400
FETCHES_AT_ONCE = 8
TIMEOUT = aiohttp.ClientTimeout(total=30)


class Fetched(NamedTuple):
    """What became of one recording.

    Attributes:
        told: For people: `stereo, mp3`, or what went wrong.
        size: Bytes.
    """

    told: str
    size: int = 0


class InvocaRecordings(Vendor):
    """Fetches recordings when their time has come; its books count those that hold sound."""

    name = "invoca-recordings"
    title = "Invoca recordings"
    prefix = "/invoca"
    serves = False
    switches: ClassVar[Mapping[str, Switch]] = {
        "fetch_after": Switch("seconds until a recording is fetched, at most a day", 0),
        "redirects": Switch("whether they are followed", "no", ("no", "yes")),
    }

    def reset(self) -> None:
        """Forget what was fetched."""
        super().reset()
        self.fetched: dict[str, Fetched] = {}

    def paths(self) -> Mapping[str, Handler]:
        """None: it asks, and is not asked."""
        return {}

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """Nobody asks it."""
        del request
        return Response(status, message.encode(), "text/plain")

    def newest(self, count: int) -> list[PageCall]:
        """What was fetched last."""
        return [
            PageCall(key, f"{one.size:,} bytes", "•••", one.told, None)
            for key, one in [*self.fetched.items()][: -count - 1 : -1]
        ]

    async def serve(self, journal: Journal) -> None:
        """Fetch whatever is due, until cancelled."""
        slots = asyncio.Semaphore(FETCHES_AT_ONCE)
        self.world.changed = asyncio.Event()  # of this loop: a state may be served again
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False) as session,
            asyncio.TaskGroup() as tasks,
        ):
            while True:
                self.world.changed.clear()
                while (due := self.world.to_fetch) and self._is_due(due[0][0]):
                    _, key, url = due.popleft()
                    tasks.create_task(self._fetch(session, slots, journal, key, url))
                await self.world.changed.wait()

    def _is_due(self, since: float) -> bool:
        return self.world.now >= since + min(int(self.switch["fetch_after"]), DAY_SECONDS)

    async def _fetch(
        self,
        session: aiohttp.ClientSession,
        slots: asyncio.Semaphore,
        journal: Journal,
        key: str,
        url: str,
    ) -> None:
        async with slots:
            entry = journal.open(self.name, "GET", urlsplit(url).path)
            entry["key"] = key
            try:
                self.fetched[key] = await self._get(session, url, entry)
            finally:
                journal.close(entry)

    async def _get(
        self, session: aiohttp.ClientSession, url: str, entry: dict[str, Any]
    ) -> Fetched:
        follow = self.switch["redirects"] == "yes"
        try:
            async with session.get(url, allow_redirects=follow) as answer:
                entry["status"] = answer.status
                data = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Fetched(f"not reached ({type(error).__name__})")
        found = sound(data)
        entry |= {"bytes_in": len(data), "recording": str(found)}
        if answer.status != 200:  # noqa: PLR2004
            return Fetched(f"HTTP {answer.status}", len(data))
        entry["processed"] = found.channels > 0
        self.books[entry["key"]] += found.channels > 0
        return Fetched(str(found), len(data))
