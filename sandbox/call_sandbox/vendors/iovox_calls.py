"""A call in iovox's words: every documented response field, and the published examples."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from call_sandbox.calls import CHANNELS, DAY_SECONDS, HOUR_SECONDS, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

FIRST_ID = 30_683_200_000_000
"""Ids have 14 digits and grow with time, as the two published ones do."""

KINDS = ("link", "call", "node", "contact")

# Documented name of a field -> where the answer has it: (list, key); "" is the call itself.
FIELDS: dict[str, tuple[str, str]] = {
    **{
        name: ("", name)
        for name in (
            "id", "call_start", "call_end", "call_origin", "call_origin_location",
            "iovox_number", "call_destination", "call_time", "talk_time", "call_type",
            "call_result", "rule_result", "node_id", "node_name", "node_type", "link_id",
            "link_name", "link_type", "has_recording", "direction",
        )
    },
    "call_time_seconds": ("", "call_time_sec"),
    "talk_time_seconds": ("", "talk_time_sec"),
    "email_alert": ("", "email_alert"),
    **{
        f"{kind}_category_{name}": (f"{kind}_categories", key)
        for kind in KINDS
        for name, key in (("id", "category_id"), ("label", "label"), ("value", "value"))
    },
    **{f"tag_{name}": ("tags", name) for name in ("text", "colour", "source_type")},
    "keyword_rules": ("keyword_rules", ""),
    **{
        f"task_{name}": ("tasks", name)
        for name in (
            "username", "created", "assigned_username", "reminder_date", "reminder_message",
            "status", "due_date",
        )
    },
    "comment_id": ("comments", "comment_id"),
    **{f"comment_{key}": ("comments", key) for key in ("created", "username", "language", "text")},
    "call_outcomes": ("call_outcomes", ""),
    "transcription_id": ("transcriptions", "transcription_id"),
    **{f"transcription_{key}": ("transcriptions", key) for key in ("language", "text", "phrases")},
}  # fmt: skip

RESULT = {
    "documented": {
        "answered": "ANSWERED", "no_answer": "NO ANSWER", "busy": "BUSY", "rejected": "HANGUP",
        "voicemail": "ANSWERED [MACHINE DETECTED]", "unallocated": "DESTINATION IS VOXNUMBER",
    },
    # The vendor's call-flow documents use these words.
    "call_flow": {
        "answered": "ANSWERED", "no_answer": "NO_ANSWER", "busy": "BUSY", "rejected": "REJECTED",
        "voicemail": "ANSWERED", "unallocated": "CANCELLED",
    },
}  # fmt: skip
UNFORWARDED = ("DESTINATION IS VOXNUMBER", "NO RULES SET", "NUMBER ON HOLD")
"""Documented words for a call that nobody could take."""

FLAG: Mapping[str, Callable[[bool], Any]] = {
    "TRUE": lambda value: "TRUE" if value else "FALSE",
    "1": lambda value: "1" if value else "0",
    "json": bool,
}
OUTCOME: Mapping[str, Callable[[str], list[Any]]] = {
    "empty": lambda _: [],
    "text": lambda word: [word],
    "object": lambda word: [{"call_outcome": word, "created_by": "sandbox"}],
}
TAGS = (("Test Drive", "GOLD"), ("Sale", "GREEN"), ("Complaint", "RED"), ("Service", "BLUE"))
OUTCOMES = ("Sale", "Appointment", "Not interested")
SPEECH = (
    ("called", "Hello, how can I help you?"),
    ("caller", "I'm calling about your offer, is it still available?"),
    ("called", "Yes, it is. Would you like to come and take a look?"),
    ("caller", "I'll call again tomorrow, thank you."),
)
ADMIN = "manager@clinica.example"
LATEST_COMMENT_SECONDS = 18 * DAY_SECONDS
"""The published comment was written 18 days after its call."""

LATEST_TRANSCRIPTION_SECONDS = HOUR_SECONDS // 2
"""Vendor docs, transcribeCallRecording."""


def identity(call: Call) -> int:
    """The id of a call."""
    return FIRST_ID + call.number * 100 + call.dice[12] % 100


def caller(call: Call) -> str:
    """Who called, E.164 or a word in digits, "" when withheld.

    Other customers than INVOX's: two vendors that track one call are a delivery's double, which
    targets look for.
    """
    number = call.caller
    if not number.startswith("+4"):
        return number
    return f"{number[:-2]}{(int(number[-2:]) + 37) % 100:02}"


def row(call: Call, start: int, now: float, switch: Mapping[str, Any]) -> dict[str, Any]:
    """One call with everything that is known of it at `now`, in the answer's shape."""
    # Where no number tells it from INVOX's call, its length does.
    dice, end = call.dice, start + call.ring + call.talk + (caller(call) == call.caller)
    local = _clock(switch["timezone"])
    answered = call.talk > 0
    place = CHANNELS.index(call.channel)
    out = dice[13] % 50 == 0
    country = "UNITED KINGDOM" if call.caller.startswith("+44") else "ROMANIA"
    kind = "MOBILE" if call.caller.startswith(("+447", "+407")) else "LANDLINE"
    located = call.caller.startswith(("+44", "+40"))
    result, forwarded = _result(call, switch["result"])
    destination = call.destination[1:] if forwarded else ""
    heard = answered and now >= end + dice[14] % LATEST_TRANSCRIPTION_SECONDS and call.recorded
    commented = dice[15] % 6 == 0 and now >= end + dice[6] % LATEST_COMMENT_SECONDS
    return {
        "id": identity(call),
        "call_start": local(start),
        "call_end": local(end),
        "call_origin": caller(call)[1:],
        "call_origin_location": f"{kind},{country}" if located else "",
        "iovox_number": call.tracking[1:],
        "call_destination": destination,
        "call_time": _hms(end - start),
        "call_time_sec": end - start,
        "talk_time": _hms(call.talk),
        "talk_time_sec": call.talk,
        "call_type": "DIRECT" if dice[13] % 9 else "API",
        "call_result": result,
        "rule_result": f"Forward call to: {call.destination[1:]}" if answered else "",
        "node_id": str(1 + dice[0] % 4),
        "node_name": call.business.name,
        "node_type": "",
        "link_id": str(53 + place),
        "link_name": f"{call.business.name} {call.channel.name}",
        "link_type": "default-type",
        "has_recording": FLAG[switch["flag"]](call.recorded),
        "email_alert": "",
        "direction": "OUT" if out else "IN",
        "categories": {
            "link_categories": [_category(0, "green1", call.channel.name)],
            "call_categories": [
                *([_category(7, "red1", "Sales")] if dice[14] % 4 == 0 else []),
                *([_category(0, "irclickid", call.click)] if call.click else []),
            ],
            "node_categories": [
                _category(1 + dice[0] % 4, "green1", call.business.country),
                _category(0, "blue1", "Dealership"),
            ],
            "contact_categories": [],
        },
        "comments": [
            {
                "comment_id": f"{dice[4]:08x}{dice[5]:08x}{dice[6]:08x}{dice[7]:08x}",
                "created": local(end + dice[6] % LATEST_COMMENT_SECONDS),
                "username": ADMIN,
                "language": "en",
                "text": "Call back on Monday.",
            }
        ]
        if commented
        else [],
        "transcriptions": [_transcription(dice)] if heard else [],
        "tags": [_tag(dice[8])] if heard else [],
        "keyword_rules": [
            {
                "keyword_rule": "Visit discussed",
                "keywords": [
                    {"keyword": "take a look", "count": 1},
                    {"keyword": "come", "count": 1 + dice[9] % 3},
                ],
            }
        ]
        if heard and dice[9] % 2
        else [],
        "tasks": [
            {
                "username": ADMIN,
                "created": local(end + 60),
                "assigned_username": ADMIN,
                "reminder_date": local(end + DAY_SECONDS),
                "reminder_message": "Send the offer.",
                "status": "OPEN",
                "due_date": local(end + 2 * DAY_SECONDS),
            }
        ]
        if dice[10] % 20 == 0
        else [],
        "call_outcomes": OUTCOME[switch["outcomes"]](OUTCOMES[dice[11] % 3]) if heard else [],
    }


