"""Which calls were emitted already, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import logging
    from collections.abc import Hashable, Iterable

    from singer_calls.extract.json_array import Record


class Seen:
    """Remembers the calls that came last, and what they held.

    Windows hardly overlap, so a call can come twice only within one answer, or near a border of
    pages or windows: what came long ago need not be remembered. Which of two that differ in one
    answer is the later one no vendor documents, so neither is dropped: a call may be listed as it
    began, and once more as it ended. Of two answers, read side by side, the first one counts.

    Args:
        without: Fields that are not emitted, and so make no difference.
        keep: How many calls are remembered.
    """

    def __init__(self, without: Iterable[str] = (), keep: int = 30_000) -> None:
        self._without = [*without]
        self._keep = keep
        self._answer: Hashable = None
        self._earlier: set[Hashable] = set()
        self._holds: dict[Hashable, int] = {}  # in this answer
        # Not a dict's own order: its oldest key is found by passing all that are gone.
        self._order: deque[Hashable] = deque()
        self._changed = 0

    def is_new(self, identity: Hashable, record: Record, answer: Hashable = None) -> bool:
        """Whether this call is not among the last ones, or held something else in this answer.

        From now on it is among them, as it is.
        """
        if answer != self._answer:
            self._earlier |= self._holds.keys()
            self._holds.clear()
            self._answer = answer
        if identity in self._earlier:
            return False
        if self._without:
            record = {k: v for k, v in record.items() if k not in self._without}
        before = self._holds.get(identity)
        self._holds[identity] = holds = hash(msgspec.json.encode(record))
        if before is not None:
            self._changed += before != holds
            return before != holds
        self._order.append(identity)
        if len(self._order) > self._keep:
            oldest = self._order.popleft()
            self._earlier.discard(oldest)
            self._holds.pop(oldest, None)
        return True

    def report(self, vendor: str, log: logging.Logger) -> None:
        """A warning if calls came again with other content."""
        if self._changed:
            log.warning(
                "%s listed %d calls again with other content: each is emitted as it came",
                *(vendor, self._changed),
            )
