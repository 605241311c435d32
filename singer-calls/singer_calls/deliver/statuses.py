"""What an HTTP status says about a delivery, where the vendor's documents say nothing else.

``COMMON`` has a row for every status from 100 to 599. A vendor's ``responses.py`` starts from it
and puts its own rows over: ``TABLE = COMMON | {201: ..., 403: ...}``. A row is the outcome, or a
function that reads it from the answer.

One question decides: could the vendor have processed the request?

    certainly not, and it is this call's fault         Rejected
    certainly not, and every call will fare the same   Fatal
    certainly not, and later it may                    Retry
    possibly                                           Unknown
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from singer_calls.deliver.outcome import Fatal, Outcome, Rejected, Retry, Unknown
from singer_calls.values.retry_after import retry_after

if TYPE_CHECKING:
    from singer_calls.deliver.delivery import Answer

Row: TypeAlias = Outcome | Callable[["Answer", float], Outcome]
Table: TypeAlias = Mapping[int, Row]


def read(table: Table, answer: Answer, now: float) -> Outcome:
    """The outcome that a table gives an answer.

    Args:
        table: A row for each status.
        answer: The vendor's answer.
        now: When it came, seconds since the epoch.

    Returns:
        The outcome, with the status in it when it is a rejection.
    """
    row = table[answer.status]
    outcome = row if isinstance(row, Outcome) else row(answer, now)
    return replace(outcome, status=answer.status) if isinstance(outcome, Rejected) else outcome


def _too_many(answer: Answer, now: float) -> Outcome:
    return Retry("too many requests", after=retry_after(answer.headers, now), everyone=True)


def _unavailable(answer: Answer, now: float) -> Outcome:
    return Retry("the vendor is not available", after=retry_after(answer.headers, now))


_REDIRECT = Fatal("The vendor's address redirects, and a call is never sent along: correct api_url")
_WRONG_ADDRESS = Fatal("The vendor doesn't know this address or method: correct api_url")
_GATEWAY = Unknown("a gateway gave up waiting for the vendor")

COMMON: Table = {
    **dict.fromkeys(range(100, 200), Unknown("an interim status came as the last one")),
    **dict.fromkeys(range(200, 300), Unknown("a success that the vendor's documents don't know")),
    **dict.fromkeys(range(300, 400), _REDIRECT),
    **dict.fromkeys(range(400, 500), Rejected("the vendor refused the request")),
    401: Fatal("The vendor refused the credentials: correct them"),
    403: Fatal("The vendor denied permission: ask it for access"),
    404: _WRONG_ADDRESS,
    405: _WRONG_ADDRESS,
    407: Fatal("A proxy asks for credentials: correct the proxy's settings"),
    408: Unknown("the vendor timed out waiting for the request"),
    410: _WRONG_ADDRESS,
    421: _WRONG_ADDRESS,
    425: Retry("too early"),
    426: _REDIRECT,
    429: _too_many,
    **dict.fromkeys(range(500, 600), Retry("the vendor failed")),
    502: _GATEWAY,
    503: _unavailable,
    504: _GATEWAY,
    # Cloudflare's: an odd answer from the vendor's server, and no answer in time.
    520: _GATEWAY,
    524: _GATEWAY,
}
