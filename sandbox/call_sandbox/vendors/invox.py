"""INVOX call tracking: `GET /api/v2/calls` (vendor docs of 14.03.2024; facts.md, section 1)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import islice
from math import gcd
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from call_sandbox.calls import DAY_SECONDS, HOUR_SECONDS, OFFLINE, Call
from call_sandbox.credentials import INVOX_API_KEY
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

FIRST_ID = 1_284_000
"""Ids are whole numbers that grow with time (facts.md 1.3: a client takes their maximum)."""

ROWS_PER_CHUNK = 500

STATUS = {
    "documented": {
        "answered": "Answered", "no_answer": "No answer", "busy": "User busy",
        "rejected": "Call Rejected", "voicemail": "Voice Mail",
        "unallocated": "Unallocated (unassigned) number",
    },
    # The documented words are Q.850 hang-up causes, so others of that family may appear.
    "q850": {
        "answered": "Normal Clearing", "no_answer": "No user responding", "busy": "User busy",
        "rejected": "Call Rejected", "voicemail": "Voice Mail",
        "unallocated": "Destination out of order",
    },
}  # fmt: skip

FOREIGN = {
    "answered": ("Normal Clearing", "Transferat"), "no_answer": ("No user responding",),
}  # fmt: skip
"""Words that the documents don't have, and one that no system has."""

CLICK = ("irclickid", "CLICKID")
"""Names under which impact.com puts a click's id into the address of a landing page."""

DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d))?")
PARAMETERS = frozenset({"last_call_id", "from_date", "to_date"})


class BadParameterError(ValueError):
    """A parameter that the strict sandbox refuses."""


class Invox(Vendor):
    """Serves every call the account has as one bare JSON array, streamed."""

    name = "invox"
    title = "INVOX"
    prefix = "/invox"
    serves = True
    switches: ClassVar[Mapping[str, Switch]] = {
        "id_key": Switch("name of the id", "call_id", ("call_id", "id")),
        "duration": Switch("form of durations", "number", ("number", "string", "hms")),
        "last_call_id": Switch("is that call sent too", "exclusive", ("exclusive", "inclusive")),
        "to_date": Switch("is that second sent too", "inclusive", ("inclusive", "exclusive")),
        "bare_to_date": Switch("a day without time", "end_of_day", ("end_of_day", "midnight")),
        "combined": Switch("last_call_id with dates", "and", ("and", "last_call_id")),
        "order": Switch("order of the calls", "asc", ("asc", "desc", "shuffled")),
        "missing": Switch("how no value is written", "mixed", ("mixed", "empty", "null", "absent")),
        "date": Switch("form of `date`", "documented", ("documented", "iso")),
        "day": Switch("form of `day`", "number", ("number", "name")),
        "status": Switch("status words", "mixed", ("mixed", "documented", "q850")),
        "timezone": Switch(
            "zone of bare times", "Europe/Bucharest", ("Europe/Bucharest", "UTC", "Europe/London")
        ),
        "errors": Switch("how errors are told", "status", ("status", "in_200")),
        "bad_key": Switch("status for a wrong key", "401", ("401", "403")),
        "row_cap": Switch("more rows than this: 504; 0 is no cap", 0),
        "twice": Switch("one in so many calls is listed as it began, too; 0 is none", 0),
    }

    def paths(self) -> Mapping[str, Handler]:
        """One path."""
        return {"/api/v2/calls": self.calls}

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """An error object. Its shape is unknown (facts.md 1.4); that it is no array is certain."""
        del request
        body = json.dumps({"error": message}).encode()
        return Response(200 if self.switch["errors"] == "in_200" else status, body)

    def calls(self, request: Request) -> Response:
        """All calls the parameters ask for."""
        if request.headers.get("X-API-Key") != INVOX_API_KEY:
            return self.refuse(request, int(self.switch["bad_key"]), "Invalid API key")
        if request.method != "GET":
            return self.refuse(request, 405, "Accepted requests type: GET")
        try:
            rows = self._rows(_parameters(request.query))
        except BadParameterError as error:
            return self.refuse(request, 400, str(error))
        cap = self.switch["row_cap"]
        if cap:
            head = list(islice(rows, cap + 1))
            if len(head) > cap:
                return self.refuse(request, 504, "Gateway Time-out")
            rows = iter(head)
        return Response(body=_stream(rows))

    def _rows(self, asked: Mapping[str, str]) -> Iterator[bytes]:
        """The rows asked for, rendered one by one; the parameters are checked before the first."""
        since = asked.get("last_call_id")
        low, high = 0, self.world.started()
        if since is not None:
            if not since.isdecimal():
                raise BadParameterError("last_call_id is not a whole number")
            low = max(0, int(since) - FIRST_ID + (self.switch["last_call_id"] == "exclusive"))
        first = _local("from_date", asked, "00:00:00")
        last = _local("to_date", asked, BARE_TO_DATE[self.switch["bare_to_date"]])
        if since is not None and self.switch["combined"] == "last_call_id":
            first = last = None
        # Bare local times are compared, as a vendor's database would: the repeated hour matches
        # twice. The numbers are cut a day wide, then each row is compared.
        if first:
            low = max(low, self.world.calls.first_after(_utc(first) - DAY_SECONDS))
        if last:
            high = min(high, self.world.calls.first_after(_utc(last) + DAY_SECONDS))
        numbers = ORDER[self.switch["order"]](range(low, max(low, high)))
        return self._render(numbers, first or "", last or "9")

    def _render(self, numbers: Iterable[int], first: str, last: str) -> Iterator[bytes]:
        """The calls from `first` to `last` (local times), as JSON objects."""
        encode = json.JSONEncoder(separators=(",", ":")).encode
        zone, exclusive = ZoneInfo(self.switch["timezone"]), self.switch["to_date"] == "exclusive"
        twice = self.switch["twice"]
        for call in map(self.world.calls.call, numbers):
            local = datetime.fromtimestamp(call.start, zone)
            text = str(local)[:19]
            if first <= text <= last and not (exclusive and text == last):
                began = (call.start,) if twice and call.number % twice == 0 else ()
                for now in (*began, self.world.now):
                    yield encode(row(call, local, now, self.switch)).encode()

    def newest(self, count: int) -> list[PageCall]:
        """The newest calls that exist."""
        zone = ZoneInfo(self.switch["timezone"])
        switch = {**self.switch, "missing": "empty", "duration": "number", "id_key": "call_id"}
        return [
            PageCall(
                key=str(shown["call_id"]),
                when=str(local)[:19],
                caller=mask(call.caller),
                status=shown["status"],
                seconds=shown["duration"] or None,
            )
            for call in self.world.newest(count)
            for local in [datetime.fromtimestamp(call.start, zone)]
            for shown in [row(call, local, self.world.now, switch)]
        ]


