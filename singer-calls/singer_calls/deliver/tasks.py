"""What tasks of one loop need of each other: turns, and work that must not be cut short."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

_T = TypeVar("_T")


class Turns:
    """One task under a key at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._keys: dict[tuple[Any, ...], asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, *key: object) -> AsyncIterator[None]:
        """Wait for the turn, and have it."""
        while (earlier := self._keys.get(key)) is not None:
            await asyncio.wait([earlier])
        self._keys[key] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            self._keys.pop(key).set_result(None)


class Committed:
    """Tasks that must not be cut short: from a claim to its outcome written down."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Awaitable[_T]) -> _T:
        """Do the work; until it is done, its task is not to be cancelled."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        self._tasks.add(task)
        try:
            return await work
        finally:
            self._tasks.discard(task)

    def __contains__(self, task: object) -> bool:
        return task in self._tasks
