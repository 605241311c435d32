"""Runs the real target, which waits for whoever reads its STATE a second, and not half a minute."""

from __future__ import annotations

import sys

from singer_calls.deliver import target
from target_impact_calls.target import TargetImpactCalls

if not hasattr(target, "_STDOUT_TIMEOUT_SECONDS"):
    sys.exit("the wait for the reader is elsewhere now: this program must follow it")
target._STDOUT_TIMEOUT_SECONDS = 1.0
TargetImpactCalls.cli()