def _result(call: Call, words: str) -> tuple[str, bool]:
    """The vendor's word for how a call ended, and whether it was forwarded to anybody."""
    if words == "documented" and call.outcome == "unallocated":
        word = UNFORWARDED[call.dice[15] % 3]
        return word, word not in {"NO RULES SET", "NUMBER ON HOLD"}
    return RESULT[words][call.outcome], True


def pruned(row: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """What the answer keeps of a row when only these documented fields are asked for."""
    shown: dict[str, Any] = {}
    keys: dict[str, set[str]] = {}
    for part, key in (FIELDS[name] for name in FIELDS if name in fields):
        if part:
            keys.setdefault(part, set()).add(key)
        elif key in row:
            shown[key] = row[key]
    categories = {
        f"{kind}_categories": _kept(row["categories"], f"{kind}_categories", keys)
        for kind in KINDS
        if f"{kind}_categories" in keys
    }
    if categories:
        shown["categories"] = categories
    lists = (part for part in keys if part not in categories)
    return shown | {part: _kept(row, part, keys) for part in lists}


@cache
def documented() -> list[dict[str, Any]]:
    """The two published calls with all that the published answers tell of them, newest first.

    The default answer goes first: it has the talk times of the two calls swapped.
    """
    source = files("call_sandbox.vendors").joinpath("iovox_documented.json").read_text("utf-8")
    calls: list[dict[str, Any]] = [{}, {}]
    for example in json.loads(source):
        for call, part in zip(calls, example["answer"], strict=True):
            call.update(part)
    return calls


def _kept(row: Mapping[str, Any], part: str, keys: Mapping[str, set[str]]) -> list[Any]:
    if "" in keys[part]:
        return list(row[part])
    return [{k: v for k, v in element.items() if k in keys[part]} for element in row[part]]


def _clock(zone: str) -> Callable[[int], str]:
    info = ZoneInfo(zone)
    return lambda moment: datetime.fromtimestamp(moment, info).replace(tzinfo=None).isoformat(" ")


def _hms(seconds: int) -> str:
    return f"{seconds // HOUR_SECONDS:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _category(number: int, label: str, value: str) -> dict[str, str]:
    return {"category_id": str(number or ""), "label": label, "value": value}


def _tag(die: int) -> dict[str, str]:
    text, colour = TAGS[die % len(TAGS)]
    return {"text": text, "colour": colour, "source_type": "insights_trigger"}


def _transcription(dice: tuple[int, ...]) -> dict[str, Any]:
    speech = SPEECH[: 2 + dice[9] % 3]
    return {
        "transcription_id": f"AYfm_{dice[4]:08x}{dice[5]:07x}",
        "language": "en",
        "text": "\n".join(said for _, said in speech),
        "phrases": [
            {"phrase": said, "speaker": who, "start": 4000 * n, "end": 4000 * n + 3600, "turn": n}
            for n, (who, said) in enumerate(speech)
        ],
    }  # fmt: skip
