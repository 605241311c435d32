"""tap-callrail: its settings and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from singer_calls import settings
from singer_calls.extract import CallTap
from tap_callrail.client import VENDOR
from tap_callrail.streams import Calls, Companies

if TYPE_CHECKING:
    from singer_calls.extract import CallStream


class TapCallRail(CallTap):
    """Singer tap for CallRail: the calls and the companies of an account."""

    name = "tap-callrail"
    vendor = VENDOR

    config_jsonschema: ClassVar[dict[str, Any]] = settings.schema(
        [
            settings.secret(
                "api_key",
                title="API key",
                description="Of a user of CallRail, who sees what that user sees (Settings, "
                "Integrations, API keys).",
            ),
            settings.identifier(
                "account_id",
                title="Account",
                description="Id of the account, ACC... or a number: it stands in CallRail's own "
                "addresses, after /a/.",
                required=True,
            ),
        ],
        settings.common(
            api_url="https://api.callrail.com",
            docs="https://apidocs.callrail.com/",
            requests_per_minute=16,  # CallRail allows 1,000 an hour, for all that use the account
        ),
        settings.taps(timezone="America/New_York", window_days=30, lookback_days=7),
    )

    @override
    def discover_streams(self) -> list[CallStream]:
        """The calls, and whose they are."""
        return [Calls(self), Companies(self)]
