"""What Invoca's APIs have in common: names, times, and how a refusal is told (facts.md, 4)."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from call_sandbox.vendor import Response

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SIGNALS_LIMIT = 100

SIGNALS = frozenset({
    "sale", "quote", "free trial", "2yr subscription", "cancellation",
    "test drive", "complaint", "service", "visit discussed",
    "positive sentiment", "negative sentiment", "appointment",
})  # fmt: skip
"""Signals configured in the network, in lower case: names are matched whatever their case."""

CUSTOM_DATA = frozenset({
    "channel", "line_of_business", "utm_source", "utm_medium", "utm_campaign", "utm_content",
    "utm_term", "keyword", "landing_page", "referrer", "device", "gclid", "fbclid", "account",
    "reason", "client_sentiment", "operator_sentiment", "link_name", "node_name", "category",
})  # fmt: skip
"""Partner (API) names of the custom data fields configured in the network."""

EPOCH = re.compile(r"\d{10}|\d{13}", re.ASCII)
COMPRESSED = re.compile(r"\d{14}(\d{3})", re.ASCII)
DATE_TIME = re.compile(
    r"(\d{4})[/-](\d\d)[/-](\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d{3})?"
    r" ?(?:[AP]M|Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?",
    re.ASCII,
)


def is_time(value: object) -> bool:
    """The documented formats, and those that the documents' examples use; no impossible date.

    `13:00:00 PM` is the documents' own.
    """
    text = str(value) if type(value) in {str, int} else ""
    try:
        if match := DATE_TIME.fullmatch(text):
            return bool(datetime.fromisoformat("{}-{}-{}T{}".format(*match.groups())))
        if COMPRESSED.fullmatch(text):
            return bool(datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC))
    except ValueError:
        return False
    return EPOCH.fullmatch(text) is not None


def is_here(url: str) -> bool:
    """Whether an address is this machine's: no other is ever asked."""
    try:
        return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    except ValueError:
        return False


TRUTH = frozenset({"true", "false", "1", "0", "yes", "no"})


class RefusedError(Exception):
    """A documented 403: the class and the text of its error object."""

    def __init__(self, kind: str, invalid_data: str) -> None:
        super().__init__(kind)
        self.problem = {"class": kind, "invalid_data": invalid_data}


def is_hashes(value: object) -> bool:
    """Whether a value is a list of JSON objects."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def unsupported(where: str, sent: Mapping[str, Any], known: Any) -> list[str]:  # noqa: ANN401
    """The documented text about names that an API does not have."""
    unknown = [name for name in sent if name not in known]
    text = f"The following params in {where} are not supported in this version: "
    return [text + ", ".join(unknown)] if unknown else []


def names(what: str, items: list[dict[str, Any]], known: Collection[str]) -> list[str]:
    """What the Signal API says of lists like these (facts.md 4.3)."""
    unknown = {name: None for item in items for name in item if name not in known}
    given = Counter(str(item.get("name")).casefold() for item in items)
    twice = [
        f"{what}[{n}]"
        for n, item in enumerate(items)
        if item.get("name") and given[str(item["name"]).casefold()] > 1
    ]
    return [
        *unsupported(f"'{what}'", unknown, ()),
        *(
            f"{what}[{n}] 'name' is required"
            for n, item in enumerate(items)
            if not item.get("name")
        ),
        *([f"'name' for {' and '.join(twice)} must be unique"] if twice else []),
    ]


def signal_problems(signals: Any, known: Collection[str] = ("name", "value")) -> list[str]:  # noqa: ANN401
    """What is wrong with a list of signals."""
    if not is_hashes(signals):
        return ["'signals' must be an array of hashes"]
    problems = names("signals", signals, known)
    for n, signal in enumerate(signals):
        if signal.get("name") and str(signal["name"]).casefold() not in SIGNALS:
            problems.append(f"signals[{n}] 'name' does not exist")
        if str(signal.get("value", True)).casefold() not in TRUTH:
            problems.append(f"signals[{n}] 'value' must be true or false")
    return problems


def custom_data_problems(fields: Any, *, must_exist: bool = True) -> list[str]:  # noqa: ANN401
    """What is wrong with a list of custom data."""
    if not is_hashes(fields):
        return ["'custom_data' must be an array of hashes"]
    problems = names("custom_data", fields, ("name", "value"))
    if must_exist:
        problems += [
            f"custom_data[{n}] 'name' does not exist"
            for n, field in enumerate(fields)
            if field.get("name") and field["name"] not in CUSTOM_DATA
        ]
    return problems + [
        f"custom_data[{n}] 'value' is required"
        for n, field in enumerate(fields)
        if field.get("value") in (None, "")
    ]


def cuid(key: str) -> str:
    """An id of Invoca's own, made from another."""
    return blake2b(key.encode(), digest_size=8).hexdigest().upper()


def answer(status: int, body: object, *, processed: bool = False) -> Response:
    """JSON; no body at all for an empty one."""
    return Response(status, json.dumps(body).encode() if body else b"", processed=processed)
