"""Invoca's Signal API as the place of what becomes known of a call after its ingestion.

A request says all that is known: signals that were said once and are true no longer as false,
and all custom data. Invoca's documents contradict each other on whether a request under a known
``partner_unique_id`` replaces what was said under it or only the signals of the same names: so
both end alike. The same request again creates nothing. Source: vendor docs, Signal API,
https://developers.invoca.net/en/latest/api_documentation/signal_api/index.html
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from singer_calls.deliver import Identity, Knowledge, LatestDestination
from target_invoca_calls.call import KEY, Renderer
from target_invoca_calls.signal_responses import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DAYS = 548  # 18 months: Invoca community, ta-p/696
_PARTNER = "target-invoca-calls:"


class Signals(LatestDestination):
    """Invoca's Signal API.

    Args:
        settings: The plugin's.
        headers: Those of an ingestion; asked for each request.
    """

    vendor = "invoca-signals"
    path = "/api/2018-02-01/transactions.json"
    requests_per_minute = 100  # Invoca community, ta-p/696
    responses = TABLE

    def __init__(
        self, settings: Mapping[str, Any], headers: Callable[[], Mapping[str, str]]
    ) -> None:
        super().__init__(settings)
        self._headers = headers
        self._renderer = Renderer.of(settings)

    @override
    def headers(self) -> Mapping[str, str]:
        return self._headers()

    @override
    def know(self, record: Mapping[str, Any]) -> Knowledge:
        """Signals and custom data of a record; what it does not have is not so."""
        _campaign, key, moment = self._renderer.place(record)
        beside = self._renderer.beside(record)
        more = {pair["name"]: pair["value"] for pair in beside.get("custom_data", ())}
        return Knowledge(
            account=self.account(""),  # ids are the whole network's, whatever the campaign
            key=key,
            said={pair["name"]: bool(pair["value"]) for pair in beside.get("signals", ())},
            more=more,
            make_body=partial(_body, key, moment, more),
            identity=Identity(moment),
            days=DAYS,
        )


def _body(
    key: str, moment: int | None, more: Mapping[str, str], signals: Mapping[str, bool]
) -> bytes:
    request: dict[str, Any] = {
        "search": {KEY: key},
        "partner_unique_id": f"{_PARTNER}{key}",
    }
    if moment is not None:  # else it is now, and a repetition would be something new
        request["occurred_at_time"] = str(moment * 1000)
    if signals:
        request["signals"] = [{"name": n, "value": int(true)} for n, true in signals.items()]
    if more:
        request["custom_data"] = [{"name": name, "value": value} for name, value in more.items()]
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
