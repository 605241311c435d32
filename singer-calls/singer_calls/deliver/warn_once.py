"""Warnings of calls that are sent all the same: each is said once a run, not once a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

_MOST_WARNINGS = 50  # of one run; a source whose field names differ each time has no end of them


class WarnOnce:
    """Logs what was left out or guessed.

    Args:
        logger: Where to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: set[str] = set()

    def __call__(self, warnings: Iterable[str]) -> None:
        """Log those that are new, without values of a call."""
        for warning in warnings:
            if warning in self._said or len(self._said) > _MOST_WARNINGS:
                continue
            self._said.add(warning)
            if len(self._said) > _MOST_WARNINGS:
                self._logger.warning(
                    "Further warnings of calls are not shown: %d were.", _MOST_WARNINGS
                )
            else:
                self._logger.warning("%s (said once; it may hold for many calls).", warning)
