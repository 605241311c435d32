"""Settings of target-invoca-calls."""

from __future__ import annotations

from singer_sdk import typing as th

from singer_calls import options
from singer_calls.deliver.target import CallTarget
from target_invoca_calls.call import CAMPAIGN, DIRECTIONS, LANGUAGES
from target_invoca_calls.sink import InvocaSink

_DOCS = "https://developers.invoca.net/en/latest/api_documentation/call_ingestion_api/index.html"
_FOR_CALLS = "For calls whose record has none."


class TargetInvocaCalls(CallTarget):
    """Delivers calls to Invoca."""

    name = "target-invoca-calls"
    default_sink_class = InvocaSink
    config_jsonschema = options.settings(
        [
            options.secret(
                "oauth_token",
                title="OAuth token",
                description="API token of a user who may ingest calls, from Manage API "
                "Credentials in Invoca. Sent raw in the Authorization header, nowhere else.",
            ),
            options.identifier(
                CAMPAIGN,
                title="Campaign",
                description="ID from network of the advertiser campaign, which must be of type "
                f"ExternalOnly and have Signal AI or a Voice Signal. {_FOR_CALLS}",
            ),
            th.Property(
                "call_direction",
                th.StringType,
                allowed_values=[*DIRECTIONS],
                title="Direction",
                description="inbound or outbound: which channel of the recording is the "
                f"customer's. {_FOR_CALLS}",
            ),
            th.Property(
                "language_code",
                th.StringType,
                allowed_values=[*LANGUAGES],
                title="Language",
                description="Of the transcription; needs multiple languages to be enabled for "
                f"the network, or to be its default. {_FOR_CALLS}",
            ),
            options.identifier(
                "recording_auth_config_id",
                title="Recording authentication",
                description="Auth Configuration ID, set up with Invoca support, by which Invoca "
                f"downloads recordings that need a token. {_FOR_CALLS}",
            ),
            th.Property(
                "call_prefix",
                th.StringType(min_length=1),
                title="Prefix of call ids",
                description="Put before external_call_unique_id, for example invox: with its "
                "colon. The ids of all sources share one network, where each must be unique for "
                "ever.",
            ),
            th.Property(
                "allow_other_countries",
                th.BooleanType,
                default=False,
                title="Numbers of other countries",
                description="Send numbers of other countries than the documented +1, +44 and "
                "+34. Ask Invoca first: what it does with them is unknown.",
            ),
            th.Property(
                "allow_http_recordings",
                th.BooleanType,
                default=False,
                title="Recordings over http",
                description="Send recording_url also when it begins with http://: whoever is on "
                "the way then hears the call.",
            ),
        ],
        options.common(api_url="https://invoca.net", docs=_DOCS, request_timeout=120),
        options.targets(plugin=name, on_unknown_outcome="retry"),
    )
