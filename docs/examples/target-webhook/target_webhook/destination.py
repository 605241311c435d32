"""Anybody's address as a destination: account, headers, signature, request."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typing_extensions import override

from singer_calls.deliver import Destination, Identity, Local, Place, json_body
from target_webhook import call
from target_webhook.responses import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver import Delivery


class Webhook(Destination):
    """One address that takes calls."""

    vendor = "webhook"
    path = ""
    key_field = call.KEY
    partner_field = call.PARTNER
    impersonal = frozenset({call.MOMENT, "duration", call.PARTNER})
    same_key = False
    responses = TABLE

    @cached_property
    def _local(self) -> Local:
        return Local.of(self.settings)

    @cached_property
    @override
    def url(self) -> str:
        """As it is given: a slash at its end may count."""
        return str(self.settings["api_url"])

    @cached_property
    @override
    def origin(self) -> str:
        """Two addresses of one host are two receivers; a path may be a secret, and is a hash."""
        path = urlsplit(self.url).path.strip("/")
        mark = f"/{hashlib.sha256(path.encode()).hexdigest()[:8]}" if path else ""
        return f"{super().origin}{mark}"

    @override
    def headers(self) -> Mapping[str, str]:
        """The token, if there is one."""
        token = self.settings.get("bearer_token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    @override
    def sign(self, body: bytes) -> Mapping[str, str]:
        """The time of this attempt, and the signature over it and the body."""
        secret = self.settings.get("signing_secret")
        if not secret:
            return {}
        now = str(int(time.time()))
        digest = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return {"X-Timestamp": now, "X-Signature": f"sha256={digest}"}

    @override
    def render(self, record: Mapping[str, Any]) -> tuple[Delivery, tuple[str, ...]]:
        """One call as JSON. Its idempotency key is the same for each attempt, and for good."""
        rendered = call.rendered(record, self._local)
        delivery = self.delivery(rendered, "application/json", json_body(rendered.values))
        once = hashlib.sha256(rendered.key.encode()).hexdigest()
        return replace(
            delivery, headers={**delivery.headers, "Idempotency-Key": once}
        ), rendered.warnings

    @override
    def place(self, record: Mapping[str, Any]) -> Place:
        """By id and start."""
        key, moment = call.place(record, self._local)
        return Place(self.account(""), key, Identity(moment))
