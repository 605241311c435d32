"""Work done in threads before its result is asked for, the results taken in order."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")
_R = TypeVar("_R")

_POLL_SECONDS = 0.2


def prefetch(
    work: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    count: int,
    tick: Callable[[], None],
) -> Iterator[_R]:
    """``map(work, items)``, with the next ``count`` results in the making at any time.

    The threads are daemons: a process that stops doesn't wait for a vendor. An exception of
    ``work`` is raised where its result would have come.

    Args:
        work: Called in a thread, once per item.
        items: Taken one at a time as work begins.
        count: Items worked on at once.
        tick: Called several times a second while a result is awaited; may raise, to stop.

    Yields:
        The results, in the order of the items.
    """
    source = iter(items)
    begun: deque[Future[_R]] = deque()

    def begin() -> None:
        for item in source:
            future: Future[_R] = Future()
            begun.append(future)
            threading.Thread(target=_run, args=(future, work, item), daemon=True).start()
            return

    for _ in range(count):
        begin()
    while begun:
        future = begun.popleft()
        while not wait([future], timeout=_POLL_SECONDS).done:
            tick()
        result = future.result()
        begin()
        yield result


def _run(future: Future[_R], work: Callable[[_T], _R], item: _T) -> None:
    try:
        future.set_result(work(item))
    except BaseException as error:  # noqa: BLE001 (raised again by whoever takes the result)
        future.set_exception(error)
