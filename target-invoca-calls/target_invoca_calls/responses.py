"""Invoca's answers, as a table from status, error class and message to outcome.

Source: vendor docs, Call Ingestion API (Response Codes, Errors) and its sister APIs for the
general shapes. A 403 mixes bad records with bad configuration: the class tells them apart.
No reason holds the vendor's text but what stands in its documents: the rest may quote the call,
and goes into the file of what is set aside only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from singer_calls.deliver import (
    COMMON,
    DEDUPED,
    Accepted,
    Duplicate,
    Fatal,
    Outcome,
    Rejected,
    ResponseTable,
    Retry,
    Unknown,
    text_of,
)
from target_invoca_calls.call import CAMPAIGN, PARAMETERS

if TYPE_CHECKING:
    from singer_calls.deliver import Response

_SUPPORT = "Invoca support, questions@invoca.com"
_FIELD = re.compile("|".join(rf"\b{parameter.name}\b" for parameter in PARAMETERS))
_REFERENCE_CHARS = 64

_INVALID = "Invoca found the call invalid"
_KNOWN_MESSAGES = (
    "Validation failed: 'call' is required",
    "Validation failed: Signals are limited to 100",
)
_NOT_ENABLED = Fatal(
    "Invoca's Call Ingestion is not enabled for the network of oauth_token: ask "
    f"{_SUPPORT}, to enable it"
)


def _campaign(reason: str) -> Rejected:
    return Rejected(reason, field=CAMPAIGN, fields=(CAMPAIGN,), campaign=True)


_NO_ACCESS = _campaign(
    "oauth_token has no access to the advertiser of the campaign: correct the campaign, or use a "
    "token of a user who has"
)
_CAMPAIGN_ERRORS = {
    "campaign must be for external calls only": _campaign(
        "the campaign must be of type ExternalOnly: change it at Invoca, or name another one"
    ),
    "campaign must have transcription enabled": _campaign(
        "the campaign must have Signal AI or a Voice Signal, for transcription: enable one at "
        f"Invoca, or ask {_SUPPORT}"
    ),
}
_CAMPAIGN_REFUSED = _campaign(
    "Invoca refuses the campaign: see that it exists and is of type ExternalOnly"
)
_PERMISSION = Fatal(
    "Invoca denied permission without saying why: see that oauth_token may ingest calls, and "
    "that no proxy answers in place of Invoca"
)
_NO_SUCH_VERSION = Fatal(
    "Invoca doesn't know this version of its API: api_url is scheme and host only, such as "
    "https://invoca.net"
)


def _created(response: Response, _now: float) -> Outcome:
    return Accepted(reference=_cuid(response))


def _pending(response: Response, _now: float) -> Outcome:
    return Duplicate("Invoca had already received the call", _cuid(response), claim="received")


def _used(response: Response, _now: float) -> Outcome:
    return Duplicate("Invoca already has a call with this id", _cuid(response), claim="used")


def _forbidden(response: Response, _now: float) -> Outcome:
    if not response.whole:
        return Retry("Invoca refused the call, but its reason was cut")
    errors = object_of(response).get("errors")
    if isinstance(errors, str | list) and _FIELD.search(str(errors)):
        errors = {"class": "", "invalid_data": errors}
    if not isinstance(errors, dict) or not errors:
        return _PERMISSION
    # Either {class, invalid_data}, or {field: [messages]} as in Invoca's RingPool API.
    kind, data = errors.get("class"), errors.get("invalid_data")
    if not isinstance(kind, str):
        kind, data = ", ".join(errors), errors
    if kind in {CAMPAIGN, f"call.{CAMPAIGN}"}:
        return _CAMPAIGN_ERRORS.get(str(data), _CAMPAIGN_REFUSED)
    if kind == "UnauthorizedAdvertiser":
        return _NO_ACCESS
    if kind.startswith("Unauthorized"):
        return _NOT_ENABLED if kind == "UnauthorizedOperation" else _PERMISSION
    return _invalid(f"{kind} {data}", str(data) if data in _KNOWN_MESSAGES else _INVALID)


def _invalid(text: str, reason: str = _INVALID) -> Rejected:
    """A call refused for the parameters that a text names."""
    fields = tuple(dict.fromkeys(_FIELD.findall(text)))
    return Rejected(reason, field=fields[0] if fields else None, fields=fields)


def _bad_request(response: Response, _now: float) -> Outcome:
    # Documented for a wrong version only, which names no parameter of a call.
    refused = _invalid(str(object_of(response).get("errors")))
    return refused if response.whole and refused.fields else _NO_SUCH_VERSION


def _success(response: Response, _now: float) -> Outcome:
    # Its own id for the call says enough, whatever the number of the status.
    cuid = _cuid(response)
    return Accepted(reference=cuid) if cuid else Unknown("a success without Invoca's own words")


def _cuid(response: Response) -> str | None:
    cuid = object_of(response).get("cuid")
    return cuid[:_REFERENCE_CHARS] if isinstance(cuid, str) and cuid.isprintable() else None


def object_of(response: Response) -> dict[str, Any]:
    """The body's JSON object, empty when it is none."""
    try:
        value = json.loads(text_of(response))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


TABLE: ResponseTable = {
    **COMMON,
    **DEDUPED,
    **dict.fromkeys(range(200, 300), _success),
    # The documents ask to go by the status: a 201 without its cuid is created all the same.
    201: _created,
    202: _pending,
    400: _bad_request,
    401: Fatal("Invoca refused oauth_token: correct it; it is sent raw, without Bearer"),
    403: _forbidden,
    409: _used,
}
