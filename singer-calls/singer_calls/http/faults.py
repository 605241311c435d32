"""What it means that no whole answer came: one word for each way to fail.

One question decides what a target may do: had the request left? Each direction has a table from
its library's exceptions to these words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to fail without a whole answer.

    Attributes:
        reason: What happened, for people.
        sent: Whether the request had left, or may have: then the vendor may have processed it.
        advice: What to do if it stays so, None for "run again later".
        lasting: Whether no wait helps.
    """

    reason: str
    sent: bool = False
    advice: str | None = None
    lasting: bool = False


HOST = Fault("the vendor's host name was not found")
CONNECTION = Fault("no connection to the vendor")
CONNECT_TIME = Fault("no connection to the vendor in time")
TLS = Fault("no secure connection to the vendor")
CERTIFICATE = Fault(
    "the vendor's certificate can't be verified",
    advice="if your network inspects TLS, name its certificate authority in REQUESTS_CA_BUNDLE or "
    "SSL_CERT_FILE; else the certificate is at fault, or the clock of this machine",
    lasting=True,
)
PROXY = Fault(
    "no connection through the proxy", advice="see that HTTPS_PROXY and NO_PROXY are right"
)
PROXY_CREDENTIALS = Fault(
    "the proxy asks for credentials",
    advice="correct user and password in HTTPS_PROXY",
    lasting=True,
)
ADDRESS = Fault("the address can't be used", advice="correct api_url", lasting=True)

NO_ANSWER = Fault("no answer in time", sent=True)
BROKEN = Fault("the connection broke before the answer", sent=True)
CUT = Fault("the answer was cut off", sent=True)
NOT_HTTP = Fault("the answer is not HTTP", sent=True)

_CERTIFICATES = {  # X509_V_ERR_..., openssl/x509_vfy.h
    9: "not valid yet",
    10: "expired",
    18: "signed by itself",
    19: "of an authority that is not known here",
    20: "of an authority that is not known here",
    21: "of an authority that is not known here",
    62: "another host's",
    64: "another host's",
}


def certificate(code: int) -> Fault:
    """The fault of a certificate, with what is wrong with it.

    Args:
        code: OpenSSL's, ``ssl.SSLCertVerificationError.verify_code``.
    """
    what = _CERTIFICATES.get(code, "not valid")
    return replace(CERTIFICATE, reason=f"{CERTIFICATE.reason} (it is {what})")
