"""Every way a request can fail without an answer, and what that says about the call.

One question: had the request left? Before that the vendor can't have processed it (``Retry``);
from the first byte on it may have (``Unknown``). A class that is not in the table is looked up by
its bases, so a new subclass in aiohttp gets its parent's row.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import aiohttp

from singer_calls.deliver.outcome import Fatal, Outcome, Retry, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

FAILURES: Mapping[type[BaseException], Outcome] = {
    # Not sent: no connection was made.
    aiohttp.ClientConnectorError: Retry("no connection to the vendor"),
    aiohttp.ClientConnectorDNSError: Retry("the vendor's host name was not found"),
    aiohttp.ClientConnectorSSLError: Retry("no secure connection to the vendor"),
    aiohttp.ClientConnectorCertificateError: Retry("the vendor's certificate is not valid"),
    aiohttp.ClientSSLError: Retry("no secure connection to the vendor"),
    aiohttp.ServerFingerprintMismatch: Retry("the vendor's certificate is not the expected one"),
    aiohttp.ClientProxyConnectionError: Retry("no connection to the proxy"),
    aiohttp.ClientHttpProxyError: Retry("the proxy refused the connection"),
    aiohttp.ConnectionTimeoutError: Retry("no connection to the vendor in time"),
    ssl.SSLCertVerificationError: Retry("the vendor's certificate is not valid"),
    # Never sent by any wait: the address is wrong.
    aiohttp.InvalidURL: Fatal("api_url is not a usable address: check it"),
    aiohttp.NonHttpUrlClientError: Fatal("api_url is not an http address: check it"),
    # Sent, or on its way: no answer, or none that could be read to its end.
    aiohttp.SocketTimeoutError: Unknown("no answer in time"),
    aiohttp.ServerTimeoutError: Unknown("no answer in time"),
    TimeoutError: Unknown("no answer in time"),
    aiohttp.ServerDisconnectedError: Unknown("the connection ended before the answer"),
    aiohttp.ServerConnectionError: Unknown("the connection ended before the answer"),
    aiohttp.ClientOSError: Unknown("the connection broke before the answer"),
    aiohttp.ClientConnectionResetError: Unknown("the connection broke before the answer"),
    aiohttp.ClientConnectionError: Unknown("the connection broke before the answer"),
    aiohttp.ClientPayloadError: Unknown("the answer was cut off"),
    aiohttp.ClientResponseError: Unknown("the answer is not HTTP"),
    aiohttp.ClientError: Unknown("the request failed on its way"),
    OSError: Unknown("the connection broke before the answer"),
}


def outcome_of(failure: BaseException) -> Outcome | None:
    """What a failed request says about its call.

    Returns:
        The row of the failure's nearest base class, or None when it is no failure of a request
        but a fault in the program.
    """
    return next((FAILURES[cls] for cls in type(failure).__mro__ if cls in FAILURES), None)
