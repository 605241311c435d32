"""The ledger and the files of calls set aside, behind one group commit.

The sender asks from many tasks; one thread writes. What comes in while a commit is under way goes
into the next one, so many calls share one sync to disk. Within a commit the files come first: a
call counts as set aside in the ledger only once its line is durable.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from singer_calls.deliver.ledger import Claim, Hold, Note, Refuse
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_calls.deliver.dead_letters import DeadLetter, DeadLetters
    from singer_calls.deliver.ledger import Ledger, Request

_T = TypeVar("_T")


class Worker(Protocol):
    """Does what blocks, one thing after another, aside from the loop."""

    async def do(self, function: Callable[..., _T], *arguments: object) -> _T:
        """The function's result."""

    def close(self) -> None:
        """Wait for what is under way."""


class ThreadWorker:
    """A worker with a thread of its own."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def do(self, function: Callable[..., _T], *arguments: object) -> _T:
        """The function's result."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown(wait=True)


@dataclass(frozen=True, slots=True)
class _Entry:
    request: Request | None
    letter: DeadLetter | None
    done: asyncio.Future[Any]


class GroupCommit:
    """Durable answers for many tasks; to be used from one loop only.

    An async context: leaving it ends the worker. Ledger and files are their owner's to close.

    Args:
        ledger: Where calls are looked up, claimed and noted.
        letters: The files of what is set aside.
        worker: Where commits are made.
    """

    def __init__(self, ledger: Ledger, letters: DeadLetters, worker: Worker) -> None:
        self._ledger = ledger
        self._letters = letters
        self._worker = worker
        self._entries: list[_Entry] = []
        self._wake = asyncio.Event()
        self._failed: Exception | None = None

    @property
    def expiry(self) -> float:
        """Seconds after which a silent run counts as dead."""
        return self._ledger.expiry

    def who(self, run: int) -> str:
        """Whose run that is, for people who wait for it."""
        return self._ledger.who(run)

    def ask(self, request: Request | None, letter: DeadLetter | None = None) -> asyncio.Future[Any]:
        """Carry out one request on the ledger, after its line is in a file.

        What is asked later becomes durable with it or after it.

        Returns:
            To be awaited: the ledger's result, see entries.py.

        Raises:
            PluginError: Ledger or file can't be written.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._entries.append(_Entry(request, letter, done))
        self._wake.set()
        return done

    async def reap(self) -> int:
        """Recognise calls of other runs that died meanwhile, see ``Ledger.reap``."""
        return await self._worker.do(self._ledger.reap)

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._keeper.cancel()
        self._worker.close()

    async def _keep(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)  # what was asked sets off more: one commit for both
            self._wake.clear()
            group, self._entries = self._entries, []
            results: Sequence[Any]
            try:
                results = await self._worker.do(self._commit, group)
            except Exception as error:  # noqa: BLE001 - each waiting task gets it
                results = [error] * len(group)
                self._failed = error
            for entry, result in zip(group, results, strict=True):
                if entry.done.done():
                    continue
                if isinstance(result, Exception):
                    entry.done.set_exception(result)
                else:
                    entry.done.set_result(result)

    def _commit(self, group: Sequence[_Entry]) -> list[Any]:
        """The ledger's results in order; a ``PluginError`` for who could not be set aside."""
        results: list[Any] = [None] * len(group)
        if self._failed is not None:  # of a call whose slot was given away, nothing was noted
            results = [self._failed if isinstance(e.request, Claim) else None for e in group]
        for held in (False, True):
            letters = {
                place: entry.letter
                for place, entry in enumerate(group)
                if entry.letter and entry.letter.held is held
            }
            try:
                if letters:
                    self._letters.file(held=held).append(letters.values())
            except PluginError as error:
                for place in letters:
                    results[place] = error
        asked = {
            place: self._with_file(entry, entry.request)
            for place, entry in enumerate(group)
            if entry.request is not None and results[place] is None
        }
        if asked:
            for place, result in zip(asked, self._ledger.apply([*asked.values()]), strict=True):
                results[place] = result
        return results

    def _with_file(self, entry: _Entry, request: Request) -> Request:
        """The request, with the name of the file that has its call."""
        if entry.letter is not None and isinstance(request, Note | Hold | Refuse):
            return replace(request, file=self._letters.file(held=entry.letter.held).name)
        return request
