"""How far a run is, told again and again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from typing_extensions import override

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

INTERVAL_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0  # at the end, for a telling that is under way


class Every(threading.Thread):
    """Does something again and again until closed, whatever the other threads wait for.

    Args:
        interval: Seconds before each time.
        what: Is done; must not raise.
    """

    def __init__(self, interval: float, what: Callable[[], None]) -> None:
        super().__init__(name="progress", daemon=True)
        self._interval = interval
        self._what = what
        self._end = threading.Event()

    @override
    def run(self) -> None:
        """Go on until closed."""
        while not self._end.wait(self._interval):
            self._what()

    def close(self) -> None:
        """Do it no more; what is under way may end."""
        self._end.set()
        if self.is_alive():
            self.join(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Progress(Every):
    """Logs a line every ten seconds.

    Args:
        line: Makes the line.
        logger: Where it goes.
        interval: Seconds between two lines.
    """

    def __init__(
        self,
        line: Callable[[], str],
        logger: logging.Logger,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        super().__init__(interval, lambda: logger.info("Progress: %s", line()))
