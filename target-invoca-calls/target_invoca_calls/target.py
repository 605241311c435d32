"""Settings of target-invoca-calls."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th
from typing_extensions import override

from singer_calls import settings
from singer_calls.deliver import CallTarget
from singer_calls.recordings import checks
from target_invoca_calls.call import CAMPAIGN, DIRECTIONS, LANGUAGES
from target_invoca_calls.destination import Invoca
from target_invoca_calls.recording import DUPLICATE, FILENAME, PRESIGNED, REJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DOCS = "https://developers.invoca.net/en/latest/api_documentation/call_ingestion_api/index.html"
_FOR_CALLS = "For calls whose record has none."


class TargetInvocaCalls(CallTarget):
    """Delivers calls to Invoca."""

    name = "target-invoca-calls"
    destination_class = Invoca
    empty_ledger_is_fatal = False
    config_jsonschema = settings.schema(
        [
            settings.secret(
                "oauth_token",
                title="OAuth token",
                description="API token of a user who may ingest calls, from Manage API "
                "Credentials in Invoca. Sent raw in the Authorization header, nowhere else.",
            ),
            settings.identifier(
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
            settings.identifier(
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
                "late_changes",
                th.StringType,
                allowed_values=["send", "ignore"],
                default="send",
                title="Late changes",
                description="Signals and custom data that change after a call was ingested: send "
                "(through Invoca's Signal API, at most 100 requests a minute) or ignore (count "
                "them as changed).",
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
        settings.recordings(
            use="Where the recordings are that records name with recording_path, as the tap stored "
            "them."
        ),
        [
            th.Property(
                "recording_access",
                th.StringType,
                allowed_values=[PRESIGNED, FILENAME],
                default=PRESIGNED,
                title="Access to recordings",
                description="How Invoca gets at them: presigned (a URL that opens one recording, "
                "made for each attempt) or filename (its name in a storage that Invoca was given "
                "access to).",
            ),
            settings.integer(
                "recording_url_hours",
                72,
                minimum=25,
                maximum=168,
                title="Life of a recording's URL (hours)",
                description="How long a presigned URL opens a recording: Invoca may come for it a "
                "day later.",
            ),
            settings.integer(
                "recording_wait_hours",
                24,
                title="Wait for a recording (hours)",
                description="A call without its recording yet is sent by a later run; so long "
                "after the call it is rejected.",
            ),
            th.Property(
                "on_mono",
                th.StringType,
                allowed_values=[REJECT, DUPLICATE],
                default=REJECT,
                title="On a mono recording",
                description="Invoca takes two channels only: reject, or duplicate the one, which "
                "spoils who said what. Needs the extra recordings-decode.",
            ),
        ],
        settings.common(api_url="https://invoca.net", docs=_DOCS, request_timeout=120),
        settings.targets(plugin=name, on_unknown_outcome="retry"),
    )

    @override
    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        yield from super().setting_errors(config)
        if config.get("recordings_url"):
            yield from checks.errors(config)
            if config["on_mono"] == DUPLICATE and not find_spec("miniaudio"):
                yield "on_mono needs a library: install the extra recordings-decode"
