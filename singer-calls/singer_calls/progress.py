"""How far a run is, told every ten seconds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from typing_extensions import override

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

INTERVAL_SECONDS = 10.0


class Progress(threading.Thread):
    """Logs a line every ten seconds until closed, whatever the other threads wait for.

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
        super().__init__(name="progress", daemon=True)
        self._line = line
        self._logger = logger
        self._interval = interval
        self._end = threading.Event()

    @override
    def run(self) -> None:
        """Log until closed."""
        while not self._end.wait(self._interval):
            self._logger.info("Progress: %s", self._line())

    def close(self) -> None:
        """Log no more."""
        self._end.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
