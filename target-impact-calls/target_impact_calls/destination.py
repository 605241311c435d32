"""impact.com as a destination: account, headers, request."""

from __future__ import annotations

from base64 import b64encode
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from typing_extensions import override

from singer_calls.deliver import Destination, Identity, Place
from target_impact_calls.call import KEY, Renderer
from target_impact_calls.responses import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver import Delivery

# Names and most values are those of the call before.
_quoted = lru_cache(maxsize=1024)(quote_plus)


class Impact(Destination):
    """impact.com's Call Data API (logCallData)."""

    vendor = "impact"
    path = "/calldata/logCallData"
    key_field = KEY
    partner_field = "MediaId"
    impersonal = frozenset(
        {
            "CampaignId", "MediaId", "ActionTrackerId", "AdId", "EventDate", "CallProvider",
            "CallStatus", "CallDuration", "TalkDuration", "CallerPhoneNumberCountry",
            "CalledPhoneNumberCountry",
        }
    )  # fmt: skip
    same_key = True
    responses = TABLE

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer.of(self.settings)

    @override
    def headers(self) -> Mapping[str, str]:
        """Basic credentials; JSON answers, since impact.com's default is XML."""
        pair = f"{self.settings['username']}:{self.settings['password']}"
        return {
            "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
            "Accept": "application/json",
        }

    @override
    def render(self, record: Mapping[str, Any]) -> tuple[Delivery, tuple[str, ...]]:
        """A form, in the body: a query would stand in the logs of whatever lies between."""
        rendered = self._renderer.render(record)
        form = urlencode(rendered.values, quote_via=_quoted).encode()
        delivery = self.delivery(rendered, "application/x-www-form-urlencoded", form)
        return delivery, rendered.warnings

    @override
    def place(self, record: Mapping[str, Any]) -> Place:
        """By program, session id and date."""
        campaign, key, moment = self._renderer.place(record)
        return Place(self.account(campaign), key, Identity(moment))
