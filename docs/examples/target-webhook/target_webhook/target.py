"""Settings of target-webhook."""

from __future__ import annotations

from singer_calls import settings
from singer_calls.deliver import CallTarget
from target_webhook.destination import Webhook


class TargetWebhook(CallTarget):
    """Posts each call as JSON to one address."""

    name = "target-webhook"
    destination_class = Webhook
    empty_ledger_is_fatal = True  # who receives may not know a call again
    config_jsonschema = settings.schema(
        [
            settings.secret(
                "signing_secret",
                title="Signing secret",
                description="Shared with the receiver: each request is signed with it, by "
                "HMAC-SHA256 over its time and its body. Without it nothing is signed.",
                required=False,
            ),
            settings.secret(
                "bearer_token",
                title="Bearer token",
                description="Sent as Authorization: Bearer ..., where the receiver asks for one.",
                required=False,
            ),
            settings.requests_per_second(),
        ],
        settings.common(api_url=None),
        settings.targets(plugin=name, on_unknown_outcome="hold"),
    )
