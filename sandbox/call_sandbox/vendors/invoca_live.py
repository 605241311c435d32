"""Invoca calls in progress: `GET …/calls_in_progress/current_calls.json` (facts.md, section 5).

A call is shown from the second it is bridged to its destination to the second it ends, and never
again: who is on the line follows from the sandbox's time alone. While it lasts, keys are pressed
and an external id is applied to it, so it changes.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from call_sandbox.calls import BUSINESSES, CHANNELS
from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.vendor import PageCall, Response, Switch, Vendor, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from call_sandbox.calls import Call
    from call_sandbox.vendor import Handler, Request

ZONE = ZoneInfo("America/Los_Angeles")
"""Times are in the zone of the API user, with the offset."""

LONGEST_CALL_SECONDS = 3600
"""No call of the sandbox lasts longer, seconds."""

KEY_EVERY_SECONDS = 15
"""Seconds between two pressed keys."""

APPLIED_AFTER_SECONDS = 30
"""Seconds after which some calls get their external id."""

VERSION = "2022-08-01"
"""The documented one; each of Invoca's APIs has its own."""

REQUIRED = ("organization_type", "id")
SAME = ("transaction_id", "call_record_id", "external_unique_id")
NUMBERS = ("calling_phone_number", "destination_phone_number")
PARAMETERS = frozenset((*REQUIRED, *SAME, *NUMBERS))

ATTRIBUTION = (
    "transaction_id", "call_status", "external_unique_id", "calling_phone_number",
    "destination_phone_number", "called_phone_number", "bridge_start_time", "call_record_id",
)  # fmt: skip

PROFILE = (
    "display_name", "first_name", "last_name", "age_range", "gender", "address_type",
    "address_full_street", "address_city", "address_state", "address_zip", "address_country",
    "carrier", "line_type", "is_prepaid", "primary_email_address", "linked_email_addresses",
    "household_income", "marital_status", "home_owner_status", "home_market_value",
    "length_of_residence_years", "occupation", "education", "has_children", "high_net_worth",
)  # fmt: skip

UNREACHABLE = {
    "error": "CallsInProgressAPI::UnreachableRegion",
    "error_description": "Not all regions were able to be queried. "
    "calls_in_progress may be incomplete",
}

CLASSES = {403: "InvalidInput", 404: "RecordNotFound"}

WRITTEN: Mapping[str, Callable[[str], str]] = {
    "e164": lambda number: number,
    "digits": lambda number: number.removeprefix("+"),
    "dashed": lambda number: f"{number[1:-7]}-{number[-7:-4]}-{number[-4:]}",
}

# partial_data beside a list that is whole.
WHOLE: Mapping[str, Mapping[str, Any]] = {
    "absent": {},
    "null": {"partial_data": None, "errors": None},
    "false": {"partial_data": False, "errors": []},
    "number": {"partial_data": 0},
    "text": {"partial_data": "false"},
}


class BadParameterError(ValueError):
    """A parameter that the strict sandbox refuses."""


