"""``python -m target_webhook``."""

from target_webhook.target import TargetWebhook

TargetWebhook.cli()