def row(call: Call, local: datetime, now: float, switch: Mapping[str, Any]) -> dict[str, Any]:
    """One call in INVOX's words: the 35 documented keys (fewer where `missing` leaves some out)."""
    final, told = now >= call.final_at, now >= call.insight_at
    channel, die = call.channel, call.dice[13]
    paid = channel.medium == "cpc"
    online = channel.name not in OFFLINE
    click = f"{call.dice[14]:08x}{call.dice[15]:08x}"
    shown: dict[str, Any] = {
        switch["id_key"]: FIRST_ID + call.number,
        "date": str(local)[:19] if switch["date"] == "documented" else local.isoformat(),
        "duration": DURATION[switch["duration"]](call.ring + call.talk)
        if final and (call.talk or die % 8)  # INVOX documents no unit and no guarantee
        else None,
        "status": _status(call, switch["status"]) if final else "Calling",
        "caller": national(call.caller) or None,
        "receivingnumber": national(call.tracking),
        # A mailbox of INVOX itself answers some calls: they are connected to nobody.
        "destinationnumber": national(call.destination)
        if call.outcome != "voicemail" or die % 2
        else None,
        "source": channel.name,
        "keyword": call.keyword,
        "referrer": channel.referrer,
        "medium": channel.medium,
        "campaign": f"{call.business.name.partition('.')[0]}-{channel.source}"
        if channel.medium
        else None,
        "page": _page(call) if online else None,
        "campaignid": str(18_000_000_000 + die % 40) if paid else None,
        "adgroupid": str(140_000_000_000 + die % 400) if paid else None,
        "network": "gs"[die % 2] if paid else None,
        "matchtype": "ebp"[die % 3] if paid else None,
        "creative": str(600_000_000_000 + die % 900) if paid else None,
        "adposition": f"1t{1 + die % 4}" if paid else None,
        "device": call.device,
        "day": local.day if switch["day"] == "number" else local.strftime("%A"),
        "hour": local.hour,
        "recording_uri": f"https://app.invox.eu/player/{click}"
        if final and call.recorded
        else None,
        "gclid": f"Cj0KCQ{click}BwE" if channel.click_id == "gclid" else None,
        "fbclid": f"IwAR{click}" if channel.click_id == "fbclid" else None,
        "gacid": f"{call.dice[14]}.{call.start - die % DAY_SECONDS}" if online else None,
        "ttclid": f"E.C.P.{click}" if channel.click_id == "ttclid" else None,
        "reason": call.reason if told else None,
        "summary": call.summary if told else None,
        "client_sentiment": call.client_sentiment if told else None,
        "operator_sentiment": call.operator_sentiment if told else None,
        "utm_content": f"ad-{die % 9}" if paid else None,
        "utm_term": call.keyword,
        "utm_source": channel.source,
        "account": call.business.name,
    }
    return MISSING[switch["missing"]](shown, die)


