"""Which calls were emitted already, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


class Seen:
    """Remembers the ids that came last.

    Windows hardly overlap, so a call can come twice only within one answer, or near a border of
    pages or windows: what came long ago need not be remembered.

    Args:
        keep: How many ids are remembered.
    """

    def __init__(self, keep: int = 50_000) -> None:
        self._keep = keep
        self._ids: set[Hashable] = set()
        # Not a dict's own order: its oldest key is found by passing all that are gone.
        self._order: deque[Hashable] = deque()

    def first_time(self, identity: Hashable) -> bool:
        """Whether this id is not among the last ones; it is from now on."""
        if identity in self._ids:
            return False
        self._ids.add(identity)
        self._order.append(identity)
        if len(self._order) > self._keep:
            self._ids.remove(self._order.popleft())
        return True
