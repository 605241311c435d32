"""impact.com's answers, as a table from status and body to outcome.

Source: vendor docs, Call Data API (Returns) and the general pages on responses, status codes and
rate limits. How this host words an error is not documented; the general envelope has two
spellings in JSON and one in XML, and all three are read. No reason holds the vendor's text but
what stands in its documents: the rest may quote the call, and goes into the file of what is set
aside only.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from singer_calls.deliver import (
    COMMON,
    Accepted,
    Fatal,
    Outcome,
    Rejected,
    ResponseTable,
    Unknown,
    text_of,
)
from target_impact_calls.call import CAMPAIGN, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver import Response

_FIELDS = {parameter.name.casefold(): parameter.name for parameter in PARAMETERS}
_REASONS = {
    "not a numeric value": "must be a number",
    "validation failed": "impact.com found a parameter invalid",
}
# What holds for each call of a partner in a program: "Campaign 1 has no active contract";
# CAMPAIGN_NOT_FOUND is a reason of impact.com's file imports.
_CAMPAIGN = re.compile(
    r"campaign.{0,80}(contract|not[ _](found|active|exist)|inactive|closed|expired|no access)"
)
_CAMPAIGN_REFUSED = Rejected(
    "impact.com refuses the program of CampaignId: see there that it is active and has a contract "
    "with the partner of MediaId",
    field=CAMPAIGN,
    campaign=True,
)
# The documented example of a success ends {"Status": "OK",}: no JSON, but perhaps what is sent.
_TRAILING_COMMA = re.compile(r",\s*([}\]])")
_XML_ROOT = "<ImpactRadiusResponse"
_XML_VALUE = re.compile(r"<(Status|Message|Field)>([^<]*)</", re.IGNORECASE)


def _success(response: Response, _now: float) -> Outcome:
    # A 200 may hold an error: read what it says. QUEUED is documented for impact.com's other
    # calls to come.
    said, refusal = _read(response)
    if not response.whole:
        return Unknown("impact.com answered with success, but its answer was cut")
    if said in {"OK", "QUEUED"}:
        return Accepted()
    if said == "ERROR":
        return refusal
    # Not what impact.com says: a page of a proxy or of a login may stand before it.
    return Unknown("impact.com answered with success, but not with its Status")


def _refused(response: Response, _now: float) -> Outcome:
    return _read(response)[1]


def _unless_of_a_call(otherwise: Outcome) -> Callable[[Response, float], Outcome]:
    """What a status says of all calls, unless its body names a parameter or the program."""

    def read(response: Response, _now: float) -> Outcome:
        refusal = _read(response)[1]
        return refusal if refusal.fields or refusal.campaign else otherwise

    return read


def _read(response: Response) -> tuple[str | None, Rejected]:
    """The Status of an envelope, upper case, and the rejection it would mean."""
    body = text_of(response)
    values = _xml(body) if body.lstrip().startswith(("<?xml", _XML_ROOT)) else _json(body)
    named = [_FIELDS[text] for name, text in values if name == "field" and text in _FIELDS]
    fields = tuple(dict.fromkeys(named))
    messages = [text for name, text in values if name == "message"]
    # The last message is the most particular one.
    reasons = [_REASONS[text] for text in messages if text in _REASONS]
    said = next((text.upper() for name, text in values if name == "status"), None)
    if any(map(_CAMPAIGN.search, messages)):
        return said, replace(_CAMPAIGN_REFUSED, fields=fields)
    return said, Rejected(
        reasons[-1] if reasons else "impact.com refused the call",
        field=fields[0] if fields else None,
        fields=fields,
    )


def _xml(body: str) -> list[tuple[str, str]]:
    if _XML_ROOT not in body:
        return []
    found = _XML_VALUE.findall(body)
    return [(name.casefold(), value.strip().casefold()) for name, value in found]


def _json(body: str) -> list[tuple[str, str]]:
    """Name and value of the envelope's texts, then of its errors'; both in lower case."""
    try:
        envelope = json.loads(_TRAILING_COMMA.sub(r"\1", body))
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


TABLE: ResponseTable = {
    **COMMON,
    **dict.fromkeys(range(200, 300), _success),
    400: _refused,
    401: Fatal(
        "impact.com refused the credentials: correct username and password (the Call Data API "
        "has its own, from your impact.com contact) and see that api_url begins with https"
    ),
    402: Rejected("impact.com found the parameters valid, but the request failed"),
    403: _unless_of_a_call(
        Fatal(
            "impact.com denied permission: ask your impact.com contact to allow these credentials "
            "to send call data"
        )
    ),
    404: _unless_of_a_call(
        Fatal("impact.com doesn't know this address: correct api_url, scheme and host only")
    ),
    422: _refused,
}
