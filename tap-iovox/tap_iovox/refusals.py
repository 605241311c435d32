"""What iovox says when it refuses a request, and what the user can do about it.

The documented strings are a table (vendor docs, insights, Error Result). Their form is unknown:
clients of iovox have met XML, JSON and bare text, so the string is looked for anywhere.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from tap_iovox.fields import RESPONSE_FIELDS

_OURS = "the tap sets this itself, so its version may not fit iovox any more: update tap-iovox"

# Documented string, in lower case -> what to do. The older API's strings differ in case only.
REFUSALS: dict[str, str] = {
    "request method must be get": "something between this machine and iovox changes requests: "
    "check api_url and the proxy",
    "order field invalid": _OURS,
    "order direction invalid": _OURS,
    "page number not an integer": _OURS,
    "limit not an integer": "check the setting page_size",
    "limit must be between 1 and 20000": "set page_size to a number from 1 to 20000",
    "start date invalid": "check the setting start_date; a first call before the year 2000 is not "
    "asked for",
    "end date invalid": "check the setting end_date",
    "iovox number not an integer": "check filters.iovox_number: digits only",
    "required fields olvalid": "deselect them in the catalog",
    "required fields invalid": "deselect them in the catalog",
}

_DENIED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_NAMES = {field.request for field in RESPONSE_FIELDS}


def sentence(status: int, body: bytes) -> str | None:
    """One sentence for an answer that ends the run.

    Args:
        status: Of the answer, neither 200 nor one that may pass.
        body: Of the answer. Nothing of it is quoted but documented words.

    Returns:
        None for a refusal that iovox does not document.
    """
    if status in _DENIED:
        return (
            f"iovox refuses the credentials (HTTP {status}): check the settings username and "
            "secure_key, and that the IP address of this machine is on the allow-list of the key "
            "(iovox portal, Settings, API Settings)."
        )
    told = body.decode("utf-8", "replace").lower()
    for words, advice in REFUSALS.items():
        if words in told:
            names = sorted(_NAMES & set(re.findall(r"\w+", told.partition(words)[2])))
            which = f" ({', '.join(names)})" if "fields" in words and names else ""
            return f'iovox answered "{words}"{which}: {advice}.'
    return None
