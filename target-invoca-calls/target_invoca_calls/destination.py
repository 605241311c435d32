"""Invoca as a destination: account, headers, request."""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from singer_calls.deliver import Destination, Identity, Place
from target_invoca_calls.call import CAMPAIGN, KEY, Renderer
from target_invoca_calls.recording import Kept
from target_invoca_calls.responses import TABLE
from target_invoca_calls.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver import Delivery


class Invoca(Destination):
    """Invoca's Call Ingestion API."""

    vendor = "invoca"
    path = "/api/2022-03-01/calls.json"
    key_field = KEY
    partner_field = CAMPAIGN
    impersonal = frozenset({CAMPAIGN, "start_time", "call_direction", "language_code"})
    same_key = False
    responses = TABLE

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer.of(self.settings)

    @cached_property
    @override
    def latest(self) -> Signals | None:
        """The Signal API, if late changes are sent."""
        if self.settings.get("late_changes") == "ignore":
            return None
        return Signals(self.settings, self.headers)

    @override
    def headers(self) -> Mapping[str, str]:
        """The token as it is, in the header only: bodies and queries get logged."""
        return {"Authorization": self.settings["oauth_token"], "Accept": "application/json"}

    @override
    def render(self, record: Mapping[str, Any]) -> tuple[Delivery, tuple[str, ...]]:
        """One call as JSON."""
        rendered = self._renderer.render(record)
        waits = any(isinstance(value, Kept) for value in rendered.values["call"].values())
        make_body = partial(self._body, rendered.values)
        delivery = self.delivery(
            rendered,
            "application/json",
            b"" if waits else make_body(),
            make_body if waits else None,
        )
        return delivery, rendered.warnings

    def _body(self, values: Mapping[str, Any]) -> bytes:
        """A call as JSON; a recording in the store becomes what Invoca can fetch."""
        locate = self._renderer.recordings.locate
        return json.dumps(
            values, ensure_ascii=False, separators=(",", ":"), default=locate
        ).encode()

    @override
    def place(self, record: Mapping[str, Any]) -> Place:
        """By campaign, external id and start."""
        campaign, key, moment = self._renderer.place(record)
        return Place(self.account(campaign), key, Identity(moment))
