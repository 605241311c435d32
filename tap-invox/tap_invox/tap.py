"""tap-invox: its settings and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from typing_extensions import override

from singer_calls import settings
from singer_calls.extract import CallTap
from tap_invox.client import DATE_FORMS, VENDOR
from tap_invox.streams import CallsByDate, CallsById

if TYPE_CHECKING:
    from singer_calls.extract import CallStream

_STREAMS = {"date": CallsByDate, "call_id": CallsById}


class TapInvox(CallTap):
    """Singer tap for INVOX Call Tracking: the calls of an account."""

    name = "tap-invox"
    vendor = VENDOR

    config_jsonschema: ClassVar[dict[str, Any]] = settings.schema(
        [
            settings.secret(
                "api_key",
                title="API key",
                description="Sent as X-API-Key. INVOX makes it for one account and sends it by "
                "e-mail, on request only.",
            ),
            th.Property(
                "incremental_by",
                th.StringType,
                allowed_values=["date", "call_id"],
                default="date",
                title="Incremental by",
                description="What the bookmark is: date (windows of time, with a lookback for "
                "what changes later) or call_id (only calls newer than the last one; changes to "
                "older calls are missed, except of calls that were not over).",
            ),
            th.Property(
                "date_form",
                th.StringType,
                allowed_values=[*DATE_FORMS],
                default=next(iter(DATE_FORMS)),
                title="Form of dates in requests",
                description="How from_date and to_date are written, in PHP's letters as in "
                "INVOX's documents (P is the offset, U the Unix time). The documents don't say "
                "what INVOX reads; the default is the form of its own dates.",
            ),
        ],
        settings.common(
            api_url="https://app.invox.eu",
            docs="https://intercom.help/invox-14de1eec38e9/en/articles/14075981-api-documentation-for-integration-with-invox-call-tracking",
        ),
        settings.taps(timezone="Europe/Bucharest", window_days=31, lookback_days=2),
    )

    @override
    def discover_streams(self) -> list[CallStream]:
        """The one stream, by the bookmark that the settings ask for."""
        return [_STREAMS[self.config.get("incremental_by", "date")](self)]
