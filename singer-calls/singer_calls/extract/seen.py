"""Which calls were emitted already, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


class Seen:
    """Remembers the ids that came last.

    Windows don't overlap, so a call can come twice only within one answer, or near a border of
    pages or windows: what came long ago need not be remembered.

    Args:
        keep: How many ids are remembered.
    """

    def __init__(self, keep: int = 20_000) -> None:
        self._keep = keep
        self._ids: dict[Hashable, None] = {}

    def first_time(self, identity: Hashable) -> bool:
        """Whether this id is not among the last ones; it is from now on."""
        if identity in self._ids:
            return False
        self._ids[identity] = None
        if len(self._ids) > self._keep:
            del self._ids[next(iter(self._ids))]
        return True