class InvocaLive(Vendor):
    """Serves the calls that are on the line now, the most recently bridged first."""

    name = "invoca-live"
    title = "Invoca calls in progress"
    prefix = "/invoca"
    serves = True
    switches: ClassVar[Mapping[str, Switch]] = {
        "payload": Switch("which fields", "full", ("full", "attribution")),
        "keypresses": Switch("name of that key", "spaced", ("spaced", "plain")),
        "demographics": Switch("where they are", "nested", ("nested", "sibling")),
        "profiles": Switch("callers with a profile", "none", ("none", "all")),
        "external_unique_id": Switch("how often in one call", "twice", ("twice", "once")),
        "missing": Switch("how no value is written", "null", ("null", "absent")),
        "numbers": Switch("form of phone numbers", "e164", tuple(WRITTEN)),
        "envelope": Switch(
            "name of the list",
            "current_calls",
            ("current_calls", "calls_in_progress", "both, one of them null"),
        ),
        "partial_every": Switch("each n-th answer lacks a region; 0 is none", 0),
        "partial_told": Switch("how such an answer says so", "both", ("both", "status", "flag")),
        "whole_told": Switch("how a whole answer says so", "absent", tuple(WHOLE)),
    }

    def reset(self) -> None:
        """Forget how many answers were given, too."""
        super().reset()
        self.answered = 0

    def paths(self) -> Mapping[str, Handler]:
        """One path in one version, and the one that the page prints for attribution."""
        api = "/api/{version}/calls_in_progress"
        return {
            f"{api}/current_calls.json": self.current_calls,
            api: self.for_attribution,
            f"{api}.json": self.for_attribution,
        }

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """Invoca's error object. For 401 it is the one of a draft that was withdrawn (5.4)."""
        del request
        problem = {"class": CLASSES.get(status, "InternalServiceError"), "invalid_data": message}
        body = {"error": "NotAuthorized"} if status == 401 else {"errors": problem}  # noqa: PLR2004
        return Response(status, json.dumps(body).encode())

    def for_attribution(self, request: Request) -> Response:
        """The same calls with their identifiers only, whatever the switch `payload` says."""
        return self._answered(request, "attribution")

    def current_calls(self, request: Request) -> Response:
        """The calls on the line that the parameters ask for."""
        return self._answered(request, self.switch["payload"])

    def _answered(self, request: Request, payload: str) -> Response:
        if request.headers.get("Authorization") != INVOCA_TOKEN:
            return self.refuse(request, 401, "Invalid or missing oauth token")
        if request.method != "GET":
            return self.refuse(request, 404, "No such route")
        if request.match.get("version") != VERSION:
            return self.refuse(request, 400, "Invalid API version for route")
        try:
            asked = _parameters(request.query)
        except BadParameterError as error:
            return self.refuse(request, 403, str(error))
        rows = [
            row for call in self.on_the_line() if _matches(row := self.render(call), call, asked)
        ]
        if payload == "attribution":
            rows = [{name: row[name] for name in ATTRIBUTION} for row in rows]
        self.answered += 1
        every = self.switch["partial_every"]
        partial = every > 0 and self.answered % every == 0
        found = [self._written(row) for row in rows[:: 1 + partial]]
        body: dict[str, Any] = {self.switch["envelope"]: found}
        if self.switch["envelope"] == "both, one of them null":
            body = {"current_calls": None, "calls_in_progress": found}
        if not partial:
            body |= WHOLE[self.switch["whole_told"]]
        if partial and self.switch["partial_told"] != "status":
            body = {"partial_data": True, "errors": [UNREACHABLE], **body}
        by_status = partial and self.switch["partial_told"] != "flag"
        return Response(202 if by_status else 200, _encode(body))

    def on_the_line(self) -> list[Call]:
        """The calls that are bridged and not ended now, the most recently bridged first."""
        now, calls = self.world.now, self.world.calls
        numbers = range(calls.first_after(now - LONGEST_CALL_SECONDS), calls.existing(now))
        lasting = (
            call
            for call in map(calls.call, numbers)
            if call.outcome == "answered" and _bridged(call) <= now < call.end
        )
        return sorted(lasting, key=_bridged, reverse=True)

    def render(self, call: Call) -> dict[str, Any]:
        """All documented fields of a call as it stands now, nulls included."""
        lasted = int(self.world.now) - _bridged(call)
        keys = [str(die % 10) for die in call.dice[:4]][: lasted // KEY_EVERY_SECONDS]
        applied = call.dice[13] % 2 and lasted >= APPLIED_AFTER_SECONDS
        number = WRITTEN[self.switch["numbers"]]
        advertiser = BUSINESSES.index(call.business) + 1
        return {
            "transaction_id": f"SBX{call.number:05}-{call.dice[15]:08X}",
            "call_status": "bridged",
            "external_unique_id": f"crm-{call.number}" if applied else None,
            "calling_phone_number": number(call.caller) if call.caller else None,
            "destination_phone_number": number(call.destination),
            "called_phone_number": number(call.tracking),
            "bridge_start_time": _time(_bridged(call)),
            "call_record_id": f"Z6E5-{call.number:012X}",
            "phone_type": "Mobile",
            "advertiser_campaign_country": call.business.country,
            "advertiser_campaign_id": f"{advertiser}0{CHANNELS.index(call.channel)}",
            "advertiser_campaign_id_from_network": f"campaign-{call.channel.name}",
            "advertiser_campaign_name": f"{call.business.name} {call.channel.name}",
            "advertiser_id": str(advertiser),
            "advertiser_id_from_network": f"advertiser-{advertiser}",
            "advertiser_name": call.business.name,
            "affiliate_campaign_id_from_network": None,
            "affiliate_commissions_ranking": "Top 10%",
            "affiliate_conversion_rate_ranking": "Top 20%",
            "affiliate_id": None,
            "affiliate_id_from_network": None,
            "affiliate_name": None,
            "affiliate_volume_ranking": "Top 5%",
            "city": "",
            **{f"keypress_{n + 1}": keys[n] if n < len(keys) else None for n in range(4)},
            "keypresses": ",".join(dict.fromkeys(keys)),
            "media_type": "Online" if call.device else "Offline",
            "promo_number_description": call.channel.name,
            "promo_number_id": f"promo-{call.tracking[-6:]}",
            "qualified_regions": None,
            "region": call.business.country,
            "repeat_calling_phone_number": call.dice[14] % 4 == 0,
            "source": "Web" if call.device else "Ad",
            "start_time": _time(call.start),
            "verified_zip_code": None,
            "zip_code": None,
            "custom_data": _custom_data(call),
            "demographics_data": _profile(call) if self.switch["profiles"] == "all" else {},
        }

    def _written(self, row: Mapping[str, Any]) -> str:
        """One call as JSON text: a key that occurs twice is text, no object."""
        call = dict(row)
        if self.switch["demographics"] == "nested" and "demographics_data" in call:
            profile = call.pop("demographics_data")
            call["custom_data"] = call["custom_data"] | {"demographics_data": profile}
        if self.switch["keypresses"] == "spaced" and "keypresses" in call:
            call["key presses"] = call.pop("keypresses")
        if self.switch["missing"] == "absent":
            call = {name: value for name, value in call.items() if value is not None}
        pairs = list(call.items())
        if self.switch["external_unique_id"] == "twice" and call.get("external_unique_id"):
            pairs.insert(0, ("external_unique_id", None))
        return "{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in pairs) + "}"

    def newest(self, count: int) -> list[PageCall]:
        """The calls on the line, the most recently bridged first."""
        return [
            PageCall(
                self.render(call)["transaction_id"],
                _time(_bridged(call)),
                mask(call.caller),
                "bridged",
                int(self.world.now) - _bridged(call),
            )
            for call in self.on_the_line()[:count]
        ]

    def total(self) -> int:
        """How many calls are on the line now."""
        return len(self.on_the_line())


