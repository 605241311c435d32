"""The calls of an INVOX account, by date or by id."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from singer_calls.extract import CallStream, WindowedStream

from tap_invox.client import Invox
from tap_invox.schemas import CALLS

if TYPE_CHECKING:
    from singer_calls.extract import Spill, Window


class _Calls(CallStream):
    name = "calls"
    schema = CALLS
    primary_keys: ClassVar[list[str]] = ["call_id"]

    @cached_property
    def _invox(self) -> Invox:
        return Invox(self.config, self.tap.user_agent, self.oddities)


class CallsByDate(_Calls, WindowedStream):
    """Windows of ``date``, with a lookback for what INVOX changes later."""

    replication_key = "date"

    def read(self, window: Window, *, divisible: bool) -> Spill:
        """The calls of a window."""
        return self._invox.between(window, divisible=divisible)
