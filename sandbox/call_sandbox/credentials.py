"""The sandbox's fixed credentials, one table. They open nothing but a sandbox."""

from __future__ import annotations

INVOX_API_KEY = "sandbox-invox-key"
IMPACT_USERNAME = "sandbox-user"
IMPACT_PASSWORD = "sandbox-password"  # noqa: S105
IOVOX_USERNAME = "sandbox-user"
IOVOX_SECURE_KEY = "sandbox-secure-key"
INVOCA_TOKEN = "sandbox-invoca-token"  # noqa: S105
