"""Tells two calls under one key apart from one call that comes twice.

A key that names two calls is a mistake in the mapping. Without this check all but the first of
them would pass for changed versions of it, and be lost.
"""

from __future__ import annotations

from collections import deque

from singer_calls.deliver.outcome import InvalidCallError

_LIMIT = 32_768  # calls looked back: enough to see the mistake, and memory stays flat


class Identities:
    """What is remembered of the calls of one run.

    Args:
        limit: How many calls.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._identities: dict[str, int] = {}
        # Not the dict's own order: its oldest key is found by passing all that are gone.
        self._order: deque[str] = deque()

    def check(self, field: str, key: str, *identity: object) -> None:
        """Compare a call with the one that came before under its key.

        Args:
            field: The parameter that holds the key.
            key: The call's key.
            identity: What never changes of a call: when, from whom, to whom.

        Raises:
            InvalidCallError: That was another call.
        """
        mark = hash(identity)
        if key not in self._identities:
            self._identities[key] = mark
            self._order.append(key)
            if len(self._order) > self._limit:
                del self._identities[self._order.popleft()]
        elif self._identities[key] != mark:
            raise InvalidCallError(
                "another call of this run has the same one: map what differs from call to call",
                field,
            )
