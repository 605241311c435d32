"""The calls of an INVOX account, by date or by id."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from singer_calls.extract import CallStream, Seen, WindowedStream
from singer_calls.values.clock import utc_text
from tap_invox.client import Invox
from tap_invox.schemas import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_calls.extract import Record, Spill, Window


class _Calls(CallStream):
    name = "calls"
    schema = CALLS
    primary_keys: ClassVar[list[str]] = ["call_id"]

    @override
    def prepare(self) -> None:
        self._invox = Invox(self.config, self.tap.user_agent, self.drift)


class CallsByDate(_Calls, WindowedStream):
    """Windows of ``date``, with a lookback for what INVOX changes later."""

    replication_key = "date"

    @override
    def read(self, window: Window, *, divisible: bool) -> Spill:
        """The calls of a window."""
        return self._invox.between(window, divisible=divisible)


class CallsById(_Calls):
    """Calls newer than the last one (``last_call_id``).

    INVOX says nothing about calls that changed since, so the bookmark waits for calls that are
    not over: it does not pass a ``Calling`` call of the last ``lookback_days``, or one whose date
    can't be read. A date in the future counts as none: no run would ever come to it. Whether INVOX
    sends the last call itself once more is unknown: it is dropped.
    """

    replication_key = "call_id"

    @override
    def get_records(self, context: object) -> Iterator[Record]:
        """Emit what is newer than the bookmark, then save the newest id."""
        last = self.bookmark
        if last is not None and type(last) is not int:
            self.refuse_bookmark("is not a whole number")
        start, end = self.dates()
        first, beyond = utc_text(start) if start else "", utc_text(end)
        pending = utc_text(end - timedelta(days=self.config["lookback_days"]))
        future = utc_text(self.began + timedelta(days=1))  # a wrong zone is half a day at most
        newest = last = last or 0
        held, seen = inf, Seen(self._deselected[0])
        (answer,) = self.prefetch(lambda _: self._invox.since(start, last or None), [None])
        for record in answer:
            identity, at = record["call_id"], record["date"] or first
            at = first if at > future else at
            if identity <= last:
                continue
            newest = max(newest, identity)
            calling = (record["status"] or "").casefold() == "calling"
            if at >= beyond or (calling and (record["date"] or pending) >= pending):
                held = min(held, identity - 1)
            if first <= at < beyond and seen.is_new(identity, record):
                yield record
        seen.report(self.tap.vendor, self.logger)
        self.save_bookmark(int(min(newest, held)))
