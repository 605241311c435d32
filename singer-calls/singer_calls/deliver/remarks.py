"""Remarks on calls that are sent all the same: each is said once a run, not once a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable


class Remarks:
    """Logs what was left out or guessed.

    Args:
        logger: Where to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: set[str] = set()

    def say(self, remarks: Iterable[str]) -> None:
        """Log those that are new, without values of a call."""
        for remark in remarks:
            if remark not in self._said:
                self._said.add(remark)
                self._logger.warning("%s (said once; it may hold for many calls).", remark)
