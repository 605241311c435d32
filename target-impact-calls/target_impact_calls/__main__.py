"""``python -m target_impact_calls``."""

from target_impact_calls.target import TargetImpactCalls

TargetImpactCalls.cli()
