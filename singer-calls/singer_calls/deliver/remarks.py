"""Remarks on calls that are sent all the same: each is said once a run, not once a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

_MOST = 50  # remarks of one run; a source whose field names differ each time has no end of them


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
            if remark in self._said or len(self._said) > _MOST:
                continue
            self._said.add(remark)
            if len(self._said) > _MOST:
                self._logger.warning("Further remarks on calls are not shown: %d were.", _MOST)
            else:
                self._logger.warning("%s (said once; it may hold for many calls).", remark)
