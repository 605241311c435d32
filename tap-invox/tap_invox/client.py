"""How INVOX is asked.

``GET {api_url}/api/v2/calls`` with the header ``X-API-Key`` (vendor docs). The documented
parameters are all optional: ``last_call_id``, ``from_date`` and ``to_date``; without any, all calls
of the account come in one answer. There is no paging. The answer is a bare JSON array (seen in a
client).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_calls.extract import Client, Spill
from singer_calls.values.clock import asked_from, asked_to
from tap_invox.records import typed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from singer_calls.extract import Oddities, Window

VENDOR = "INVOX"
PATH = "/api/v2/calls"
_SECOND = timedelta(seconds=1)


class Invox:
    """The calls of one INVOX account.

    Args:
        config: The tap's settings.
        user_agent: Sent with each request.
        oddities: Counts what INVOX sends and no schema expects.
    """

    def __init__(self, config: Mapping[str, Any], user_agent: str, oddities: Oddities) -> None:
        self._url = config["api_url"].rstrip("/") + PATH
        self._zone = ZoneInfo(config["timezone"])
        self._oddities = oddities
        self._client = Client.from_config(
            config,
            VENDOR,
            credential="api_key",
            headers={
                "X-API-Key": config["api_key"],
                "User-Agent": user_agent,
                "Accept": "application/json",
            },
        )

    def between(self, window: Window, *, divisible: bool) -> Spill:
        """The calls of a window, and perhaps some around it.

        Unknown are the format of the dates, taken to be that of ``date``, and whether they are
        inclusive: it makes no difference, since one second more is asked for at the start, and
        the caller drops what is in excess.
        """
        if window.start is None:
            return self._calls()
        return self._calls(
            divisible=divisible,
            from_date=_asked(asked_from(window.start, self._zone) - _SECOND),
            to_date=_asked(asked_to(window.end, self._zone)),
        )

    def since(self, start: datetime | None, last_call_id: int | None) -> Spill:
        """The calls after a call, or without one since a moment, or else all.

        Both at once are not asked for: how INVOX combines them is unknown.
        """
        if last_call_id is not None:
            return self._calls(last_call_id=last_call_id)
        return self._calls(from_date=start and _asked(asked_from(start, self._zone) - _SECOND))

    def _calls(self, *, divisible: bool = False, **params: object) -> Spill:
        return self._client.array(
            self._url,
            params,
            convert=lambda raw: typed(raw, self._zone, self._oddities),
            divisible=divisible,
        )


def _asked(local: datetime) -> str:
    return local.isoformat(sep=" ", timespec="seconds")
