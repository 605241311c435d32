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
_EPOCH_SECONDS = 10**9
_EPOCH_MILLISECONDS = 10**12


def retry_after(headers: Mapping[str, str], now: float, *, limited: bool) -> float | None:
    """The wait that the answer asks for.

    ``Retry-After`` (seconds or an HTTP date) comes first, then ``X-RateLimit-Reset`` (seconds, or
    the Unix epoch in seconds or milliseconds), if a limit was met: many vendors send it with every
    answer, and a 502 is no reason to wait for the next hour's requests. A moment is counted from
    the answer's own ``Date``, if it has one: the vendor's clock set both, and ours may differ.

    Args:
        headers: Of the answer, looked up without regard to case.
        now: The time of the answer by our clock, seconds since the epoch.
        limited: Whether the answer says that too much was asked (HTTP 429).

    Returns:
        Seconds from now, 0.0 for a moment that is past, None without a header that can be read.
        The number may be huge: what is too long is for the caller to say.
    """
    asked = headers.get("Retry-After", "")
    reset = _seconds(headers.get("X-RateLimit-Reset", "")) if limited else None
    if reset is not None and reset >= _EPOCH_MILLISECONDS:
        reset /= 1000
    until, date = _date(asked), _date(headers.get("Date", ""))
    now = now if date is None else date
    waits = (
        _seconds(asked),
        until - now if until is not None else None,
        reset - now if reset is not None and reset >= _EPOCH_SECONDS else reset,
    )
    return next((max(0.0, wait) for wait in waits if wait is not None), None)


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text.strip()) else None


def _date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        # A date that says -0000 comes without a zone; HTTP dates are GMT.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
