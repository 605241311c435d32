"""What an HTTP status says about a delivery, where the vendor's documents say nothing else.

``COMMON`` has a row for every meaning of ``http.statuses``, under each status. A vendor's
``responses.py`` starts from it and puts its own rows over: ``TABLE = COMMON | {201: ...}``. A row
is the outcome, or a function that reads it from the answer.

One question decides: could the vendor have processed the request?

    certainly not, and it is this call's fault         Rejected
    certainly not, and every call will fare the same   Fatal
    certainly not, and later it may                    Retry
    possibly                                           Unknown
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from email.message import Message
from typing import TYPE_CHECKING, TypeAlias

from singer_calls.deliver.outcome import Fatal, Outcome, Rejected, Retry, Unknown
from singer_calls.http.retry_after import retry_after
from singer_calls.http.statuses import Meaning, meaning

if TYPE_CHECKING:
    from singer_calls.deliver.delivery import Response

WORDS_LIMIT_CHARS = 2000  # of a vendor's answer that are kept

Row: TypeAlias = Outcome | Callable[["Response", float], Outcome]
ResponseTable: TypeAlias = Mapping[int, Row]


def read_response(table: ResponseTable, response: Response, now: float) -> Outcome:
    """The outcome that a table gives an answer.

    Args:
        table: Rows by status; one that it lacks has the row of its meaning.
        response: The vendor's answer.
        now: When it came, seconds since the epoch.

    Returns:
        The outcome; a rejection with the status and the vendor's words in it.
    """
    row = table.get(response.status) or _ROWS[meaning(response.status)]
    outcome = row if isinstance(row, Outcome) else row(response, now)
    if not isinstance(outcome, Rejected):
        return outcome
    words = text_of(response).strip()[:WORDS_LIMIT_CHARS]
    return replace(outcome, status=response.status, words=words)


def text_of(response: Response) -> str:
    """The body as text, by the charset that the answer declares, else UTF-8."""
    declared = Message()
    declared["Content-Type"] = response.headers.get("Content-Type", "")
    charset = declared.get_content_charset("utf-8")
    try:
        text = response.body.decode(charset, errors="replace")
    except (LookupError, ValueError):  # a charset that nobody knows, or one that is no text
        text = response.body.decode(errors="replace")
    return text.removeprefix("\ufeff")


def _rate_limit(response: Response, now: float) -> Outcome:
    wish = retry_after(response.headers, now, limited=True)
    return Retry(Meaning.RATE_LIMIT.value, after=wish, everyone=True)


def _unavailable(response: Response, now: float) -> Outcome:
    wish = retry_after(response.headers, now, limited=False)
    return Retry(Meaning.UNAVAILABLE.value, after=wish)


_ROWS: Mapping[Meaning, Row] = {
    Meaning.INTERIM: Unknown(Meaning.INTERIM.value),
    Meaning.SUCCESS: Unknown("a success that the vendor's documents don't know"),
    Meaning.EMPTY: Unknown("a success that the vendor's documents don't know"),
    Meaning.REDIRECT: Fatal(
        "The vendor's address redirects, and a call is never sent along: correct api_url"
    ),
    Meaning.CREDENTIALS: Fatal("The vendor refused the credentials: correct them"),
    Meaning.PERMISSION: Fatal("The vendor denied permission: ask it for access"),
    Meaning.ADDRESS: Fatal("The vendor doesn't know this address or method: correct api_url"),
    Meaning.PROXY: Fatal(
        "A proxy, or the login of a network, stands before the vendor and asks for credentials: "
        "correct the proxy's settings"
    ),
    Meaning.TIMED_OUT: Unknown(Meaning.TIMED_OUT.value),
    Meaning.TOO_LARGE: Rejected(Meaning.TOO_LARGE.value),
    Meaning.TOO_EARLY: Retry(Meaning.TOO_EARLY.value),
    Meaning.RATE_LIMIT: _rate_limit,
    Meaning.REFUSED: Rejected(Meaning.REFUSED.value),
    # A vendor may book a call and then fail: who dedupes on our key has a row of its own.
    Meaning.FAILED: Unknown(Meaning.FAILED.value),
    Meaning.GATEWAY: Unknown(Meaning.GATEWAY.value),
    Meaning.GATEWAY_TIMEOUT: Unknown(Meaning.GATEWAY_TIMEOUT.value),
    Meaning.UNREACHED: Retry(Meaning.UNREACHED.value),
    Meaning.UNAVAILABLE: _unavailable,
    Meaning.UNHEARD_OF: Unknown(Meaning.UNHEARD_OF.value),
}

COMMON: ResponseTable = {status: _ROWS[meaning(status)] for status in range(100, 600)}

# For a vendor that dedupes on our key: what it may have booked can be sent again.
DEDUPED: ResponseTable = {
    status: Retry(Meaning.FAILED.value)
    for status in range(500, 600)
    if meaning(status) is Meaning.FAILED
}
