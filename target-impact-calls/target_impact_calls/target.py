"""Settings of target-impact-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th
from typing_extensions import override

from singer_calls import settings
from singer_calls.deliver import CallTarget
from target_impact_calls.destination import Impact
from target_impact_calls.status import REJECT, STATUSES, errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DOCS = "https://integrations.impact.com/impact-brand/reference/log-call-data"
_FOR_CALLS = "For calls whose record has none."


class TargetImpactCalls(CallTarget):
    """Delivers calls to impact.com."""

    name = "target-impact-calls"
    credentials_encoding = "utf-8"  # inside of Basic authentication
    destination_class = Impact
    empty_ledger_is_fatal = True
    config_jsonschema = settings.schema(
        [
            th.Property(
                "username",
                th.StringType(min_length=1),
                required=True,
                title="User name",
                description="Of the Call Data API. A direct integration has credentials of its "
                "own, which your impact.com contact (CSM) gives out on request.",
            ),
            settings.secret(
                "password",
                title="Password",
                description="Of the Call Data API, given out with the user name.",
            ),
            settings.integer(
                "campaign_id",
                title="Program",
                description=f"CampaignId: your program at impact.com. {_FOR_CALLS}",
            ),
            settings.integer(
                "media_id",
                title="Partner",
                description=f"MediaId: the partner or media source paid for a call. {_FOR_CALLS}",
            ),
            settings.integer(
                "action_tracker_id",
                title="Event type",
                description=f"ActionTrackerId: the event type of phone calls. {_FOR_CALLS}",
            ),
            th.Property(
                "vendor_name",
                th.StringType(min_length=1, max_length=64),
                title="Call provider",
                description="CallProvider: who sends the calls, at most 64 characters, for "
                f"example INVOX. {_FOR_CALLS}",
            ),
            th.Property(
                "call_status_map",
                th.ObjectType(additional_properties=th.StringType(allowed_values=[*STATUSES])),
                title="Words for call statuses",
                description="Source word to impact.com's CallStatus, for example "
                '{"Sunat": "CANCEL"}; case, -, _ and spaces make no difference. Comes before the '
                "built-in words.",
            ),
            th.Property(
                "on_unknown_status",
                th.StringType,
                allowed_values=[REJECT, *STATUSES],
                default=REJECT,
                title="On an unknown status",
                description="What becomes of a call whose status is missing, or a word that is in "
                "neither call_status_map nor the built-in table: reject it, or send this status, "
                "which can't be corrected afterwards.",
            ),
        ],
        settings.common(api_url="https://twilio.ivr.impactradius.com", docs=_DOCS),
        settings.targets(plugin=name, on_unknown_outcome="hold"),
    )

    @override
    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """Also what Basic authentication can't carry, and words without a meaning.

        Yields:
            A sentence for each setting that is wrong.
        """
        yield from super().setting_errors(config)
        if ":" in config["username"]:
            yield "username holds a colon: give the user name and the password apart"
        for error in errors(config.get("call_status_map") or {}):
            yield f"call_status_map.{error}"
