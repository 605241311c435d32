"""The call-tracking vendors' APIs on one local port, strict as they are, with faults."""

from __future__ import annotations

from call_sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
