"""How CallRail is asked.

``GET {api_url}/v3/a/{account_id}/calls.json`` and ``companies.json`` with the header
``Authorization: Token token="..."`` (vendor docs, Authorization). An answer is an object around its
list. Calls come with ``relative_pagination``: ``has_next_page``, and ``next_page`` with the address
of the next one; companies have numbered pages and ``total_pages`` (vendor docs, Pagination).

Calls come newest first, and one that is listed between two pages moves the others down: it is
answered twice, and emitted once. One that is removed meanwhile moves them up; the lookback of the
next run reads what then fell between two pages.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from singer_calls.extract import Client, next_link, page_number, read_pages
from tap_callrail.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_calls.extract import Follow, Record, SchemaDrift, Window

VENDOR = "CallRail"
_PER_PAGE = 250  # the most (vendor docs, Relative Pagination)
_REFUSED = "it keeps calls for 25 months, so see that start_date is not earlier"
_REFUSALS = {  # which of the first two it is, is unknown
    400: f"CallRail refuses the request (HTTP 400): {_REFUSED}.",
    422: f"CallRail refuses the request (HTTP 422): {_REFUSED}.",
    404: "CallRail doesn't know the account (HTTP 404): check the settings account_id and api_url.",
}
# A date is one of the companies' zones, of which an account may have several.
_WESTERNMOST, _EASTERNMOST = timedelta(hours=-12), timedelta(hours=14)
_DAY = timedelta(days=1)


class CallRail:
    """One account at CallRail, asked with the tap's settings."""

    def __init__(self, config: Mapping[str, Any], user_agent: str, drift: SchemaDrift) -> None:
        self._url = f"{config['api_url'].rstrip('/')}/v3/a/{quote(str(config['account_id']), '')}"
        self._zone = ZoneInfo(config["timezone"])
        self._drift = drift
        key = f'Token token="{config["api_key"]}"'
        self._client = Client.from_config(
            config,
            VENDOR,
            credential="api_key",
            headers={"Authorization": key, "User-Agent": user_agent},
            refusal=lambda status, _body: _REFUSALS.get(status),
        )

    def calls(self, window: Window, fields: Sequence[str], *, divisible: bool) -> Iterator[Record]:
        """The calls of a window, some of them twice, and some around it.

        Unknown are whether a time of day counts, and whether ``end_date`` is inclusive: whole days
        are asked for, of every zone, and the caller drops what is in excess.
        """
        return self._pages(
            "calls",
            follow=next_link("next_page", more="has_next_page"),
            where=str(window),
            divisible=divisible,
            relative_pagination="true",
            start_date=window.start and (window.start + _WESTERNMOST).date(),
            end_date=(window.end + _EASTERNMOST + _DAY).date(),
            fields=",".join(fields) or None,  # vendor docs, Field Selection
        )

    def companies(self) -> Iterator[Record]:
        """All companies of the account, the disabled ones too."""
        return self._pages("companies", follow=page_number("total_pages"), where="of companies")

    def _pages(
        self, name: str, *, follow: Follow, where: str, divisible: bool = False, **params: object
    ) -> Iterator[Record]:
        return read_pages(
            self._client,
            f"{self._url}/{name}.json",
            {"per_page": _PER_PAGE, **params},
            elements=name,
            follow=follow,
            convert=lambda drift: partial(record, stream=name, drift=drift, zone=self._zone),
            drift=self._drift,
            where=where,
            divisible=divisible,
        )
