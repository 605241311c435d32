"""impact.com Call Data: `/calldata/logCallData` (vendor docs; facts.md, section 2)."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar
from xml.sax.saxutils import escape

from call_sandbox.credentials import IMPACT_PASSWORD, IMPACT_USERNAME
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor, mask

BASIC = "Basic " + b64encode(f"{IMPACT_USERNAME}:{IMPACT_PASSWORD}".encode()).decode()

CALL_STATUS = (
    "UNKNOWN_CALLERID", "CONGESTION", "INCOMPLETE", "CANCEL",
    "IVR_DROPOFF", "NO_TRANSFER_ATTEMPT", "ANSWER", "FAILURE",
)  # fmt: skip

Check = Callable[[str], bool]
"""Whether a value is well formed."""


def _is_date(value: str) -> bool:
    """ISO-8601 with a time, or NOW (a later capture of the vendor's page)."""
    try:
        return value == "NOW" or ("T" in value and bool(datetime.fromisoformat(value)))
    except ValueError:
        return False


def _matches(pattern: str) -> Check:
    whole = re.compile(pattern)
    return lambda value: whole.fullmatch(value) is not None


TEXT: tuple[str, Check] = ("", lambda _: True)
TEXT_64: tuple[str, Check] = ("Longer than 64 characters", lambda value: len(value) <= 64)  # noqa: PLR2004
INTEGER: tuple[str, Check] = ("Not a numeric value", _matches(r"-?\d{1,16}"))
SECONDS: tuple[str, Check] = ("Not a number of seconds", _matches(r"\d{1,16}"))
NUMBER: tuple[str, Check] = ("Not a numeric value", _matches(r"-?\d{1,16}(\.\d+)?"))
COUNTRY: tuple[str, Check] = ("Not an ISO 3166 alpha-2 code", _matches(r"[A-Z]{2}"))
DATE: tuple[str, Check] = ("Not an ISO-8601 date", _is_date)
LINK: tuple[str, Check] = ("Not a URL", _matches(r"https?://\S+"))
STATUS: tuple[str, Check] = ("Not one of the call statuses", CALL_STATUS.__contains__)
PHONE_TYPE: tuple[str, Check] = ("Not Landline or Mobile", ("Landline", "Mobile", "").__contains__)

TEN_DIGITS: tuple[str, Check] = (
    "Not of the form (XXX) XXX XXXX, XXX-XXX-XXXX or XXXXXXXXXX",
    _matches(r"\(\d{3}\) \d{3} \d{4}|\d{3}-\d{3}-\d{4}|\d{10}"),
)
NATIONAL: tuple[str, Check] = ("Not a national number in digits", _matches(r"\d{4,14}"))

REQUIRED: Mapping[str, tuple[str, Check]] = {
    "CampaignId": INTEGER, "MediaId": INTEGER, "EventDate": DATE, "ActionTrackerId": INTEGER,
    "CallProvider": TEXT_64, "CallSessionId": TEXT, "CallerId": TEXT_64,
    "CalledPhoneNumber": TEXT, "CallDuration": SECONDS, "TalkDuration": SECONDS,
}  # fmt: skip
OPTIONAL: Mapping[str, tuple[str, Check]] = {
    "AdId": INTEGER, "CallStatus": STATUS, "CallerPhoneNumberCountry": COUNTRY,
    "CalledPhoneNumberCountry": COUNTRY, "SubId1": TEXT_64, "SubId2": TEXT_64, "SubId3": TEXT_64,
    "ClickId": TEXT, "City": TEXT, "Region": TEXT, "Zip": INTEGER, "RepeatCaller": TEXT,
    "PhoneType": PHONE_TYPE, "CallRecording": LINK, "IvrDuration": SECONDS, "Keypresses": TEXT,
    "Key1": TEXT, "Key2": TEXT, "Key3": TEXT, "Key4": TEXT, "TrafficSource": TEXT,
    "OptInSms": TEXT, "UserAgent": TEXT, "DispositionName": TEXT, "SaleAmount": NUMBER,
    "ReferenceId": NUMBER, "VendorEventId": TEXT, "PromoNumberDescription": TEXT,
    **{f"Custom{kind}Event{n}{part}": TEXT
       for kind in ("Conversion", "Call") for n in (1, 2, 3) for part in ("Name", "Value")},
}  # fmt: skip
PARAMETERS = {**REQUIRED, **OPTIONAL}
"""All 50 documented parameters: what is wrong when the check fails, and the check."""

GENERAL_LIMIT_CHARS = 255
"""Longest text of impact's other APIs (facts.md 2.2); unknown for this one."""

Problems = list[tuple[str, str]]


class Impact(Vendor):
    """Accepts every well-formed call, also one it already has: impact has no dedupe key."""

    name = "impact"
    title = "impact.com Call Data"
    prefix = "/impact"
    serves = False
    switches: ClassVar[Mapping[str, Switch]] = {
        # Ten digits are the only documented form; what other countries' numbers look like is
        # unknown (facts.md 2.2).
        "called_number": Switch(
            "which countries' CalledPhoneNumber has ten digits", "US", ("US", "all", "none")
        ),
        "errors": Switch("how errors are told", "status", ("status", "in_200")),
        "envelope": Switch("spelling of errors", "documented", ("documented", "lower")),
        "accepted": Switch("word for success", "OK", ("OK", "QUEUED", "ok")),
        "comma": Switch("the documented answer's comma before its brace", "no", ("no", "yes")),
        "closed_campaign": Switch("this CampaignId is refused; 0 refuses none", 0),
        "long_text": Switch("text over 255 characters", "accepted", ("accepted", "refused")),
        "unknown": Switch("unknown parameters", "refused", ("refused", "ignored")),
    }

    def reset(self) -> None:
        """Forget the calls received."""
        super().reset()
        self.words: Counter[str] = Counter()
        self.recent: deque[PageCall] = deque(maxlen=100)

    def paths(self) -> Mapping[str, Handler]:
        """One path, for GET and POST."""
        return {"/calldata/logCallData": self.log_call_data}

    def key(self, request: Request) -> str | None:
        """The CallSessionId: the only handle a sender has."""
        return next((v for k, v in (*request.form, *request.query) if k == "CallSessionId"), None)

    def log_call_data(self, request: Request) -> Response:
        """Check one call and book it."""
        if request.headers.get("Authorization") != BASIC:
            return self.refuse(request, 401, "Authentication failed")
        if request.method not in {"GET", "POST"}:
            return self.refuse(request, 405, "Method not allowed")
        if request.method == "GET" and request.form:
            return self.refuse(request, 400, "GET takes its parameters from the query")
        sent = [*request.query, *request.form]
        problems = self.problems(sent)
        if problems:
            return self._error(request, 400, "Validation Failed", problems)
        call = dict(sent)
        if call["CampaignId"] == str(self.switch["closed_campaign"]):
            words = f"Campaign {call['CampaignId']} has no active contract"
            return self.refuse(request, 400, words)
        self._book(call)
        answer = self.accept(request)
        answer.processed = True
        return answer

    def accept(self, request: Request) -> Response:
        """The documented answer, in the documents with an illegal comma."""
        answer = _answer(request, 200, {"Status": self.switch["accepted"]})
        if self.switch["comma"] == "yes" and answer.content_type == "application/json":
            answer.body = f'{{\n"Status": "{self.switch["accepted"]}",\n}}'.encode()
        return answer

    def object_to(self, request: Request, words: str) -> Response:
        """A refusal in these words: `Field: why; Field: why`, or a sentence without fields."""
        pairs = [part.partition(": ") for part in words.split("; ")]
        if all(why and field in PARAMETERS for field, _, why in pairs):
            problems = [(field, why) for field, _, why in pairs]
            return self._error(request, 400, "Validation Failed", problems)
        return self.refuse(request, 400, words)

    def problems(self, sent: list[tuple[str, str]]) -> Problems:
        """What is wrong with a call: field and reason, empty when all is well."""
        call = dict(sent)
        found = [
            (name, "Sent more than once")
            for name, n in Counter(name for name, _ in sent).items()
            if n > 1
        ]
        found += [(name, "Required") for name in REQUIRED if not call.get(name)]
        rules = {**PARAMETERS, "CalledPhoneNumber": self._called_number(call)}
        for name, value in call.items():
            if name not in rules:
                if self.switch["unknown"] == "refused":
                    found.append((name, "Unknown parameter"))
                continue
            reason, well_formed = rules[name]
            if value and not well_formed(value):
                found.append((name, reason))
            elif len(value) > GENERAL_LIMIT_CHARS and self.switch["long_text"] == "refused":
                found.append((name, "Longer than 255 characters"))
        return found

    def _called_number(self, call: Mapping[str, str]) -> tuple[str, Check]:
        country = call.get("CalledPhoneNumberCountry") or "US"
        wide = {"US": country == "US", "all": True, "none": False}[self.switch["called_number"]]
        return TEN_DIGITS if wide else NATIONAL

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """Impact's documented error envelope, without fields."""
        return self._error(request, status, message, [])

    def _error(self, request: Request, status: int, message: str, problems: Problems) -> Response:
        lower = self.switch["envelope"] == "lower"
        fields = ("field", "message") if lower else ("Field", "Message")
        body: dict[str, object] = {"Status": "ERROR", "Message": message}
        if problems:
            body["errors" if lower else "Errors"] = [
                dict(zip(fields, problem, strict=True)) for problem in problems
            ]
        return _answer(request, 200 if self.switch["errors"] == "in_200" else status, body)

    def _book(self, call: Mapping[str, str]) -> None:
        key = call["CallSessionId"]
        self.books[key] += 1
        # "If the field is not present in the request, the system makes it ANSWER by default."
        status = call.get("CallStatus") or "ANSWER"
        self.words[status] += 1
        self.recent.append(
            PageCall(
                key=key,
                when=call["EventDate"].replace("T", " "),
                caller=mask(call["CallerId"]),
                status=status,
                seconds=int(call["TalkDuration"]),
            )
        )

    def newest(self, count: int) -> list[PageCall]:
        """The calls received last."""
        return [*self.recent][: -count - 1 : -1]

    def statuses(self) -> Mapping[str, int]:
        """Calls received by CallStatus."""
        return self.words


def _answer(request: Request, status: int, body: Mapping[str, object]) -> Response:
    """JSON when asked for, else XML: the default of impact's APIs (facts.md 2.1)."""
    headers = {"WWW-Authenticate": 'Basic realm="impact.com"'} if status == 401 else {}  # noqa: PLR2004
    if "json" in request.headers.get("Accept", ""):
        return Response(status, json.dumps(body).encode(), "application/json", headers)
    xml = f'<?xml version="1.0" encoding="UTF-8"?>{_element("ImpactRadiusResponse", body)}'
    return Response(status, xml.encode(), "application/xml", headers)


def _element(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        inner = "".join(_element(key, part) for key, part in value.items())
    elif isinstance(value, list):
        inner = "".join(_element(name[:-1], part) for part in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"
