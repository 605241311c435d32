"""requests' and urllib3's exceptions in the words of ``http.faults``."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

import requests
import urllib3

from singer_calls.http import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

_R, _U = requests.exceptions, urllib3.exceptions

# The first row counts that fits the exception, or one of those that it was made from: requests
# wraps urllib3's, and that wraps Python's own.
_TABLE: tuple[tuple[type[BaseException], faults.Fault], ...] = (
    (_R.InvalidProxyURL, faults.PROXY),
    (_R.ProxyError, faults.PROXY),
    (_U.ProxyError, faults.PROXY),
    (_R.InvalidURL, faults.ADDRESS),
    (_R.MissingSchema, faults.ADDRESS),
    (_R.InvalidSchema, faults.ADDRESS),
    (_U.NameResolutionError, faults.HOST),
    (_U.ConnectTimeoutError, faults.CONNECT_TIME),
    (_U.NewConnectionError, faults.CONNECTION),
    (_R.Timeout, faults.NO_ANSWER),
    (_U.ReadTimeoutError, faults.NO_ANSWER),
    (_R.SSLError, faults.TLS),
    (_U.SSLError, faults.TLS),
    (_U.IncompleteRead, faults.CUT),
    (_U.InvalidChunkLength, faults.CUT),
    (_U.DecodeError, faults.CUT),
    (http.client.RemoteDisconnected, faults.BROKEN),
    (http.client.HTTPException, faults.NOT_HTTP),
    (_U.LocationParseError, faults.ADDRESS),
    (_U.HTTPError, faults.BROKEN),
    (_R.RequestException, faults.BROKEN),
)
FAILURES = (_R.RequestException, _U.HTTPError)
"""What a request raises when it fails."""


def fault_of(failure: BaseException) -> faults.Fault:
    """What it means that a request failed."""
    found = [*_chain(failure)]
    for error in found:
        # http.client has no class of its own for what a proxy answers to CONNECT.
        if isinstance(error, OSError) and "Tunnel connection failed: 407" in str(error):
            return faults.PROXY_CREDENTIALS
        if isinstance(error, ssl.SSLCertVerificationError):
            return faults.certificate(error.verify_code)
    fits = (fault for cls, fault in _TABLE if any(isinstance(error, cls) for error in found))
    return next(fits, faults.BROKEN)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it was made from."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
