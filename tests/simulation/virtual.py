"""A loop whose clock moves only when nothing else is left to do, and a world that can end at once.

Nothing here waits: an hour of backoff takes as long as a hundred microseconds of work. What a
library such as looptime adds (real sockets beside virtual time) is not needed, and costs four
times as much a schedule.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


class DeadlockError(AssertionError):
    """Tasks wait, and nothing will ever wake them."""


class Crash(SystemExit):
    """The process is gone: SIGKILL, or the power."""


class _Selector:
    """Waits by moving the clock."""

    def __init__(self, loop):
        self._loop = loop

    def select(self, timeout):
        if timeout is None:
            raise DeadlockError("every task waits for another one")
        if timeout > 0:
            self._loop.now += timeout
        return []

    def close(self):
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets and without time of its own."""

    def __init__(self, start=1000.0):
        super().__init__()
        self.now = start
        self._selector = _Selector(self)
        self._clock_resolution = 1e-9

    def time(self):
        """Virtual seconds."""
        return self.now

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass

    def __del__(self):
        """Nothing of the system's is held."""

    def close(self):
        """Drop what is left without running any of it."""
        self._ready.clear()
        self._scheduled.clear()
        super().close()


def run(loop, main):
    """Run a coroutine to its end on this loop, or until a ``Crash`` ends everything.

    Returns:
        True when it came to its end, False after a crash.
    """
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(lambda _loop, _context: None)
    task = loop.create_task(main)
    try:
        loop.run_until_complete(task)
    except Crash:
        bury(loop)
        asyncio.set_event_loop(None)
        return False
    asyncio.set_event_loop(None)
    return True


def bury(loop):
    """Drop what is left on a loop without letting any of it do anything more."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
        coroutine = task.get_coro()
        while coroutine.cr_frame is not None:  # Python would run its last lines at some time
            with suppress(BaseException):
                coroutine.close()
    loop.close()
