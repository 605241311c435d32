"""Every way in which no connection comes about: nothing was sent, so no call is held for it.

The failure's class only gives the words; whether a request left is known from the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from singer_calls.deliver.outcome import Fatal, Outcome, Retry
from singer_calls.http import faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.http.faults import Fault

FAULTS: Mapping[type[BaseException], Fault] = {
    aiohttp.ClientConnectorDNSError: faults.HOST,
    aiohttp.ClientConnectorSSLError: faults.TLS,
    aiohttp.ClientConnectorCertificateError: faults.CERTIFICATE,
    aiohttp.ClientProxyConnectionError: faults.PROXY,
    aiohttp.ClientHttpProxyError: faults.PROXY,
    aiohttp.InvalidURL: faults.ADDRESS,
    TimeoutError: faults.CONNECT_TIME,
    Exception: faults.CONNECTION,
}
_WITH_PROXY = {faults.HOST: faults.PROXY, faults.CONNECTION: faults.PROXY}
_ASKS_FOR_CREDENTIALS = 407  # RFC 9110, section 15.5.8


def not_opened(failure: Exception, *, proxied: bool) -> Outcome:
    """What is told of a connection that did not come about.

    Args:
        failure: Raised while it was opened.
        proxied: Whether through a proxy: it finds the vendor, we find only the proxy.

    Returns:
        ``Retry``, or ``Fatal`` where no wait helps.
    """
    fault = next(FAULTS[cls] for cls in type(failure).__mro__ if cls in FAULTS)
    if proxied:
        fault = _WITH_PROXY.get(fault, fault)
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        fault = faults.certificate(getattr(failure.certificate_error, "verify_code", 0))
    elif isinstance(failure, aiohttp.ClientHttpProxyError) and (
        failure.status == _ASKS_FOR_CREDENTIALS
    ):
        fault = faults.PROXY_CREDENTIALS
    told = f"{fault.reason}: {fault.advice}" if fault.advice else fault.reason
    return Fatal(told[0].upper() + told[1:]) if fault.lasting else Retry(told)
