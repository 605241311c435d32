"""Answers of Invoca's Signal API, as a table from status and error class to outcome.

Source: vendor docs, Signal API (Response Codes, Errors). A repetition does no harm, so what may
have been processed is sent again. What concerns all requests (no access to this API, no such
version) refuses them for this run, and calls go on: each run asks once more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from singer_calls.deliver import (
    COMMON,
    DEDUPED,
    Accepted,
    Fatal,
    Outcome,
    Pending,
    Rejected,
    ResponseTable,
    Retry,
)
from target_invoca_calls.responses import object_of

if TYPE_CHECKING:
    from singer_calls.deliver import Response

HOURS = 24  # an ingestion may take so long to be processed

_FIELD = re.compile(r"\b(?:signals|custom_data|occurred_at_time|partner_unique_id|search)\b")
_ELSE = "or set late_changes: ignore"
_LIMIT = re.compile(r"Validation failed: Signals are limited to \d+")


def _all(reason: str) -> Rejected:
    """What holds for every request, until it is remedied."""
    return Rejected(reason, campaign=True)


_NO_ACCESS = _all(
    "oauth_token may not use Invoca's Signal API: ask Invoca support, questions@invoca.com, "
    f"{_ELSE}"
)
_NO_SUCH_API = _all(f"Invoca doesn't know this version of its Signal API: see api_url, {_ELSE}")


def _forbidden(response: Response, _now: float) -> Outcome:
    if not response.whole:
        return Retry("Invoca refused the signals, but its reason was cut")
    errors = object_of(response).get("errors")
    if not isinstance(errors, dict) or not errors:
        return _NO_ACCESS
    kind, data = str(errors.get("class")), str(errors.get("invalid_data"))
    if kind == "UnauthorizedAdvertiser":
        return Rejected("oauth_token has no access to the advertiser of the call")
    if kind.startswith("Unauthorized"):
        return _NO_ACCESS
    fields = tuple(dict.fromkeys(_FIELD.findall(data)))
    return Rejected(
        data if _LIMIT.fullmatch(data) else "Invoca found the signals or custom data invalid",
        field=fields[0] if fields else None,
        fields=fields,
    )


def _not_found(response: Response, _now: float) -> Outcome:
    if not response.whole:
        return Retry("Invoca refused the signals, but its reason was cut")
    errors = object_of(response).get("errors")
    if isinstance(errors, dict) and errors.get("class") == "RecordNotFound":
        return Pending("Invoca finds no such call: it may still process it", hours=HOURS)
    return _NO_SUCH_API


TABLE: ResponseTable = {
    **COMMON,
    **DEDUPED,
    200: Accepted(),
    # Documented for a call in progress only; the documents ask to go by the status.
    201: Accepted(),
    400: _NO_SUCH_API,
    401: Fatal("Invoca refused oauth_token: correct it; it is sent raw, without Bearer"),
    403: _forbidden,
    404: _not_found,
}
