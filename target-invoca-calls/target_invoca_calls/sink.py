"""From a record to Invoca's request, and from its answer to an outcome."""

from __future__ import annotations

import json
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.delivery import Answer, Delivery
from singer_calls.deliver.sink import CallSink
from target_invoca_calls import responses
from target_invoca_calls.call import CAMPAIGN, KEY, NUMBERS, Writer
from target_invoca_calls.recording import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver.outcome import Outcome


class InvocaSink(CallSink):
    """Calls for Invoca's Call Ingestion API."""

    path = "/api/2022-03-01/calls.json"

    @cached_property
    def _writer(self) -> Writer:
        return Writer.of(self.config)

    def session_headers(self) -> Mapping[str, str]:
        """The token as it is, in the header only: bodies and queries get logged."""
        return {"Authorization": self.config["oauth_token"], "Accept": "application/json"}

    def delivery(self, record: Mapping[str, Any]) -> Delivery:
        """One call as JSON."""
        written = self._writer.write(record)
        self.remarks.say(written.remarks)
        call = written.values["call"]
        self.identities.check(KEY, call[KEY], call["start_time"], *(call[name] for name in NUMBERS))
        waits = any(isinstance(value, Kept) for value in call.values())
        return Delivery(
            key=call[KEY],
            scope=f"{self.url} campaign {call[CAMPAIGN]}",
            url=self.url,
            body=b"" if waits else self._body(written.values),
            make_body=partial(self._body, written.values) if waits else None,
            headers={"Content-Type": "application/json"},
        )

    def _body(self, values: Mapping[str, Any]) -> bytes:
        """A call as JSON; a recording in the store becomes what Invoca can fetch."""
        locate = self._writer.recordings.locate
        return json.dumps(
            values, ensure_ascii=False, separators=(",", ":"), default=locate
        ).encode()

    def outcome(self, answer: Answer) -> Outcome:
        """See responses.py."""
        return responses.outcome(answer, time.time())
