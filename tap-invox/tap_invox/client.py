"""How INVOX is asked.

``GET {api_url}/api/v2/calls`` with the header ``X-API-Key`` (vendor docs). The documented
parameters are all optional: ``last_call_id``, ``from_date`` and ``to_date``; without any, all calls
of the account come in one answer. There is no paging. The answer is a bare JSON array (seen in a
client).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_calls.extract import Client, Spill
from singer_calls.values.clock import asked_from, asked_to
from tap_invox.records import call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_calls.extract import SchemaDrift, Window

VENDOR = "INVOX"
PATH = "/api/v2/calls"
_SECOND = timedelta(seconds=1)


# The setting date_form -> how a bare local time is written, as a start and as an end. Nobody has
# published what INVOX reads; the first is the form of its own ``date``.
DATE_FORMS: Mapping[str, tuple[Callable[[datetime, ZoneInfo], str], ...]] = {
    "Y-m-d H:i:s": (lambda at, _: at.isoformat(" ", "seconds"),) * 2,
    "Y-m-dTH:i:s": (lambda at, _: at.isoformat("T", "seconds"),) * 2,
    "Y-m-dTH:i:sP": (lambda at, zone: at.replace(tzinfo=zone).isoformat("T", "seconds"),) * 2,
    # A day may end at its beginning: then the next one is needed, too.
    "Y-m-d": (
        lambda at, _: at.date().isoformat(),
        lambda at, _: (at.date() + timedelta(days=1)).isoformat(),
    ),
    "U": (lambda at, zone: str(int(at.replace(tzinfo=zone).timestamp())),) * 2,
}


class Invox:
    """The calls of one INVOX account.

    Args:
        config: The tap's settings.
        user_agent: Sent with each request.
        drift: Counts what INVOX sends and no schema expects.
    """

    def __init__(self, config: Mapping[str, Any], user_agent: str, drift: SchemaDrift) -> None:
        self._url = config["api_url"].rstrip("/") + PATH
        self._zone = ZoneInfo(config["timezone"])
        self._from, self._to = DATE_FORMS[config["date_form"]]
        self._drift = drift
        self._client = Client.from_config(
            config,
            VENDOR,
            credential="api_key",
            headers={"X-API-Key": config["api_key"], "User-Agent": user_agent},
        )

    def between(self, window: Window, *, divisible: bool) -> Spill:
        """The calls of a window, and perhaps some around it.

        Unknown are the form of the dates (the setting ``date_form``), and whether they are
        inclusive: it makes no difference, since one second more is asked for at the start, and
        the caller drops what is in excess.
        """
        if window.start is None:
            return self._calls(where="of all calls")
        return self._calls(
            where=str(window),
            divisible=divisible,
            from_date=self._asked_from(window.start),
            to_date=self._to(asked_to(window.end, self._zone), self._zone),
        )

    def since(self, start: datetime | None, last_call_id: int | None) -> Spill:
        """The calls after a call, or without one since a moment, or else all.

        Both at once are not asked for: how INVOX combines them is unknown.
        """
        if last_call_id is not None:
            return self._calls(where="of newer calls", last_call_id=last_call_id)
        return self._calls(where="of all calls", from_date=start and self._asked_from(start))

    def _asked_from(self, start: datetime) -> str:
        return self._from(asked_from(start, self._zone) - _SECOND, self._zone)

    def _calls(self, *, where: str, divisible: bool = False, **params: object) -> Spill:
        return self._client.array(
            self._url,
            params,
            convert=lambda drift: partial(call, drift=drift, zone=self._zone),
            drift=self._drift,
            where=where,
            divisible=divisible,
        )
