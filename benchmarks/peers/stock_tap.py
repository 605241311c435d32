"""A stream as the Singer SDK's template has it, with the typing of our tap.

So both write the same records. It needs our packages for that, and runs in their environment.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator, SinglePagePaginator
from typing_extensions import override

from singer_calls.extract import SchemaDrift
from tap_invoca_calls import records as invoca
from tap_invoca_calls.streams import SCHEMA as INVOCA
from tap_invox import records as invox
from tap_invox.schemas import CALLS as INVOX
from tap_iovox import records as iovox
from tap_iovox.schemas import SCHEMAS as IOVOX

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from singer_sdk.streams.rest import HTTPRequest, PageContext

DRIFT = SchemaDrift()
TYPED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "invox": lambda row: invox.call(row, DRIFT, ZoneInfo("Europe/Bucharest")),
    "iovox": iovox.Reader(ZoneInfo("Europe/London"), DRIFT),
    "invoca": lambda row: invoca.record(row, DRIFT),
}
SCHEMAS = {"invox": INVOX, "iovox": IOVOX["calls"], "invoca": INVOCA}
KEYS = {"invox": "call_id", "iovox": "id", "invoca": "transaction_id"}


class Pages(BasePageNumberPaginator):
    """Page after page, until one is short."""

    def __init__(self, limit: int) -> None:
        super().__init__(1)
        self._limit = limit

    @override
    def has_more(self, response: requests.Response) -> bool:
        return len(response.json()) >= self._limit


class Calls(RESTStream[int]):
    """The calls of one vendor."""

    name = "calls"
    replication_key = None

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["base"])

    @property
    @override
    def path(self) -> str:
        return str(self.config["url"])

    @property
    @override
    def schema(self) -> dict[str, Any]:
        return SCHEMAS[self.config["vendor"]]

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        return dict(self.config["headers"])

    @cached_property
    def records_jsonpath(self) -> str:  # type: ignore[override]
        """Where the calls are."""
        rows = self.config["rows"]
        return f"$.{rows}[*]" if rows else "$[*]"

    @override
    def get_new_paginator(self) -> Any:
        pages = self.config["pages"]
        return Pages(self.config["params"]["limit"]) if pages else SinglePagePaginator()

    @override
    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        request.params.update(self.config["params"])
        if self.config["pages"]:
            request.params["page"] = page.next_page_token or 1
        return request

    @override
    def post_process(self, row: dict[str, Any], context: object = None) -> dict[str, Any]:
        return TYPED[self.config["vendor"]](row)


class StockTap(Tap):
    """A tap with that stream."""

    name = "tap-stock"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        *(th.Property(name, th.StringType) for name in ("vendor", "base", "url", "rows")),
        th.Property("pages", th.BooleanType),
        th.Property("headers", th.ObjectType(additional_properties=True)),
        th.Property("params", th.ObjectType(additional_properties=True)),
    ).to_dict()

    @override
    def discover_streams(self) -> list[Calls]:
        stream = Calls(self)
        stream.primary_keys = [KEYS[self.config["vendor"]]]
        return [stream]


if __name__ == "__main__":
    StockTap.cli()