def _bridged(call: Call) -> int:
    return call.start + call.ring


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone(ZONE).isoformat()


def _custom_data(call: Call) -> dict[str, Any]:
    known = {
        "utm_source": (call.channel.source, "VirtualLine"),
        "utm_medium": (call.channel.medium, "VirtualLine"),
        "calling_page": (call.business.site if call.device else None, "DynamicAttribution"),
        "keyword": (call.keyword, "DynamicAttribution"),
    }
    return {k: {"value": v, "source": source} for k, (v, source) in known.items() if v}


def _profile(call: Call) -> dict[str, Any]:
    """An Enhanced Caller Profile: unknown is an empty text, or null for the last field."""
    known = {
        "display_name": "Sample Caller", "first_name": "Sample", "last_name": "Caller",
        "line_type": "Mobile", "is_prepaid": bool(call.dice[12] % 2), "has_children": False,
        "household_income": "30k-40k", "high_net_worth": None,
    }  # fmt: skip
    return {f"{name}_data_append": known.get(name, "") for name in PROFILE}


def _encode(body: Mapping[str, Any]) -> bytes:
    """The envelope; its calls are JSON texts already."""
    parts = (
        f"{json.dumps(k)}: [{', '.join(v)}]"
        if v and isinstance(v, list) and isinstance(v[0], str)
        else f"{json.dumps(k)}: {json.dumps(v)}"
        for k, v in body.items()
    )
    return ("{" + ", ".join(parts) + "}").encode()


def _parameters(query: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters, each at most once.

    Raises:
        BadParameterError: One is unknown, doubled, missing or malformed. The wording is our own:
            only that problems are joined by "; " is documented, for a sister API (4.3).
    """
    asked = dict(query)
    problems = [f"{name!r} is required" for name in REQUIRED if not asked.get(name)]
    unknown = sorted(asked.keys() - PARAMETERS)
    if unknown:
        problems.append(f"The following params are not supported: {', '.join(unknown)}")
    if len(asked) < len(query):
        problems.append("params must be unique")
    if asked.get("organization_type", "Network") not in {"Network", "Advertiser"}:
        problems.append("'organization_type' must be Network or Advertiser")
    if not asked.get("id", "0").isdecimal():
        problems.append("'id' must be a number")
    if len(asked.keys() & {*NUMBERS}) == 1:
        problems.append(f"{' and '.join(map(repr, NUMBERS))} require each other")
    if problems:
        raise BadParameterError("; ".join(problems))
    return asked


def _matches(row: Mapping[str, Any], call: Call, asked: Mapping[str, str]) -> bool:
    """Whether a call is of the organization asked for, and the one looked up."""
    if asked["organization_type"] == "Advertiser" and asked["id"] != row["advertiser_id"]:
        return False
    numbers = dict(zip(NUMBERS, (call.caller, call.destination), strict=True))
    return all(row[name] == asked[name] for name in SAME if name in asked) and all(
        _same_number(numbers[name], asked[name]) for name in NUMBERS if name in asked
    )


def _same_number(number: str, asked: str) -> bool:
    """Whether the digits are equal, with or without the country code."""
    digits = re.sub(r"\D", "", asked).lstrip("0")
    return len(digits) >= 9 and number.endswith(digits)  # noqa: PLR2004
