"""How long a vendor asks us to wait, read from the headers of its answer."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)

# X-RateLimit-Reset is seconds in the text of a vendor's documents and the epoch 1487332519 in one
# of their examples: nobody means a wait of thirty years.
_EPOCH = 10**9


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The wait that the answer asks for.

    ``Retry-After`` (seconds or an HTTP date) comes first, then ``X-RateLimit-Reset`` (seconds or
    the Unix epoch).

    Args:
        headers: Of the answer, looked up without regard to case.
        now: The time of the answer, seconds since the epoch.

    Returns:
        Seconds from now, 0.0 for a moment that is past, None without a header that can be read.
        The number may be huge: what is too long is for the caller to say.
    """
    waits = (
        _seconds(headers.get("Retry-After", "")),
        _until(headers.get("Retry-After", ""), now),
        _reset(headers.get("X-RateLimit-Reset", ""), now),
    )
    return next((max(0.0, wait) for wait in waits if wait is not None), None)


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text.strip()) else None


def _until(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        # A date that says -0000 comes without a zone; HTTP dates are GMT.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None


def _reset(text: str, now: float) -> float | None:
    seconds = _seconds(text)
    return seconds - now if seconds is not None and seconds >= _EPOCH else seconds
