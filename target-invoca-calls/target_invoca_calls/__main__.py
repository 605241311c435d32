"""``python -m target_invoca_calls``."""

from target_invoca_calls.target import TargetInvocaCalls

TargetInvocaCalls.cli()
