"""Invoca Signal API: `/api/{version}/transactions.json`, what is learned of a call later.

Signals and custom data of one request are grouped by `partner_unique_id`, each group is one
transaction. A later request under the same id corrects the transaction; whether it replaces all of
it or only the signals that it names, the documents say both ways: a switch. The same once more
creates nothing.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.vendor import PageCall, Response, Switch, Vendor
from call_sandbox.vendors.invoca import (
    RefusedError,
    answer,
    cuid,
    custom_data_problems,
    is_hashes,
    is_time,
    signal_problems,
    unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from call_sandbox.vendor import Handler, Request

VERSION = "2018-02-01"
REQUEST = (
    "search", "partner_unique_id", "occurred_at_time", "signals", "custom_data", "call_in_progress",
)  # fmt: skip
SIGNAL = ("name", "partner_unique_id", "occurred_at_time", "revenue", "value")
IDS = ("transaction_id", "call_record_id", "external_call_unique_id", "call_start_time")
CLOSEST = (
    "calling_phone_number", "duration_in_seconds", "advertiser_id_from_network",
    "advertiser_campaign_id_from_network", "network_id",
)  # fmt: skip
"""What narrows a search by `call_start_time`."""

TEXTS = {
    400: "Invalid API version for route", 401: "NotAuthorized", 404: "No such route",
}  # fmt: skip
REVENUE = re.compile(r"\d+(\.\d{1,2})?", re.ASCII)
GROUPS_LIMIT = 10
TRUE = frozenset({"true", "1", "yes"})


@dataclass(slots=True)
class Group:
    """One transaction of a call: the signals under one `partner_unique_id`.

    Attributes:
        number: How many transactions were created for it: the last corrects the one before.
        signals: Name in lower case -> the signal as it was sent, with its truth.
    """

    number: int = 0
    signals: dict[str, dict[str, Any]] = field(default_factory=dict)


class InvocaSignals(Vendor):
    """Takes signals and custom data of calls that were ingested."""

    name = "invoca-signals"
    title = "Invoca signals"
    prefix = "/invoca"
    serves = False
    switches: ClassVar[Mapping[str, Switch]] = {
        "updates": Switch(
            "what a request under a known partner_unique_id replaces: all of it, or the signals of "
            "its names",
            "all", ("all", "names"),
        ),
        "names": Switch("signals that don't exist", "refused", ("refused", "created")),
        "limit": Switch("most signals of one request", "10", ("10", "100")),
        "found_after": Switch("seconds after its ingestion until a call is found", 0),
    }  # fmt: skip

    def reset(self) -> None:
        """Forget what was learned."""
        super().reset()
        self.groups: dict[str, dict[str, Group]] = {}
        self.custom_data: dict[str, dict[str, Any]] = {}
        self.transactions: Counter[str] = Counter()
        self.recent: deque[str] = deque(maxlen=100)

    def paths(self) -> Mapping[str, Handler]:
        """One path, in one version."""
        return {"/api/{version}/transactions.json": self.apply}

    def key(self, request: Request) -> str | None:
        """The id of the call in its source, when it is searched by that."""
        search = request.json.get("search") if isinstance(request.json, dict) else None
        key = search.get("external_call_unique_id") if isinstance(search, dict) else None
        return None if key is None else str(key)

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """Invoca's error object."""
        del request
        kinds = {403: "InvalidInput", 404: "RecordNotFound", 500: "InternalServiceError"}
        if status not in kinds:
            return answer(status, {"error": message})
        return answer(status, {"errors": {"class": kinds[status], "invalid_data": message}})

    def accept(self, request: Request) -> Response:
        """The documented answer, of no call."""
        del request
        return answer(200, {"signals": [], "call": {}})

    def object_to(self, request: Request, words: str) -> Response:
        """A refusal in these words: `Class: why`, by default of the class InvalidInput."""
        del request
        kind, _, text = words.rpartition(": ")
        return answer(403, {"errors": RefusedError(kind or "InvalidInput", text).problem})

    def apply(self, request: Request) -> Response:
        """Check one request and learn from it."""
        wrong = {
            404: request.method not in {"POST", "PUT"},
            400: request.match.get("version") != VERSION,
            401: request.headers.get("Authorization") != INVOCA_TOKEN,
        }
        if status := next((status for status, found in wrong.items() if found), None):
            return self.refuse(request, status, TEXTS[status])
        try:
            sent = self._checked(request.json)
        except RefusedError as error:
            return answer(403, {"errors": error.problem})
        if sent.get("call_in_progress") is True:
            return Response(201)
        key = self._found(sent["search"])
        if key is None:
            return self.refuse(request, 404, "No call found")
        return self._learn(key, sent)

    def _checked(self, sent: Any) -> Mapping[str, Any]:  # noqa: ANN401
        if not isinstance(sent, dict) or not sent:
            raise RefusedError("RecordInvalid", "Validation failed: 'search' is required")
        signals = sent.get("signals", [])
        limit = int(self.switch["limit"])
        if isinstance(signals, list) and len(signals) > limit:
            raise RefusedError(
                "RecordInvalid", f"Validation failed: Signals are limited to {limit}"
            )
        problems = [
            *unsupported("the request", sent, REQUEST),
            *_search_problems(sent.get("search")),
            *self._signal_problems(signals),
            *custom_data_problems(sent.get("custom_data", [])),
            *(["'occurred_at_time' is invalid"] if not _is_time(sent) else []),
        ]
        if not problems and len(_by_partner(sent)) > GROUPS_LIMIT:
            problems = [f"more than {GROUPS_LIMIT} values of 'partner_unique_id'"]
        if problems:
            raise RefusedError("InvalidInput", "; ".join(problems))
        return sent

    def _signal_problems(self, signals: Any) -> list[str]:  # noqa: ANN401
        problems = signal_problems(signals, SIGNAL)
        if self.switch["names"] == "created":
            problems = [text for text in problems if not text.endswith("'name' does not exist")]
        for n, signal in enumerate(signals if is_hashes(signals) else ()):
            if not _is_time(signal):
                problems.append(f"signals[{n}] 'occurred_at_time' is invalid")
            revenue = str(signal.get("revenue", "1"))
            if not REVENUE.fullmatch(revenue) or not float(revenue):
                problems.append(f"signals[{n}] 'revenue' is invalid")
        return problems

    def _found(self, search: Mapping[str, Any]) -> str | None:
        """The call that is searched for, unless it is being processed still."""
        ids: dict[str, dict[str, str]] = {
            "external_call_unique_id": {key: key for key in self.world.ingested},
            "transaction_id": {cuid(key): key for key in self.world.ingested},
        }
        name = next(name for name in IDS if name in search)
        key = ids.get(name, {}).get(str(search[name]))
        if key is None:
            return None
        at, _ = self.world.ingested[key]
        return key if self.world.now >= at + int(self.switch["found_after"]) else None

    def _learn(self, key: str, sent: Mapping[str, Any]) -> Response:
        groups = self.groups.setdefault(key, {})
        shown, created = [], False
        for partner, signals in _by_partner(sent).items():
            group = groups.get(partner) or Group()
            kept = group.signals if self.switch["updates"] == "names" else {}
            learned = kept | signals
            if learned != group.signals:
                created = True
                groups.pop(partner, None)  # what is said last counts
                groups[partner] = group = Group(group.number + 1, learned)
            shown.append(_shown(key, partner, group))
        custom_data = self.custom_data.setdefault(key, {})
        told = {entry["name"]: entry["value"] for entry in sent.get("custom_data", [])}
        if custom_data | told != custom_data:
            created = True
            custom_data |= told
        if created:
            self.books[key] = 1  # a correction is no second call
            self.transactions[key] += 1
            self.recent.append(key)
        call = {"transaction_id": cuid(key), "corrects_transaction_id": None}
        return answer(200, {"signals": shown, "call": call}, processed=created)

    def known(self) -> dict[str, dict[str, Any]]:
        """What Invoca knows of each call: `signals` (name -> truth) and `custom_data`.

        From its ingestion and from what came later, in so many requests that changed something:
        `updates`.
        """
        return {key: self._known(key, sent) for key, (_, sent) in self.world.ingested.items()}

    def _known(self, key: str, ingested: Mapping[str, Any]) -> dict[str, Any]:
        signals = dict(_told(ingested.get("signals", [])))
        for group in self.groups.get(key, {}).values():
            signals |= dict(_told(group.signals.values()))
        custom_data = {entry["name"]: entry["value"] for entry in ingested.get("custom_data", [])}
        return {
            "signals": signals,
            "custom_data": custom_data | self.custom_data.get(key, {}),
            "updates": self.transactions[key],
        }

    def newest(self, count: int) -> list[PageCall]:
        """Calls with signals: those of which something was learned last, then those ingested last.

        A signal that was taken back stands after "not".
        """
        known = self.known()
        keys = dict.fromkeys([*reversed(self.recent), *reversed(self.world.ingested)])
        calls = [(key, known[key]) for key in keys if key in known]
        return [
            PageCall(
                key=key,
                when=f"{one['updates']} updates",
                caller="",
                status=", ".join(
                    name if true else f"not {name}" for name, true in one["signals"].items()
                ),
                seconds=None,
            )
            for key, one in calls
            if one["signals"]
        ][:count]

    def statuses(self) -> Mapping[str, int]:
        """Of how many calls each signal is true."""
        return Counter(
            name for one in self.known().values() for name, true in one["signals"].items() if true
        )


