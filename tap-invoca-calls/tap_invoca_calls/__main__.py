"""``python -m tap_invoca_calls``."""

from tap_invoca_calls.tap import TapInvocaCalls

TapInvocaCalls.cli()
