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
_NO_WAIT_HELPS = {faults.CERTIFICATE, faults.ADDRESS}
_ASKS_FOR_CREDENTIALS = 407  # RFC 9110, section 15.5.8

_CERTIFICATES: Mapping[int, str] = {  # X509_V_ERR_..., openssl/x509_vfy.h
    9: "not valid yet",
    10: "expired",
    18: "signed by itself",
    19: "of an authority that is not known here",
    20: "of an authority that is not known here",
    21: "of an authority that is not known here",
    62: "another host's",
    64: "another host's",
}


def not_opened(failure: Exception, *, proxied: bool) -> Outcome:
    """What is told of a connection that did not come about.

    Args:
        failure: Raised while it was opened.
        proxied: Whether through a proxy: it finds the vendor, we find only the proxy.

    Returns:
        ``Retry``, or ``Fatal`` where no wait helps.
    """
    if isinstance(failure, aiohttp.ClientHttpProxyError) and (
        failure.status == _ASKS_FOR_CREDENTIALS
    ):
        return Fatal("The proxy asks for credentials: correct user and password in HTTPS_PROXY")
    fault = next(FAULTS[cls] for cls in type(failure).__mro__ if cls in FAULTS)
    if proxied:
        fault = _WITH_PROXY.get(fault, fault)
    reason = fault.reason
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        code = getattr(failure.certificate_error, "verify_code", 0)
        reason += f" (it is {_CERTIFICATES.get(code, 'not valid')})"
    if fault.advice:
        reason += f": {fault.advice}"
    return Fatal(reason[0].upper() + reason[1:]) if fault in _NO_WAIT_HELPS else Retry(reason)
