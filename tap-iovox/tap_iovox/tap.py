"""tap-iovox: its settings and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from typing_extensions import override

from singer_calls import settings
from singer_calls.extract import CallTap
from singer_calls.plugin import check_api_url
from singer_calls.recordings import checks
from tap_iovox import filters
from tap_iovox.client import VENDOR
from tap_iovox.streams import ELEMENTS, Calls, Elements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_calls.extract import CallStream


class TapIovox(CallTap):
    """Singer tap for iovox: calls with their insights."""

    name = "tap-iovox"
    vendor = VENDOR

    config_jsonschema: ClassVar[dict[str, Any]] = settings.schema(
        [
            th.Property(
                "username",
                th.StringType(min_length=1),
                required=True,
                title="User name",
                description="Sent as the header username. iovox makes it with the key (portal, "
                "Settings, API Settings).",
            ),
            settings.secret(
                "secure_key",
                title="Secure key",
                description="Sent as the header secureKey. iovox ties it to a list of allowed IP "
                "addresses: this machine's must be on it (portal, Settings, API Settings).",
            ),
            settings.integer(
                "page_size",
                10000,
                maximum=20000,
                title="Page size",
                description="How many calls are asked for at once, 1 to 20000. Where iovox can't "
                "answer so many, fewer are asked for until it can.",
            ),
            th.Property(
                "filters",
                th.ObjectType(additional_properties=True),
                title="Filters",
                description="Only calls that match: an object of iovox's own query filters, such "
                'as {"link_id": "53", "tag_colour": "GOLD,RED"}. Known are '
                f"{', '.join(filters.FILTERS)}. https://www.iovox.com/api/rest/insights.html",
            ),
        ],
        settings.common(
            api_url="https://rest.iovox.com",
            docs="https://www.iovox.com/api/rest/insights.html",
        ),
        settings.recordings(
            use="Where recordings are stored, each once, before their calls are given on; without "
            "it none is fetched."
        ),
        [
            th.Property(
                "recordings_api_url",
                th.StringType(min_length=1),
                default="https://api.iovox.com:444",
                title="API address of recordings",
                description="Where recordings are fetched: scheme, host and port of the older API. "
                "The secure key's list of allowed IP addresses holds for it, too.",
            ),
            settings.integer(
                "recordings_in_flight",
                4,
                maximum=32,
                title="Recordings in flight",
                description="How many recordings are fetched at once.",
            ),
            settings.integer(
                "recording_max_megabytes",
                100,
                title="Largest recording (MB)",
                description="A larger recording is not stored, and called unusable.",
            ),
        ],
        settings.taps(timezone="Europe/London", window_days=7, lookback_days=30),
    )

    @override
    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """The shared checks, the filters, and what recordings need."""
        yield from super().setting_errors(config)
        yield from filters.errors(config.get("filters") or {})
        if config.get("recordings_url"):
            yield check_api_url(config, "recordings_api_url")
            yield from checks.errors(config)

    @override
    def discover_streams(self) -> list[CallStream]:
        """The calls, and the streams of their elements."""
        return [Calls(self), *(Elements(self, name) for name in ELEMENTS)]
