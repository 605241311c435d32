"""Where an address leads, whatever else is in it."""

from __future__ import annotations

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """The origin of an address: ``HTTPS://Vendor.NET:443/x`` is ``https://vendor.net``."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    default = parts.port in {None, _DEFAULT_PORTS.get(scheme)}
    return f"{scheme}://{host}" if default else f"{scheme}://{host}:{parts.port}"