def _is_time(part: Mapping[str, Any]) -> bool:
    return "occurred_at_time" not in part or is_time(part["occurred_at_time"])


def _search_problems(search: Any) -> list[str]:  # noqa: ANN401
    if not isinstance(search, dict) or not search:
        return ["'search' is required"]
    by = [name for name in IDS if search.get(name) not in (None, "")]
    allowed = {*by, *(CLOSEST if by == ["call_start_time"] else ())}
    problems = unsupported("'search'", search, {*allowed, *IDS})
    if len(by) != 1:
        problems.append(f"'search' needs one of {', '.join(IDS)}")
    return problems


def _by_partner(sent: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """The signals of a request by their `partner_unique_id`, and by their name in lower case."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for signal in sent.get("signals", []):
        partner = str(signal.get("partner_unique_id", sent.get("partner_unique_id", "")))
        whole = {"occurred_at_time": sent.get("occurred_at_time"), "value": True} | signal
        found.setdefault(partner, {})[str(signal["name"]).casefold()] = whole
    return found


def _told(signals: Any) -> Iterator[tuple[str, bool]]:  # noqa: ANN401
    for signal in signals:
        yield str(signal["name"]).casefold(), str(signal.get("value", True)).casefold() in TRUE


def _shown(key: str, partner: str, group: Group) -> dict[str, Any]:
    """A transaction as it is answered: names and values of a group joined by commas."""
    signals = group.signals.values()
    before = cuid(f"{key}/{partner}/{group.number - 1}") if group.number > 1 else None
    return {
        "transaction_id": cuid(f"{key}/{partner}/{group.number}"),
        "corrects_transaction_id": before,
        "name": ",".join(str(signal["name"]) for signal in signals),
        "partner_unique_id": partner,
        "occurred_at_time": next((signal["occurred_at_time"] for signal in signals), None),
        "revenue": next((signal["revenue"] for signal in signals if "revenue" in signal), None),
        "value": ",".join(str(true).lower() for _, true in _told(signals)),
    }
