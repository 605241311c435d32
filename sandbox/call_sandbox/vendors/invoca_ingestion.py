"""Invoca Call Ingestion: `/api/{version}/calls.json` (vendor docs; facts.md, section 4)."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor, mask
from call_sandbox.vendors.invoca import (
    SIGNALS_LIMIT,
    RefusedError,
    answer,
    cuid,
    custom_data_problems,
    is_here,
    is_time,
    signal_problems,
    unsupported,
)

DAY_SECONDS = 86400
VERSION = "2022-03-01"
"""The documented one; each of Invoca's APIs has its own."""

CAMPAIGNS: Mapping[str, str] = {
    "85": "ExternalOnly", "86": "ExternalOnly", "87": "DirectOnly", "88": "no transcription",
}  # fmt: skip
"""Campaigns that the token's user has access to; 85 and 86 are the documents' own."""

LANGUAGES = ("en-US", "en-GB", "es-ES", "fr-FR")

Check = Callable[[Any], bool]
"""Whether a value is well formed."""


def _matches(pattern: str, *types: type) -> Check:
    whole = re.compile(pattern, re.ASCII)
    return lambda value: type(value) in types and whole.fullmatch(str(value)) is not None


def _is_one_of(*words: object) -> Check:
    return lambda value: value in words


DOCUMENTED_NUMBER = _matches(r"(\+1|\+44|\+34)\d{9,10}|\d{10}", str, int)
ANY_NUMBER = _matches(r"\+\d{8,15}|\d{10}", str, int)

REQUIRED: Mapping[str, Check] = {
    "external_call_unique_id": _matches(r"\S.*", str, int),
    "start_time": is_time,
    "destination_phone_number": DOCUMENTED_NUMBER,
    "calling_phone_number": DOCUMENTED_NUMBER,
    "advertiser_campaign_id_from_network": _matches(r"\S+", str, int),
    "call_direction": _is_one_of("inbound", "outbound"),
    "recording_url": _matches(r"https?://\S+", str),
}
OPTIONAL: Mapping[str, Check] = {
    "recording_filename": _matches(r"\S.*", str),
    "language_code": _is_one_of(*LANGUAGES),
    "recording_auth_config_id": _matches(r"\d+", str, int),
}
NUMBERS = ("destination_phone_number", "calling_phone_number")


class Ingested(NamedTuple):
    """What is kept of a call."""

    content: str
    at: float
    page: PageCall