def _status(call: Call, words: str) -> str:
    """The vendor's word for how a call ended; of "mixed" one in fifty is not a documented one."""
    foreign = FOREIGN.get(call.outcome, ())
    if words == "mixed" and foreign and call.dice[15] % 50 == 0:
        return foreign[call.dice[14] % len(foreign)]
    return STATUS["documented" if words == "mixed" else words][call.outcome]


def _page(call: Call) -> str:
    """The last page viewed; who came by a partner's link has its click in the address."""
    page = f"{call.business.site}/contact"
    if call.click is None:
        return page
    name = CLICK[call.dice[14] % len(CLICK)]
    return f"{page}?utm_source={call.channel.source}&{name}={call.click}#form"


def national(number: str) -> str:
    """Romanian numbers as dialled in Romania, all others as they are."""
    return f"0{number[3:]}" if number.startswith("+40") else number


def _mixed(shown: dict[str, Any], die: int) -> dict[str, Any]:
    """No value is "" or null or no key at all, as the call's die falls."""
    for shift, (key, value) in enumerate(list(shown.items())):
        if value is None:
            way = (die + shift) % 3
            if way == 0:
                shown[key] = ""
            elif way == 1:
                del shown[key]
    return shown


def _shuffled(numbers: range) -> Iterable[int]:
    """Every number once in a scattered order, without a list of them."""
    size = len(numbers)
    step = next((n for n in (7919, 104_729, 1_299_709) if size and gcd(n, size) == 1), 1)
    return (numbers[n * step % size] for n in range(size))


DURATION: Mapping[str, Callable[[int], int | str]] = {
    "number": int,
    "string": str,
    "hms": lambda seconds: (
        f"{seconds // HOUR_SECONDS:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    ),
}
MISSING: Mapping[str, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    "mixed": _mixed,
    "empty": lambda shown, _: {k: "" if v is None else v for k, v in shown.items()},
    "null": lambda shown, _: shown,
    "absent": lambda shown, _: {k: v for k, v in shown.items() if v is not None},
}
ORDER: Mapping[str, Callable[[range], Iterable[int]]] = {
    "asc": lambda numbers: numbers,
    "desc": lambda numbers: numbers[::-1],
    "shuffled": _shuffled,
}
BARE_TO_DATE = {"end_of_day": "23:59:59", "midnight": "00:00:00"}


def _parameters(query: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters, each known and sent once."""
    asked = dict(query)
    unknown = sorted(asked.keys() - PARAMETERS)
    if unknown:
        raise BadParameterError(f"unknown parameter: {', '.join(unknown)}")
    if len(asked) < len(query):
        raise BadParameterError("a parameter was sent twice")
    return asked


def _local(name: str, asked: Mapping[str, str], time: str) -> str | None:
    """A bound as `Y-m-d H:i:s`; `time` completes a bare day."""
    if name not in asked:
        return None
    match = DATE.fullmatch(asked[name])
    try:
        text = f"{match[1]} {match[2] or time}" if match else ""
        datetime.fromisoformat(text)
    except ValueError:
        raise BadParameterError(f"{name} is not a date of the form Y-m-d or Y-m-d H:i:s") from None
    return text


def _utc(text: str) -> int:
    """A local time read as if it were UTC, epoch seconds: right to within a day."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _stream(rows: Iterator[bytes]) -> Iterator[bytes]:
    """One JSON array in chunks of some hundred rows."""
    yield b"["
    comma = b""
    while chunk := b",".join(islice(rows, ROWS_PER_CHUNK)):
        yield comma + chunk
        comma = b","
    yield b"]"
