"""A call as JSON: five fields of ours, and whatever else the record has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from singer_calls.deliver import (
    DURATION,
    InvalidCallError,
    Kind,
    Parameter,
    given,
    in_identity,
    json_body,
    named,
    render,
    scalar,
    text,
)
from singer_calls.values import phone
from singer_calls.values.clock import utc_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver import Local, Rendered

KEY = "call_id"
MOMENT = "start_time"
PARTNER = "partner"

_MOMENT = Kind("date-time, sent as UTC; bare times are in `timezone`", scalar, in_identity)
_NUMBER = Kind("phone number, sent as E.164; what is none is sent as it is", scalar, in_identity)

PARAMETERS = (
    Parameter(KEY, text(), "Id of the call in the source: it is sent once under it", required=True),
    Parameter(MOMENT, _MOMENT, "When the call began"),
    Parameter("caller", _NUMBER, "The caller's number; left out when withheld"),
    Parameter("called", _NUMBER, "The number that was called"),
    Parameter("duration", DURATION, "Whole call, seconds"),
    Parameter(PARTNER, text(), "Whom the call is for: a dry run counts calls by it"),
)
_OURS = {parameter.name for parameter in PARAMETERS}


def rendered(record: Mapping[str, Any], local: Local) -> Rendered:
    """One record as one call.

    Raises:
        InvalidCallError: It has no id, or a value of our own fields can't be read.
    """
    values = given(PARAMETERS, record, {})
    warnings: list[str] = []
    moment = None
    if MOMENT in values:
        at, warnings = local.moment(MOMENT, values[MOMENT])
        values[MOMENT], moment = utc_text(at.astimezone(UTC)), int(at.timestamp())
    withheld = phone.is_withheld(values.get("caller"))
    if withheld:
        del values["caller"]
    caller, called = (_number(name, values, local) for name in ("caller", "called"))
    ours = render(PARAMETERS, values)
    others = {
        name: value
        for name, value in record.items()
        if name not in _OURS and not name.startswith("_sdc_")
    }
    return replace(
        ours,
        values={**ours.values, **others},
        warnings=(*warnings, *ours.warnings),
        canonical=(*ours.canonical, *(_canonical(*item, local) for item in others.items())),
        key=ours.values[KEY],
        moment=moment,
        caller=caller,
        withheld=withheld,
        called=called,
        duration=ours.values.get("duration"),
    )


def place(record: Mapping[str, Any], local: Local) -> tuple[str, int | None]:
    """Key and moment of a record that can't be rendered; InvalidCallError without a key."""
    key: str = named(KEY, scalar, record.get(KEY))
    try:
        return key, int(local.moment(MOMENT, record.get(MOMENT))[0].timestamp())
    except InvalidCallError:
        return key, None


def _number(name: str, values: dict[str, Any], local: Local) -> str | None:
    number = phone.parse(values.get(name), local.country)
    if number is None:
        return None
    values[name] = number.e164
    return number.digits


def _canonical(name: str, value: object, local: Local) -> str:
    """A field that is not ours; a phone number leads into no fingerprint."""
    known = isinstance(value, str) and phone.parse(value, local.country) is not None
    return f"{name}={'' if known else json_body(value).decode()}"
