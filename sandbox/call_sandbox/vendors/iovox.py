"""iovox: `GET /rest/v1/calls/insights` (vendor docs, insights; facts.md, section 3).

Strict where the documents are: every documented error string is answered for what it names. What
they leave open is a switch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter
from random import Random
from typing import Any, ClassVar
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from call_sandbox.calls import HOUR_SECONDS
from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor, mask
from call_sandbox.vendors.iovox_calls import (
    FIELDS,
    RESULT,
    caller,
    documented,
    pruned,
    row,
)
from call_sandbox.vendors.iovox_query import FILTERS, Asked, BadRequestError

LONGEST_CALL_SECONDS = 2 * HOUR_SECONDS

XML = '<?xml version="1.0" encoding="utf-8"?>'
ERROR_FORM: Mapping[str, Callable[[int, str], tuple[str, str]]] = {
    # The older API answers like this (vendor docs, authentication) ...
    "xml": lambda status, text: (
        f'{XML}<errors><error status="{status}">{escape(text)}</error></errors>',
        "application/xml",
    ),
    # ... which clients with JSON see like this.
    "json_errors": lambda status, text: (
        json.dumps({"errors": {"error": {"status": str(status), "__content__": text}}}),
        "application/json",
    ),
    "json": lambda _, text: (json.dumps({"error": text}), "application/json"),
    "text": lambda _, text: (text, "text/plain"),
}

Found = tuple[str, Callable[[], dict[str, Any]]]
"""Local start of a call, and what makes its row."""


class Iovox(Vendor):
    """Serves calls with their insights, in pages."""

    name = "iovox"
    title = "iovox"
    prefix = "/iovox"
    serves = True
    switches: ClassVar[Mapping[str, Switch]] = {
        "calls": Switch("which calls it has", "generated", ("generated", "documented")),
        "errors": Switch("form of errors", "xml", tuple(ERROR_FORM)),
        "bad_key": Switch("status for a wrong key", "401", ("401", "403")),
        "id": Switch("form of the call's id", "number", ("number", "string")),
        "flag": Switch("form of has_recording", "TRUE", ("TRUE", "1", "json")),
        "seconds": Switch("keys of the durations", "sec", ("sec", "seconds")),
        "none": Switch("how no value is written", "empty", ("empty", "null", "absent")),
        "outcomes": Switch("form of an outcome", "empty", ("empty", "text", "object")),
        "result": Switch("words of call_result", "documented", tuple(RESULT)),
        "default_talk_time_sec": Switch("in the default answer", "sent", ("sent", "absent")),
        "end_date": Switch("is that second sent too", "inclusive", ("inclusive", "exclusive")),
        "timezone": Switch(
            "zone of bare times", "Europe/London", ("Europe/London", "UTC", "Europe/Bucharest")
        ),
        "listed": Switch("a call shows once it has", "ended", ("ended", "started")),
        "tie_order": Switch("order within a second", "stable", ("stable", "shuffled")),
        "past_end": Switch("a page past the end", "empty", ("empty", "last")),
        "category_list": Switch("a comma in a category list means", "or", ("or", "and")),
        "ties": Switch("so many calls share a second; 0 leaves them as generated", 0),
        "arrivals": Switch("one in so many calls is listed some requests late; 0 is none", 0),
        "removals": Switch("one in so many calls is taken off some requests later; 0 is none", 0),
        "nameless": Switch("one in so many calls has no id; 0 is none", 0),
        "tick": Switch("seconds that pass with each request", 0),
        "row_cap": Switch("a limit above this: 504; 0 is no cap", 0),
        "most": Switch("no page has more calls than this, and nothing says so; 0 is no cap", 0),
        "order": Switch("is it obeyed", "obeyed", ("obeyed", "newest first", "in turns")),
        "page": Switch("is it obeyed", "obeyed", ("obeyed", "ignored")),
    }

    def reset(self) -> None:
        """Forget everything but the switches that were set."""
        super().reset()
        self.served = 0

    def paths(self) -> Mapping[str, Handler]:
        """One path."""
        return {"/rest/v1/calls/insights": self.insights}

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """An error in one of the forms that clients of iovox have met (facts.md 3.4)."""
        del request
        body, content_type = ERROR_FORM[self.switch["errors"]](status, message)
        return Response(status, body.encode(), content_type)

    def insights(self, request: Request) -> Response:
        """One page of calls."""
        if (request.headers.get("username"), request.headers.get("secureKey")) != (
            IOVOX_USERNAME,
            IOVOX_SECURE_KEY,
        ):
            status = int(self.switch["bad_key"])
            word = "Unauthorized" if status == 401 else "Forbidden"  # noqa: PLR2004
            return self.refuse(request, status, f"HTTP {status}: {word}")
        if request.method != "GET":
            message = f"Request Method must be GET. {request.method} attempted"
            return self.refuse(request, 400, message)
        try:
            asked = Asked(request.query, self._today())
        except BadRequestError as error:
            return self.refuse(request, 400, str(error))
        cap = self.switch["row_cap"]
        if cap and asked.limit > cap:
            return self.refuse(request, 504, "Gateway Time-out")
        self.served += 1
        self.world.now += self.switch["tick"]
        page = [self._shown(row, asked) for row in self._page(asked)]
        return Response(body=json.dumps(page, separators=(",", ":")).encode())

    def newest(self, count: int) -> list[PageCall]:
        """The newest calls that exist."""
        return [
            PageCall(
                key=str(shown["id"]),
                when=shown["call_start"],
                caller=mask(caller(call)),
                status=shown["call_result"],
                seconds=shown["call_time_sec"] or None,
            )
            for call in self.world.newest(count)
            for shown in [row(call, call.start, self.world.now, self.switch)]
        ]

    def _today(self) -> str:
        zone = ZoneInfo(self.switch["timezone"])
        return datetime.fromtimestamp(self.world.now, zone).date().isoformat()

    def _page(self, asked: Asked) -> Iterator[dict[str, Any]]:
        found = self._found(asked)
        if asked.by == "call_start":
            rows = self._passing(sorted(found, key=itemgetter(0)), asked)
        else:
            by = FIELDS[asked.by][1]
            rows = iter(sorted(self._passing(found, asked), key=lambda row: str(row.get(by, ""))))
        newest_first = {"newest first": True, "in turns": self.served % 2 == 0}
        if newest_first.get(self.switch["order"], asked.direction == "DESC"):
            rows = iter(list(rows)[::-1])
        limit = min(asked.limit, self.switch["most"] or asked.limit)
        first = 0 if self.switch["page"] == "ignored" else (asked.page - 1) * limit
        if self.switch["past_end"] == "last":
            every = list(rows)
            first = min(first, max(0, (len(every) - 1) // limit * limit))
            rows = iter(every)
        return islice(rows, first, first + limit)

    def _passing(self, found: Iterable[Found], asked: Asked) -> Iterator[dict[str, Any]]:
        """The rows that pass the filters, made one by one."""
        every = self.switch["category_list"] == "and"
        filters = asked.filters.items()
        rows = (row() for _, row in found)
        return (row for row in rows if all(FILTERS[name](row, v, every) for name, v in filters))

    def _found(self, asked: Asked) -> list[Found]:
        """Local start and row of all calls between the dates, by their number or shuffled."""
        exclusive = self.switch["end_date"] == "exclusive"
        found = [
            (local, row)
            for local, row in self._around(asked)
            if asked.first <= local <= asked.last and not (exclusive and local == asked.last)
        ]
        if self.switch["tie_order"] == "shuffled":
            Random(self.served).shuffle(found)  # noqa: S311
        return found

    def _around(self, asked: Asked) -> Iterator[Found]:
        """All calls from a day before the first date to a day after the last.

        The vendor compares bare local times, so a repeated hour matches twice.
        """
        if self.switch["calls"] == "documented":
            for call in reversed(documented()):
                yield call["call_start"], partial(dict, call)
            return
        calls, ties = self.world.calls, self.switch["ties"] or 1
        begin, end = asked.around()
        low = max(0, calls.first_after(begin) - ties)
        high = min(self.world.started(), calls.first_after(end) + ties)
        zone = ZoneInfo(self.switch["timezone"])
        for number in range(low, high):
            start = calls.start(number - number % ties)
            if self._listed(number, start):
                local = datetime.fromtimestamp(start, zone).replace(tzinfo=None).isoformat(" ")
                yield local, partial(self._row, number, start)

    def _row(self, number: int, start: int) -> dict[str, Any]:
        return row(self.world.calls.call(number), start, self.world.now, self.switch)

    def _listed(self, number: int, start: int) -> bool:
        """Whether the call shows yet: when it has ended, and some only a few requests later."""
        if self.switch["listed"] == "ended" and start > self.world.now - LONGEST_CALL_SECONDS:
            call = self.world.calls.call(number)
            if start + call.ring + call.talk > self.world.now:
                return False
        scattered = number * 0x9E3779B1 >> 7
        turn = scattered // 1000 % 7
        arrivals, removals = self.switch["arrivals"], self.switch["removals"]
        if arrivals and scattered % arrivals == 0 and self.served <= turn:
            return False
        return not (removals and scattered % removals == 0 and self.served > turn)

    def _shown(self, row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """The asked fields of a row, in the form that the switches say."""
        fields = asked.fields
        if asked.default_fields and self.switch["default_talk_time_sec"] == "sent":
            fields = {*fields, "talk_time_seconds"}
        shown = pruned(row, fields)
        if self.switch["nameless"] and int(row["id"]) % self.switch["nameless"] == 0:
            shown.pop("id", None)
        if self.switch["seconds"] == "seconds":
            shown = {re.sub(r"_sec$", "_seconds", key): value for key, value in shown.items()}
        if self.switch["id"] == "string" and "id" in shown:
            shown["id"] = str(shown["id"])
        if self.switch["none"] != "empty":
            shown = {key: None if value == "" else value for key, value in shown.items()}
        if self.switch["none"] == "absent":
            shown = {key: value for key, value in shown.items() if value is not None}
        return shown
