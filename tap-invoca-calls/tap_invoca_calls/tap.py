"""tap-invoca-calls: its settings and its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from typing_extensions import override

from singer_calls import settings
from singer_calls.extract import CallTap
from tap_invoca_calls.client import LOOKUP, NUMBERS
from tap_invoca_calls.records import VENDOR
from tap_invoca_calls.streams import CallsInProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DOCS = "https://developers.invoca.net/en/latest/api_documentation/calls_in_progress_api/index.html"


class TapInvocaCalls(CallTap):
    """Singer tap for Invoca Calls In Progress: who is on the line now."""

    name = "tap-invoca-calls"
    vendor = VENDOR

    config_jsonschema: ClassVar[dict[str, Any]] = settings.schema(
        [
            settings.secret(
                "oauth_token",
                title="API token",
                description="Sent as it is in the header Authorization. Made under Manage API "
                "Credentials; its user must see the organization.",
            ),
            th.Property(
                "organization_type",
                th.StringType,
                allowed_values=["Network", "Advertiser"],
                required=True,
                title="Type of organization",
                description="Network or Advertiser, with a capital as here: Invoca wants it so.",
            ),
            th.Property(
                "organization_id",
                th.IntegerType(minimum=1),
                required=True,
                title="Organization",
                description="Number of that network or advertiser, from its address in Invoca.",
            ),
            settings.integer(
                "watch_seconds",
                0,
                minimum=0,
                title="Watch (seconds)",
                description="How long to watch. 0: one snapshot, then the run ends. Otherwise the "
                "run polls for so many seconds and emits each call at first sight, when it "
                "changes and when it has ended.",
            ),
            settings.integer(
                "poll_seconds",
                10,
                title="Poll every (seconds)",
                description="Seconds from one poll of a watch to the next. A call that is shorter "
                "can be missed. Invoca publishes no limit; ask it before you go below 5.",
            ),
            th.Property(
                "include_demographics",
                th.BooleanType,
                default=False,
                title="Include demographics",
                description="Whether to emit demographics_data, the Enhanced Caller Profile: name, "
                "address, income and more. Personal data, so it is left out unless asked for.",
            ),
            th.Property(
                "lookup",
                th.ObjectType(
                    *(th.Property(name, th.StringType(min_length=1)) for name in LOOKUP),
                    additional_properties=False,
                ),
                title="Lookup",
                description="Only the calls with these values, as an object of "
                f"{', '.join(LOOKUP)}. The two phone numbers go together, in a form such as "
                "+18005551234 or 800-555-1234.",
            ),
        ],
        settings.common(api_url="https://invoca.net", docs=_DOCS),
    )

    @override
    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """The shared checks, and that both numbers of a lookup are there."""
        yield from super().setting_errors(config)
        lookup = config.get("lookup") or {}
        if lookup and set(lookup.values()) == {None}:
            yield "lookup has nothing but null in it: give a value, or leave it out to read all"
        given = [name for name in NUMBERS if lookup.get(name)]
        if len(given) == 1:
            yield f"lookup.{given[0]} stands alone: Invoca wants {' and '.join(NUMBERS)} together"

    @override
    def discover_streams(self) -> list[CallsInProgress]:
        """The one stream."""
        return [CallsInProgress(self)]
