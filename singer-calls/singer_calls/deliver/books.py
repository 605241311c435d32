"""The ledger and the files of calls set aside, behind one group commit.

The sender asks from many tasks; one thread writes. What comes in while a commit is under way goes
into the next one, so many calls share one sync to disk. Within a commit the files come first: a
call counts as set aside in the ledger only once its line is durable.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from singer_calls.deliver.outcome import Outcome, Unknown
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_calls.deliver.ledger import Ledger, Request
    from singer_calls.deliver.rejected import HeldFile, Original, RejectedFile


@dataclass(frozen=True, slots=True)
class SetAside:
    """A call for one of the files."""

    original: Original
    outcome: Outcome
    attempts: int


@dataclass(frozen=True, slots=True)
class _Entry:
    request: Request | None
    aside: SetAside | None
    done: asyncio.Future[Any]


class Books:
    """Durable answers for the sender's tasks; to be used from its loop only.

    An async context: leaving it ends the writing thread and closes the files. The ledger is its
    owner's to close.

    Args:
        ledger: Where calls are looked up, claimed and noted.
        rejected: File of rejected calls.
        held: File of calls whose outcome is unknown.
    """

    def __init__(self, ledger: Ledger, rejected: RejectedFile, held: HeldFile) -> None:
        self._ledger = ledger
        self._rejected = rejected
        self._held = held
        self._entries: list[_Entry] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")

    async def ask(self, request: Request | None, aside: SetAside | None = None) -> Any:  # noqa: ANN401
        """Carry out one request on the ledger, after its line is in a file.

        Returns:
            The ledger's result (``Row``, bool or None).

        Raises:
            PluginError: Ledger or file can't be written.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._entries.append(_Entry(request, aside, done))
        self._wake.set()
        return await done

    async def reap(self) -> int:
        """Recognise calls of other runs that died meanwhile, see ``Ledger.reap``."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.reap)

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._keeper.cancel()
        self._thread.shutdown(wait=True)
        self._rejected.close()
        self._held.close()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            group, self._entries = self._entries, []
            try:
                results = await loop.run_in_executor(self._thread, self._commit, group)
            except Exception as error:  # noqa: BLE001 - each waiting task gets it
                for entry in group:
                    if not entry.done.done():
                        entry.done.set_exception(error)
            else:
                for entry, result in zip(group, results, strict=True):
                    if entry.done.done():
                        continue
                    if isinstance(result, PluginError):
                        entry.done.set_exception(result)
                    else:
                        entry.done.set_result(result)

    def _commit(self, group: Sequence[_Entry]) -> list[Any]:
        """The ledger's results in order; a ``PluginError`` for who could not be set aside."""
        results: list[Any] = [None] * len(group)
        for file, unknown in ((self._rejected, False), (self._held, True)):
            aside = {
                place: (entry.aside.original, entry.aside.outcome, entry.aside.attempts)
                for place, entry in enumerate(group)
                if entry.aside and isinstance(entry.aside.outcome, Unknown) is unknown
            }
            try:
                if aside:
                    file.append(aside.values())
            except PluginError as error:
                for place in aside:
                    results[place] = error
        asked = {
            place: entry.request
            for place, entry in enumerate(group)
            if entry.request is not None and results[place] is None
        }
        if asked:
            for place, result in zip(asked, self._ledger.apply([*asked.values()]), strict=True):
                results[place] = result
        return results
