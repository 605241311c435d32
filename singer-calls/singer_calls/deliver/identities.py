"""Tells two calls under one key apart from one call that comes twice.

A key that names two calls is a mistake in the mapping. Without this check all but the first of
them would pass for changed versions of it, and be lost.
"""

from __future__ import annotations

from singer_calls.deliver.outcome import InvalidCallError

_LIMIT = 65_536  # calls looked back: enough to see the mistake, and memory stays flat


class Identities:
    """What is remembered of the calls of one run.

    Args:
        limit: How many calls at most; half of them at least.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}

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
        if self._recent.get(key, self._older.get(key, mark)) != mark:
            raise InvalidCallError(
                "another call of this run has the same one: map what differs from call to call",
                field,
            )
        self._recent[key] = mark
        if len(self._recent) * 2 >= self._limit:
            self._recent, self._older = {}, self._recent
