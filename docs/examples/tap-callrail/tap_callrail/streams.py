"""The streams of a CallRail account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from singer_calls.extract import CallStream, Spill, WindowedStream
from tap_callrail.client import CallRail
from tap_callrail.records import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_calls.extract import Record, Window


class _CallRailStream(CallStream):
    primary_keys: ClassVar[list[str]] = ["id"]

    @override
    def prepare(self) -> None:
        self._callrail = CallRail(self.config, self.tap.user_agent, self.drift)


class Calls(_CallRailStream, WindowedStream):
    """Windows of ``start_time``, with a lookback for leads that are marked and tagged later."""

    name = "calls"
    schema = schema("calls")
    replication_key = "start_time"
    FLOOR = timedelta(days=1)  # days are asked for
    # 25 months, the shortest there are: earlier dates are refused (vendor's changelog, April 2023).
    KEPT = timedelta(days=758)

    @override
    def read(self, window: Window, *, divisible: bool) -> Iterator[Record]:
        """The calls of a window, with the fields that are selected."""
        fields = self.schema["properties"].items()
        asked = [n for n, f in fields if f.get("x-on-request") and self.mask["properties", n]]
        return self._callrail.calls(window, asked, divisible=divisible)


class Companies(_CallRailStream):
    """Whose calls they are, with their time zones: a table that is read whole."""

    name = "companies"
    schema = schema("companies")

    @override
    def get_records(self, context: object) -> Iterator[Record]:
        """Emit all of them."""
        (answer,) = self.prefetch(lambda _: Spill(self._callrail.companies()), [None])
        yield from answer
