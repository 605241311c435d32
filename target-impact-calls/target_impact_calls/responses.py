"""impact.com's answers, as a table from status and body to outcome.

Source: vendor docs, Call Data API (Returns) and the general pages on responses, status codes and
rate limits. How this host words an error is not documented; the general envelope has two
spellings in JSON and one in XML, and all three are read. Nothing of the vendor's text is passed
on but what stands in its documents: the rest may quote the call.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.outcome import Accepted, Fatal, Outcome, Rejected, Unknown
from singer_calls.deliver.statuses import COMMON, Table, read
from target_impact_calls.call import PARAMETERS

if TYPE_CHECKING:
    from singer_calls.deliver.delivery import Answer

_FIELDS = {parameter.name.casefold(): parameter.name for parameter in PARAMETERS}
_REASONS = {
    "not a numeric value": "must be a number",
    "validation failed": "impact.com found a parameter invalid",
}
# The documented example of a success ends {"Status": "OK",}: no JSON, but perhaps what is sent.
_TRAILING_COMMA = re.compile(rb",\s*([}\]])")
_XML_ROOT = b"<ImpactRadiusResponse"
_XML_VALUE = re.compile(rb"<(Status|Message|Field)>([^<]*)</", re.IGNORECASE)


def outcome(answer: Answer, now: float) -> Outcome:
    """What became of a call.

    Args:
        answer: impact.com's.
        now: When it came, seconds since the epoch.

    Returns:
        Its outcome; the reason holds no value of the call.
    """
    return read(TABLE, answer, now)


def _success(answer: Answer, _now: float) -> Outcome:
    # A 200 may hold an error: read what it says, if it is all there. QUEUED is documented for
    # impact.com's other calls to come.
    if not answer.whole:
        return Unknown("impact.com answered with success, but its Status was cut off")
    said, refusal = _read(answer.body)
    if said in {"OK", "QUEUED"}:
        return Accepted()
    if said == "ERROR":
        return refusal
    # Not what impact.com says: a page of a proxy or of a login may stand before it.
    return Unknown("impact.com answered with success, but not with its Status")


def _refused(answer: Answer, _now: float) -> Outcome:
    return _read(answer.body)[1]


def _read(body: bytes) -> tuple[str | None, Rejected]:
    """The Status of an envelope, upper case, and the rejection it would mean."""
    values = _xml(body) if body.lstrip().startswith((b"<?xml", _XML_ROOT)) else _json(body)
    fields = [_FIELDS[text] for name, text in values if name == "field" and text in _FIELDS]
    reasons = [_REASONS[text] for name, text in values if name == "message" and text in _REASONS]
    said = next((text.upper() for name, text in values if name == "status"), None)
    return said, Rejected(
        # The last message is the most particular one.
        reasons[-1] if reasons else "impact.com refused the call",
        field=fields[0] if fields else None,
    )


def _xml(body: bytes) -> list[tuple[str, str]]:
    if _XML_ROOT not in body:
        return []
    return [
        (name.decode().casefold(), value.decode(errors="replace").strip().casefold())
        for name, value in _XML_VALUE.findall(body)
    ]


def _json(body: bytes) -> list[tuple[str, str]]:
    """Name and value of the envelope's texts, then of its errors'; both in lower case."""
    try:
        envelope = json.loads(_TRAILING_COMMA.sub(rb"\1", body))
    except (ValueError, RecursionError):
        return []
    errors = _folded(envelope).get("errors")
    objects = [envelope, *(errors if isinstance(errors, list) else [])]
    return [
        (name, value.strip().casefold())
        for one in objects
        for name, value in _folded(one).items()
        if isinstance(value, str)
    ]


def _folded(value: object) -> dict[str, Any]:
    return {k.casefold(): v for k, v in value.items()} if isinstance(value, dict) else {}


TABLE: Table = {
    **COMMON,
    **dict.fromkeys(range(200, 300), _success),
    400: _refused,
    401: Fatal(
        "impact.com refused the credentials: correct username and password (the Call Data API "
        "has its own, from your impact.com contact) and see that api_url begins with https"
    ),
    402: Rejected("impact.com found the parameters valid, but the request failed"),
    403: Fatal(
        "impact.com denied permission: ask your impact.com contact to allow these credentials "
        "to send call data"
    ),
}
