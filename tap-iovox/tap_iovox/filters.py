"""The setting ``filters``: the documented query filters by their own names (vendor docs, insights).

One object, since tools that read settings mask any text setting with ``id`` or ``key`` in its
name. Dates, order, pages and fields are no filters: the tap decides them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COLOURS = ("BLUE", "GREEN", "GOLD", "RED")

# What the request carries besides filters, and what decides it.
DECIDED_ELSEWHERE = {
    "start_date": "use the setting start_date",
    "end_date": "use the setting end_date",
    "date_constant": "use the settings start_date and end_date",
    "limit": "use the setting page_size",
    "page": "the tap turns the pages itself",
    "order": "the tap reads in the order of call_start",
    "response_fields": "select streams and fields in the catalog",
}


class Rule(NamedTuple):
    """What a filter's value has to look like, and the words for it."""

    pattern: str
    says: str
    takes_list: bool = False


TEXT = Rule(r".*\S.*", "must be text, and not empty")
INTEGER = Rule(r"\d+", "must be a whole number of digits only, such as 448456111222")
TEXTS = Rule(
    r"[^\s,]+(,[^\s,]+)*", "must be a comma list without spaces, such as A,B", takes_list=True
)
INTEGERS = Rule(
    r"\d+(,\d+)*", "must be a comma list of whole numbers, such as 1,2,3", takes_list=True
)
COLOUR = Rule(
    "({0})(,({0}))*".format("|".join(COLOURS)),
    f"must be one or more of {', '.join(COLOURS)}, separated by commas",
    takes_list=True,
)

# All 22 documented filters. A phone number is text where the documents know no error for it.
FILTERS: dict[str, Rule] = {
    "id": TEXTS,
    "node_id": TEXT,
    "node_name": TEXT,
    "node_type": TEXT,
    "link_id": TEXT,
    "link_name": TEXT,
    "link_type": TEXT,
    "call_result": TEXT,
    "rule_result": TEXT,
    "call_origin": TEXT,
    "call_origin_encoded": TEXT,
    "iovox_number": INTEGER,
    "call_destination": TEXT,
    "direction": TEXT,
    "link_category_ids": INTEGERS,
    "call_category_ids": INTEGERS,
    "node_category_ids": INTEGERS,
    "contact_category_ids": INTEGERS,
    "tag_text": TEXT,
    "tag_colour": COLOUR,
    "keyword_rules": TEXT,
    "call_outcomes": TEXT,
}


def errors(filters: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the setting.

    Yields:
        A sentence for each filter that is wrong: its name, never its value (it may be a phone
        number).
    """
    for name, value in filters.items():
        if name in DECIDED_ELSEWHERE:
            yield f"filters.{name} is not a filter: {DECIDED_ELSEWHERE[name]}"
        elif name not in FILTERS:
            yield f"filters.{name} is unknown: give one of {', '.join(FILTERS)}"
        elif value is not None and not _fits(FILTERS[name], value):
            yield f"filters.{name} {FILTERS[name].says}"
    if filters and not query(filters):
        yield "filters has nothing but null in it: give a value, or leave it out to read all calls"


def query(filters: Mapping[str, Any]) -> dict[str, str]:
    """The filters as the request carries them; a null one is none."""
    return {name: _written(value) for name, value in filters.items() if value is not None}


def _fits(rule: Rule, value: object) -> bool:
    if isinstance(value, list) and rule.takes_list:
        return bool(value) and all(_fits(rule, part) for part in value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return False
    return bool(re.fullmatch(rule.pattern, str(value), re.ASCII))


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
