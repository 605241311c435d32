"""Where calls go: a vendor as data and pure functions. It knows nothing of threads or files.

A target's ``destination.py`` says what its vendor's account, headers and request are; ``call.py``
has the parameters, ``responses.py`` the answers.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_calls.deliver.delivery import Delivery, Response, fingerprint
from singer_calls.deliver.identity import NOBODY, Account, Identity
from singer_calls.deliver.statuses import read_response
from singer_calls.http.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_calls.deliver.knowledge import Knowledge
    from singer_calls.deliver.outcome import Outcome
    from singer_calls.deliver.parameters import Rendered
    from singer_calls.deliver.statuses import ResponseTable


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a call that can't be rendered.

    Attributes:
        account: Where its key is unique.
        key: The call's key there.
        identity: Its moment, as far as it can be read.
    """

    account: Account
    key: str
    identity: Identity = NOBODY


class Endpoint(ABC):
    """Where a vendor takes requests of one kind.

    Args:
        settings: The plugin's.

    Attributes:
        vendor: Its short name, in the ledger's accounts.
        path: Where requests are posted, below ``api_url``.
        responses: What each of its responses says.
    """

    vendor: ClassVar[str]
    path: ClassVar[str]
    responses: ClassVar[ResponseTable]

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    @cached_property
    def url(self) -> str:
        """The full URL of the POST."""
        return str(self.settings["api_url"]).rstrip("/") + self.path

    @cached_property
    def origin(self) -> str:
        """Scheme and host of the vendor, in one spelling."""
        return origin_of(self.url)

    def account(self, campaign: object) -> Account:
        """The account of a call of this campaign."""
        return Account(self.vendor, self.origin, str(campaign))

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Headers of a request: credentials, ``Accept``. Asked for each request."""

    def sign(self, body: bytes) -> Mapping[str, str]:
        """Headers that depend on the body, made right before each attempt: none.

        Args:
            body: What is posted.
        """
        del body
        return {}

    def outcome(self, response: Response) -> Outcome:
        """What became of a request; the reason holds no value of it."""
        return read_response(self.responses, response, time.time())


class LatestDestination(Endpoint):
    """Where a vendor is told what becomes known of a call later.

    Its ``vendor`` is not that of the calls: what is said later is no call.

    Attributes:
        requests_per_minute: What it allows over any 60 seconds, for these requests alone.
    """

    requests_per_minute: ClassVar[int]

    @abstractmethod
    def know(self, record: Mapping[str, Any]) -> Knowledge:
        """What a record says of its call.

        Raises:
            InvalidCallError: That, or which call it is, can't be read.
        """


class Destination(Endpoint):
    """One vendor that calls are sent to.

    Attributes:
        key_field: The parameter that holds the call's key.
        partner_field: The parameter by which a dry run counts calls: who is paid for them. A
            campaign that is refused is refused for one of them.
        impersonal: Parameters whose values a dry run may show; the others it masks.
        same_key: Whether one key in two campaigns may be two calls; False where the vendor keeps
            the keys of all campaigns in one space.
    """

    key_field: ClassVar[str]
    partner_field: ClassVar[str]
    impersonal: ClassVar[frozenset[str]]
    same_key: ClassVar[bool]

    @cached_property
    def latest(self) -> LatestDestination | None:
        """Where later knowledge goes; None where a vendor takes a call once and for all."""
        return None

    @abstractmethod
    def render(self, record: Mapping[str, Any]) -> tuple[Delivery, tuple[str, ...]]:
        """The request that delivers this record, and warnings on what was left out or guessed.

        Args:
            record: As JSON gives it; numbers that are not whole are ``Decimal``, date-times text.

        Raises:
            NotYetError: The call may not be sent yet.
            InvalidCallError: The record can't become a call of the vendor.
        """

    @abstractmethod
    def place(self, record: Mapping[str, Any]) -> Place:
        """Which call a record is that can't be rendered.

        Raises:
            InvalidCallError: Not even that can be read.
        """

    def delivery(
        self,
        rendered: Rendered,
        content_type: str,
        body: bytes,
        make_body: Callable[[], bytes] | None = None,
    ) -> Delivery:
        """A rendered call as a request.

        Args:
            rendered: The call.
            content_type: Of the body.
            body: What is posted.
            make_body: See ``Delivery``.
        """
        identity = rendered.identity
        return Delivery(
            account=self.account(rendered.campaign),
            key=rendered.key,
            url=self.url,
            body=body,
            make_body=make_body,
            headers={"Content-Type": content_type},
            identity=identity,
            fingerprint=fingerprint(rendered.canonical, identity),
            partner=str(rendered.values.get(self.partner_field, "")),
        )
