"""One call as it goes over the wire, and the vendor's answer to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from singer_calls.deliver.entries import is_storable
from singer_calls.deliver.identity import NOBODY, Account, Identity
from singer_calls.deliver.outcome import InvalidCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KEY_LIMIT_CHARS = 512  # every database can index that
FINGERPRINT_RULE = 1  # how fingerprints are made; those of another rule say nothing


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call, ready to be sent.

    Attributes:
        account: Where its key is unique. Account and key together are the ledger's key.
        key: The call's own key at the destination (its session id, its external unique id).
        url: The full URL of the POST.
        body: The bytes of the POST.
        headers: Headers of this call, ``Content-Type`` at least. Credentials are not here but in
            ``Destination.headers``.
        make_body: Makes the body right before each attempt, in a thread, where it can't be made
            before: a URL in it is signed, for so long from then on. Raises InvalidCallError for
            this call, PluginError for all.
        identity: Who the call is, whatever its key.
        fingerprint: Of its content, see ``fingerprint``.
        partner: Whom it is for, where a vendor may refuse a campaign's calls for one partner only.
    """

    account: Account
    key: str
    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    make_body: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)
    identity: Identity = NOBODY
    fingerprint: bytes = b""
    partner: str = ""

    def __post_init__(self) -> None:
        """Refuse a key or a campaign that no ledger can hold.

        Raises:
            InvalidCallError: One is too long, or no text of a database.
        """
        for name, text in (("key", self.key), ("campaign", self.account.campaign)):
            if len(text) > KEY_LIMIT_CHARS:
                raise InvalidCallError(
                    f"the call's {name} must be at most {KEY_LIMIT_CHARS} characters long"
                )
            if not is_storable(text):
                raise InvalidCallError(
                    f"the call's {name} has a NUL or half of a surrogate pair in it"
                )


def fingerprint(values: Iterable[str], identity: Identity = NOBODY) -> bytes:
    """A call's content in 16 bytes: the rule's number, then a hash of its canonical values.

    Args:
        values: Names and values in a fixed order, without phone numbers: a hash over few possible
            numbers leads back to them.
        identity: Stands for the numbers: a refused call whose caller is corrected is another one.
    """
    marks = (identity.moment, identity.caller, identity.called, identity.rule)
    text = "\0".join([*values, *map(str, marks)]).encode(errors="surrogatepass")
    return bytes([FINGERPRINT_RULE]) + hashlib.blake2b(text, digest_size=15).digest()


def is_changed(known: bytes, new: bytes) -> bool:
    """Whether two fingerprints of one rule differ."""
    return known[:1] == new[:1] and known != new


@dataclass(frozen=True, slots=True)
class Response:
    """A vendor's answer.

    Attributes:
        status: The HTTP status, three digits.
        headers: Its headers, looked up without regard to case.
        body: At most ``connection.BODY_LIMIT_BYTES`` of it, decoded.
        whole: False when the body was cut, too long or can't be decoded. The status decides all
            the same, unless a vendor's table reads the body of that status.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    whole: bool = True
