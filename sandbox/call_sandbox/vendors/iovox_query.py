"""What iovox is asked: a request's parameters, checked in the documented order, and filters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from call_sandbox.calls import DAY_SECONDS
from call_sandbox.vendors.iovox_calls import FIELDS, KINDS

WITHOUT_ORDER = {f"link_category_{name}" for name in ("value", "label", "id")}
DEFAULT_FIELDS = (
    "id,call_start,call_end,call_origin,iovox_number,call_destination,talk_time,call_result,"
    "node_id,link_id,has_recording"
)
LARGEST_LIMIT = 20_000
COLOURS = frozenset({"BLUE", "GREEN", "GOLD", "RED"})
DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: (\d\d(?::\d\d){0,2}))?")


class BadRequestError(ValueError):
    """One of the documented answers with status 400."""


class Asked:
    """The parameters of one request, checked in the order of the documented errors.

    Args:
        query: Pairs as sent.
        today: Local date, for the documented defaults of the dates.

    Raises:
        BadRequestError: With the documented string.
    """

    def __init__(self, query: list[tuple[str, str]], today: str) -> None:
        asked = dict(query)
        unknown = sorted(asked.keys() - FILTERS.keys() - PARAMETERS)
        if unknown or len(asked) < len(query):
            # Undocumented; the sandbox is strict, so that a misspelt filter can't match all.
            raise BadRequestError(f"Unknown or repeated parameter: {', '.join(unknown)}")
        self.by, self.direction = _order(asked.get("order", "call_start_DESC"))
        self.page = _integer(asked.get("page", "1"), "Page number")
        if self.page < 1:
            # Pages count from 1; of the documented texts this is the one about pages.
            raise BadRequestError("Page number not an integer")
        self.limit = _integer(asked.get("limit", "10000"), "Limit")
        if not 1 <= self.limit <= LARGEST_LIMIT:
            raise BadRequestError(f"Limit must be between 1 and {LARGEST_LIMIT}")
        self.first = _date(asked.get("start_date", f"{today[:8]}01"), "00:00:00", "Start")
        self.last = _date(asked.get("end_date", today), "23:59:59", "End")
        if asked.get("date_constant", "YESTERDAY") != "YESTERDAY":
            # No text is documented for it, nor for a colour that iovox doesn't have.
            raise BadRequestError("Date Constant invalid")
        if not COLOURS.issuperset(asked.get("tag_colour", "RED").split(",")):
            raise BadRequestError("Tag Colour invalid")
        if "date_constant" in asked:
            yesterday = str(date.fromisoformat(today) - timedelta(days=1))
            self.first, self.last = f"{yesterday} 00:00:00", f"{yesterday} 23:59:59"
        _integer(asked.get("iovox_number", "0"), "Iovox Number")
        self.default_fields = "response_fields" not in asked
        self.fields = set(asked.get("response_fields", DEFAULT_FIELDS).split(","))
        wrong = sorted(self.fields - FIELDS.keys())
        if wrong:
            raise BadRequestError(f"Required fields olvalid: {', '.join(wrong)}")
        self.filters = {name: value for name, value in asked.items() if name in FILTERS}

    def around(self) -> tuple[int, int]:
        """Epoch seconds a day before the first moment and a day after the last."""
        first, last = (
            int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
            for text in (self.first, self.last)
        )
        return first - DAY_SECONDS, last + DAY_SECONDS


def _order(text: str) -> tuple[str, str]:
    by, _, direction = text.rpartition("_")
    if direction not in {"ASC", "DESC"}:
        raise BadRequestError("Order Direction Invalid")
    if by not in FIELDS or by in WITHOUT_ORDER:
        raise BadRequestError("Order Field Invalid")
    return by, direction


def _integer(text: str, name: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", text):
        raise BadRequestError(f"{name} not an integer")
    return int(text)


def _date(text: str, rest: str, name: str) -> str:
    """`YYYY-MM-DD[ HH[:MM[:SS]]]`, completed from `rest`."""
    match = DATE.fullmatch(text)
    day, clock = match.groups(default="") if match else ("", "")
    try:
        return str(datetime.fromisoformat(f"{day} {clock}{rest[len(clock) :]}"))
    except ValueError:
        raise BadRequestError(f"{name} Date invalid") from None


Filter = Callable[[Mapping[str, Any], str, bool], bool]


def _equal(key: str) -> Filter:
    return lambda row, value, _: str(row.get(key, "")) == value


def _one_of(key: str) -> Filter:
    return lambda row, value, _: str(row.get(key, "")) in value.split(",")


def _category(kind: str) -> Filter:
    def passes(row: Mapping[str, Any], value: str, every: bool) -> bool:
        have = {category["category_id"] for category in row["categories"][f"{kind}_categories"]}
        wanted = set(value.split(","))
        return wanted <= have if every else bool(wanted & have)

    return passes


def _encoded(row: Mapping[str, Any], value: str, _: bool) -> bool:
    """Published: `44798833057321`, of which the first four digits are plain."""
    return bool(row["call_origin"]) and value == encoded(row["call_origin"])


def encoded(number: str) -> str:
    """A caller's number as the answers of some accounts show it."""
    return number[:4] + number[:3:-1]


FILTERS: Mapping[str, Filter] = {
    **{
        name: _equal(name)
        for name in (
            "node_id", "node_name", "node_type", "link_id", "link_name", "link_type",
            "call_result", "rule_result", "call_origin", "iovox_number", "call_destination",
            "direction",
        )
    },
    "id": _one_of("id"),
    "call_origin_encoded": _encoded,
    **{f"{kind}_category_ids": _category(kind) for kind in KINDS},
    "tag_text": lambda row, value, _: value in {tag["text"] for tag in row["tags"]},
    "tag_colour": lambda row, value, _: bool(
        set(value.split(",")) & {tag["colour"] for tag in row["tags"]}
    ),
    "keyword_rules": lambda row, value, _: (
        value in {rule["keyword_rule"] for rule in row["keyword_rules"]}
    ),
    "call_outcomes": lambda row, value, _: value in json.dumps(row["call_outcomes"]),
}  # fmt: skip
PARAMETERS = {
    "page", "limit", "order", "start_date", "end_date", "date_constant", "response_fields",
}  # fmt: skip
