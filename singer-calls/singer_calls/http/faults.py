"""What it means that no whole answer came: one word for each way to fail.

One question decides what a target may do: had the request left? Each direction has a table from
its library's exceptions to these words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to fail without a whole answer.

    Attributes:
        reason: What happened, for people.
        sent: Whether the request had left, or may have: then the vendor may have processed it.
        advice: What to do where waiting is no remedy, None where it is.
    """

    reason: str
    sent: bool = False
    advice: str | None = None


HOST = Fault("the vendor's host name was not found")
CONNECTION = Fault("no connection to the vendor")
CONNECT_TIME = Fault("no connection to the vendor in time")
TLS = Fault("no secure connection to the vendor")
CERTIFICATE = Fault(
    "the vendor's certificate can't be verified",
    advice="if your network inspects TLS, name its certificate authority in REQUESTS_CA_BUNDLE or "
    "SSL_CERT_FILE; else the certificate is at fault, or the clock of this machine",
)
PROXY = Fault(
    "no connection through the proxy", advice="see that HTTPS_PROXY and NO_PROXY are right"
)
ADDRESS = Fault("the address can't be used", advice="correct api_url")

NO_ANSWER = Fault("no answer in time", sent=True)
BROKEN = Fault("the connection broke before the answer", sent=True)
CUT = Fault("the answer was cut off", sent=True)
NOT_HTTP = Fault("the answer is not HTTP", sent=True)
