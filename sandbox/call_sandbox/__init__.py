"""The call-tracking vendors' APIs on one local port, strict as they are, with faults.

`Sandbox` serves them; `Sandbox(vendors=[Mine])` serves a `Vendor` of somebody's own, with the same
journal, faults and scripts: it gets a `Request` and returns a `Response`.
"""

from __future__ import annotations

from call_sandbox.sandbox import Sandbox
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor

__all__ = ["Handler", "PageCall", "Request", "Response", "Sandbox", "Switch", "Vendor"]
