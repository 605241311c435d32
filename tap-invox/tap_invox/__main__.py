"""``python -m tap_invox``."""

from tap_invox.tap import TapInvox

TapInvox.cli()
