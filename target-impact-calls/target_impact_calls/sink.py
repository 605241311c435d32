"""From a record to impact.com's request, and from its answer to an outcome."""

from __future__ import annotations

import time
from base64 import b64encode
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from singer_calls.deliver.delivery import Answer, Delivery
from singer_calls.deliver.sink import CallSink
from target_impact_calls import responses
from target_impact_calls.call import KEY, Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver.outcome import Outcome


class ImpactSink(CallSink):
    """Calls for impact.com's Call Data API (logCallData)."""

    path = "/calldata/logCallData"

    @cached_property
    def _writer(self) -> Writer:
        return Writer.of(self.config)

    def session_headers(self) -> Mapping[str, str]:
        """Basic credentials; JSON answers, since impact.com's default is XML."""
        pair = f"{self.config['username']}:{self.config['password']}"
        return {
            "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
            "Accept": "application/json",
        }

    def delivery(self, record: Mapping[str, Any]) -> Delivery:
        """A form, in the body: a query would stand in the logs of whatever lies between."""
        written = self._writer.write(record)
        self.remarks.say(written.remarks)
        call = written.values
        self.identities.check(
            KEY, call[KEY], call["EventDate"], call["CallerId"], call["CalledPhoneNumber"]
        )
        return Delivery(
            key=call[KEY],
            scope=f"{self.url} campaign {call['CampaignId']}",
            url=self.url,
            body=urlencode(call).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    def outcome(self, answer: Answer) -> Outcome:
        """See responses.py."""
        return responses.outcome(answer, time.time())