class InvocaIngestion(Vendor):
    """Creates a call once per `external_call_unique_id` of the network."""

    name = "invoca"
    title = "Invoca Call Ingestion"
    prefix = "/invoca"
    serves = False
    secret_fields = frozenset({"oauth_token"})
    switches: ClassVar[Mapping[str, Switch]] = {
        "processing": Switch(
            "seconds until a call is processed, at most a day; a repetition until then is a 202", 0
        ),
        "ingestion": Switch("whether the network may ingest", "enabled", ("enabled", "disabled")),
        "countries": Switch("accepted phone numbers", "documented", ("documented", "all")),
        "languages": Switch("accepted language_code", "all", ("all", "en-US")),
        "recording": Switch(
            "what names the recording", "url_or_filename", ("url_or_filename", "url")
        ),
        "custom_data": Switch("names that don't exist", "refused", ("refused", "dropped")),
        "errors": Switch("shape of a refusal", "class", ("class", "validation", "fields")),
        "closed_campaign": Switch("no access to this campaign's advertiser; 0 is none", 0),
        "cuid": Switch("whether a 202 and a 409 name the call", "no", ("no", "yes")),
        "token": Switch("where it is read", "anywhere", ("anywhere", "header")),
    }

    def reset(self) -> None:
        """Forget the calls received."""
        super().reset()
        self.calls: dict[str, Ingested] = {}
        self.world.ingested.clear()
        self.world.to_fetch.clear()
        self.recent: deque[str] = deque(maxlen=100)

    def paths(self) -> Mapping[str, Handler]:
        """One path, in one version."""
        return {"/api/{version}/calls.json": self.ingest}

    def key(self, request: Request) -> str | None:
        """The id of the call in its source."""
        call = request.json.get("call") if isinstance(request.json, dict) else None
        key = call.get("external_call_unique_id") if isinstance(call, dict) else None
        return None if key is None else str(key)

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """Invoca's error object; the bodies of 202, 400, 401 and 409 are not documented."""
        if status in {202, 409}:
            return answer(status, self._named(self.key(request) or ""))
        kinds = {403: "InvalidInput", 404: "RecordNotFound", 500: "InternalServiceError"}
        body: object = {"error": message}
        if status in kinds:
            body = {"errors": {"class": kinds[status], "invalid_data": message}}
        return answer(status, body)

    def accept(self, request: Request) -> Response:
        """The documented answer."""
        return answer(201, {"cuid": cuid(self.key(request) or "")})

    def object_to(self, request: Request, words: str) -> Response:
        """A refusal in these words: `Class: why`, by default of the class InvalidInput."""
        del request
        kind, _, text = words.rpartition(": ")
        problem = RefusedError(kind or "InvalidInput", text).problem
        return answer(403, {"errors": self._shaped(problem)})

    def ingest(self, request: Request) -> Response:
        """Check one call and create it, unless it is there."""
        if request.method not in {"POST", "PUT"}:
            return self.refuse(request, 404, "No such route")
        if request.match.get("version") != VERSION:
            return self.refuse(request, 400, "Invalid API version for route")
        if INVOCA_TOKEN not in self._tokens(request):
            return self.refuse(request, 401, "NotAuthorized")
        try:
            call = self._checked(request.json)
        except RefusedError as error:
            return answer(403, {"errors": self._shaped(error.problem)})
        return self._create(str(call["external_call_unique_id"]), call, request.json)

    def _tokens(self, request: Request) -> set[object]:
        tokens: set[object] = {request.headers.get("Authorization")}
        if self.switch["token"] == "anywhere":  # noqa: S105
            body = request.json.get("oauth_token") if isinstance(request.json, dict) else None
            tokens |= {
                str(body),
                *(value for name, value in request.query if name == "oauth_token"),
            }
        return tokens

    def _create(self, key: str, call: Mapping[str, Any], sent: Mapping[str, Any]) -> Response:
        content = json.dumps({k: v for k, v in sent.items() if k != "oauth_token"}, sort_keys=True)
        if (known := self.calls.get(key)) is not None:
            # The documents say of 202 that the request, of 409 that the id came before: the same
            # call while it is under way, and any other use of its id (facts.md 4.5).
            again = known.content == content and not self._processed(known)
            return answer(202 if again else 409, self._named(key))
        page = PageCall(
            key=key,
            when=str(call["start_time"]),
            caller=mask(str(call["calling_phone_number"])),
            status="processing",
            seconds=None,
        )
        self.world.ingested[key] = (self.world.now, sent)
        recording = str(call.get("recording_url") or "")
        if is_here(recording):
            self.world.to_fetch.append((self.world.now, key, recording))
            self.world.changed.set()
        self.calls[key] = Ingested(content, self.world.now, page)
        self.recent.append(key)
        self.books[key] += 1
        return answer(201, {"cuid": cuid(key)}, processed=True)

    def _named(self, key: str) -> Mapping[str, str]:
        """The body of a 202 and a 409."""
        return {"cuid": cuid(key)} if self.switch["cuid"] == "yes" else {}

    def _processed(self, call: Ingested) -> bool:
        return self.world.now >= call.at + min(int(self.switch["processing"]), DAY_SECONDS)

    def _checked(self, sent: Any) -> Mapping[str, Any]:  # noqa: ANN401
        call = sent.get("call") if isinstance(sent, dict) else None
        if not isinstance(call, dict) or not call:
            raise RefusedError("RecordInvalid", "Validation failed: 'call' is required")
        if self.switch["ingestion"] == "disabled":
            raise RefusedError(
                "UnauthorizedOperation",
                "You do not have permissions to perform the requested operation.",
            )
        signals, custom_data = sent.get("signals", []), sent.get("custom_data", [])
        if isinstance(signals, list) and len(signals) > SIGNALS_LIMIT:
            raise RefusedError("RecordInvalid", "Validation failed: Signals are limited to 100")
        problems = [
            *unsupported("the request", sent, {"call", "signals", "custom_data", "oauth_token"}),
            *self._problems(call),
            *signal_problems(signals),
            *custom_data_problems(custom_data, must_exist=self.switch["custom_data"] == "refused"),
        ]
        if problems:
            raise RefusedError("InvalidInput", "; ".join(problems))
        campaign = str(call["advertiser_campaign_id_from_network"])
        _check_campaign("" if campaign == str(self.switch["closed_campaign"]) else campaign)
        return call

    def _problems(self, call: Mapping[str, Any]) -> list[str]:
        rules = {**REQUIRED, **OPTIONAL}
        required = set(REQUIRED)
        if self.switch["countries"] == "all":
            rules |= dict.fromkeys(NUMBERS, ANY_NUMBER)
        if self.switch["languages"] != "all":
            rules["language_code"] = _is_one_of(self.switch["languages"])
        if self.switch["recording"] == "url":
            del rules["recording_filename"]
        elif call.get("recording_filename"):
            required.remove("recording_url")
        missing = [name for name in REQUIRED if name in required and call.get(name) in (None, "")]
        return [
            *(f"'{name}' is required" for name in missing),
            *unsupported("'call'", call, rules.keys()),
            *(
                f"'{name}' is invalid"
                for name, value in call.items()
                if name in rules and value not in (None, "") and not rules[name](value)
            ),
        ]

    def _shaped(self, problem: Mapping[str, str]) -> Mapping[str, Any]:
        if self.switch["errors"] == "class" or problem["class"] != "InvalidInput":
            return problem
        texts = problem["invalid_data"].split("; ")
        if self.switch["errors"] == "validation":
            # The class and the words of the documented example; how it joins several is unknown.
            return RefusedError("RecordInvalid", f"Validation failed: {', '.join(texts)}").problem
        # As Invoca's RingPool API does.
        fields: dict[str, list[str]] = {}
        for text in texts:
            fields.setdefault(re.findall(r"\w+", text)[0], []).append(text)
        return fields

    def newest(self, count: int) -> list[PageCall]:
        """The calls received last."""
        return [self._page(self.calls[key]) for key in [*self.recent][: -count - 1 : -1]]

    def statuses(self) -> Mapping[str, int]:
        """Calls by whether they are processed."""
        return Counter(self._page(call).status for call in self.calls.values())

    def _page(self, call: Ingested) -> PageCall:
        return replace(call.page, status="processed" if self._processed(call) else "processing")


def _check_campaign(campaign: str) -> None:
    kind = CAMPAIGNS.get(campaign)
    if kind is None:
        raise RefusedError("UnauthorizedAdvertiser", "You do not have access to this advertiser")
    wrong = {
        "DirectOnly": "campaign must be for external calls only",
        "no transcription": "campaign must have transcription enabled",
    }
    if kind in wrong:
        raise RefusedError("call.advertiser_campaign_id_from_network", wrong[kind])
