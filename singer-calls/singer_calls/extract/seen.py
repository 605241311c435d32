"""Which calls were emitted already, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import logging
    from collections.abc import Hashable

    from singer_calls.extract.json_array import Record


class Seen:
    """Remembers the calls that came last, and what they held.

    Windows hardly overlap, so a call can come twice only within one answer, or near a border of
    pages or windows: what came long ago need not be remembered. Which of two that differ is the
    later one no vendor documents, so neither is dropped: a call may be listed as it began, and
    once more as it ended.

    Args:
        keep: How many calls are remembered.
    """

    def __init__(self, keep: int = 50_000) -> None:
        self._keep = keep
        self._held: dict[Hashable, int] = {}
        # Not the dict's own order: its oldest key is found by passing all that are gone.
        self._order: deque[Hashable] = deque()
        self._changed = 0

    def is_new(self, identity: Hashable, record: Record) -> bool:
        """Whether this call is not among the last ones, or held something else; now it is."""
        before = self._held.get(identity)
        self._held[identity] = holds = hash(msgspec.json.encode(record))
        if before is not None:
            self._changed += before != holds
            return before != holds
        self._order.append(identity)
        if len(self._order) > self._keep:
            del self._held[self._order.popleft()]
        return True

    def report(self, vendor: str, log: logging.Logger) -> None:
        """A warning if calls came again with other content."""
        if self._changed:
            log.warning(
                "%s listed %d calls again with other content: each is emitted as it came",
                *(vendor, self._changed),
            )
