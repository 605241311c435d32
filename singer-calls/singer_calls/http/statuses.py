"""What an HTTP status means, whatever the request was: every number has a meaning.

Targets ask whether a call was processed, taps whether asking again may help; both read it from
the same word. The body may say more: that is for the vendor's own table.
"""

from __future__ import annotations

import enum


class Meaning(enum.Enum):
    """What the one who answered says about the request."""

    INTERIM = "an interim status came as the last one"
    SUCCESS = "success"
    EMPTY = "success, and nothing to tell"
    REDIRECT = "the vendor's address redirects"
    CREDENTIALS = "the vendor refused the credentials"
    PERMISSION = "the vendor denied permission"
    ADDRESS = "the vendor doesn't know this address or method"
    PROXY = "a proxy or a network's login stands before the vendor"
    TIMED_OUT = "the vendor timed out waiting for the request"
    TOO_LARGE = "the request is too large"
    TOO_EARLY = "too early"
    RATE_LIMIT = "too many requests"
    REFUSED = "the vendor refused the request"
    FAILED = "the vendor failed"
    GATEWAY = "a gateway could not read the vendor's answer"
    GATEWAY_TIMEOUT = "a gateway gave up waiting for the vendor"
    UNREACHED = "a gateway did not reach the vendor"
    UNAVAILABLE = "the vendor is not available"
    UNHEARD_OF = "the answer's status is none of HTTP's"


_BY_STATUS = {
    204: Meaning.EMPTY,
    205: Meaning.EMPTY,
    401: Meaning.CREDENTIALS,
    403: Meaning.PERMISSION,
    404: Meaning.ADDRESS,
    405: Meaning.ADDRESS,
    407: Meaning.PROXY,
    408: Meaning.TIMED_OUT,
    410: Meaning.ADDRESS,
    413: Meaning.TOO_LARGE,
    421: Meaning.ADDRESS,
    425: Meaning.TOO_EARLY,
    426: Meaning.REDIRECT,
    429: Meaning.RATE_LIMIT,
    502: Meaning.GATEWAY,
    503: Meaning.UNAVAILABLE,
    504: Meaning.GATEWAY_TIMEOUT,
    511: Meaning.PROXY,
    # Cloudflare's: the vendor's server is down, out of reach, or has no certificate that counts.
    521: Meaning.UNREACHED,
    523: Meaning.UNREACHED,
    525: Meaning.UNREACHED,
    526: Meaning.UNREACHED,
    # An odd answer of that server, or none in time: the request may have reached it.
    520: Meaning.GATEWAY,
    522: Meaning.GATEWAY_TIMEOUT,
    524: Meaning.GATEWAY_TIMEOUT,
}
_BY_HUNDRED = {
    1: Meaning.INTERIM,
    2: Meaning.SUCCESS,
    3: Meaning.REDIRECT,
    4: Meaning.REFUSED,
    5: Meaning.FAILED,
}


def meaning(status: int) -> Meaning:
    """What a status means; also 600 or 999, which servers were seen to send."""
    return _BY_STATUS.get(status) or _BY_HUNDRED.get(status // 100, Meaning.UNHEARD_OF)
