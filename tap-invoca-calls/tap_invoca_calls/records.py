"""One call of the vendor's answer -> one typed record. Pure: no clock, no network, no log.

The vendor documents 41 fields, and examples that differ from its own table (see ``record``). All
values are text in its examples but the two booleans of the demographics, so numbers are kept as
the digits that were sent (``decode``), never as floats.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from singer_calls.errors import PluginError
from singer_calls.values import phone as phones

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

KEY = "transaction_id"

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes"), True),
    **dict.fromkeys(("false", "0", "no"), False),
}
# "Up-to 20 character string": a destination may carry an extension or tones to be dialled.
_DIALLED_AFTER = set("#*x,;")


class AnswerError(PluginError):
    """The vendor's answer can't be read, so nothing can be inferred from it."""


def utc(moment: datetime) -> str:
    """One fixed-width form for every time: UTC, whole seconds, ``2026-10-25T00:30:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decode(body: bytes) -> Any:  # noqa: ANN401
    """JSON, in which a key may occur twice and numbers stay as they were written.

    The vendor's examples hold ``external_unique_id`` twice in one call: null, then a value. The
    last value that is not null wins, so that neither order loses it.

    Raises:
        ValueError: The body is not JSON.
    """

    def last_value(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if value is None} | {
            key: value for key, value in pairs if value is not None
        }

    return json.loads(body, object_pairs_hook=last_value, parse_int=str, parse_float=str)


def text(value: Any) -> str | None:  # noqa: ANN401
    """Text as sent; nothing in it is null. A list, which the table promises, is joined by commas.

    Raises:
        ValueError: The value is an object, or a list of something else than text.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value) or None
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004
    return value or None


def time(value: Any) -> str | None:  # noqa: ANN401
    """A time with its offset (``2023-04-03T16:02:36-07:00``) as UTC.

    Raises:
        ValueError: Not a time, or one without an offset: its zone is not known.
    """
    written = text(value)
    if written is None:
        return None
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise ValueError
    return utc(moment)


def phone(value: Any) -> str | None:  # noqa: ANN401
    """E.164 where the number parses (a national one as of the US), else as sent."""
    written = text(value)
    if written is None or _DIALLED_AFTER & set(written):
        return written
    number = phones.parse(written, "US")
    return number.e164 if number else written


def boolean(value: Any) -> bool | None:  # noqa: ANN401
    """A boolean in any spelling.

    Raises:
        ValueError: Not a boolean.
    """
    written = text(value)
    if written is None:
        return None
    try:
        return _BOOLEANS[written.lower()]
    except KeyError:
        raise ValueError from None


def custom_data(value: Any) -> list[dict[str, str | None]]:  # noqa: ANN401
    """``{name: {value, source}}`` as a list of {name, value, source}, in the order of the names.

    Raises:
        ValueError: Not an object, or an entry without value and source.
    """
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004
    entries = (
        (name, entry if isinstance(entry, dict) else {"value": entry})
        for name, entry in sorted(value.items())
    )
    return [
        {"name": name, **{part: _text_or_null(entry.get(part)) for part in ("value", "source")}}
        for name, entry in entries
    ]


def demographics_data(value: Any) -> dict[str, str | bool | None] | None:  # noqa: ANN401
    """The 25 fields of an Enhanced Caller Profile; null where the vendor knows nothing (``{}``).

    Raises:
        ValueError: Not an object, or a field that is none of text or boolean.
    """
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004
    profile = {
        name: None if value.get(name) is None else convert(value[name])
        for name, convert in DEMOGRAPHICS.items()
    }
    return profile if any(item is not None for item in profile.values()) else None


def _text_or_null(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else text(value)


DEMOGRAPHICS: dict[str, Callable[[Any], str | bool | None]] = {
    f"{name}_data_append": boolean if name in {"is_prepaid", "has_children"} else text
    for name in (
        "display_name",
        "first_name",
        "last_name",
        "age_range",
        "gender",
        "address_type",
        "address_full_street",
        "address_city",
        "address_state",
        "address_zip",
        "address_country",
        "carrier",
        "line_type",
        "is_prepaid",
        "primary_email_address",
        "linked_email_addresses",
        "household_income",
        "marital_status",
        "home_owner_status",
        "home_market_value",
        "length_of_residence_years",
        "occupation",
        "education",
        "has_children",
        "high_net_worth",
    )
}

# "General Fields" of the vendor docs, and the two nested ones. Rankings are shown as "Top 10%".
FIELDS: dict[str, Callable[[Any], Any]] = {
    KEY: text,
    "advertiser_campaign_country": text,
    "advertiser_campaign_id": text,
    "advertiser_campaign_id_from_network": text,
    "advertiser_campaign_name": text,
    "advertiser_id": text,
    "advertiser_id_from_network": text,
    "advertiser_name": text,
    "affiliate_campaign_id_from_network": text,
    "affiliate_commissions_ranking": text,
    "affiliate_conversion_rate_ranking": text,
    "affiliate_id": text,
    "affiliate_id_from_network": text,
    "affiliate_name": text,
    "affiliate_volume_ranking": text,
    "bridge_start_time": time,
    "call_record_id": text,
    "call_status": text,
    "called_phone_number": phone,
    "calling_phone_number": phone,
    "city": text,
    "custom_data": custom_data,
    "demographics_data": demographics_data,
    "destination_phone_number": phone,
    "external_unique_id": text,
    "keypress_1": text,
    "keypress_2": text,
    "keypress_3": text,
    "keypress_4": text,
    "keypresses": text,
    "media_type": text,
    "phone_type": text,
    "promo_number_description": text,
    "promo_number_id": text,
    "qualified_regions": text,
    "region": text,
    # In the table ("whether the call was a repeat call"), in none of the examples.
    "repeat_calling_phone_number": boolean,
    "source": text,
    "start_time": time,
    "verified_zip_code": text,
    "zip_code": text,
}


def record(raw: Mapping[str, Any], oddities: Counter[str]) -> dict[str, Any]:
    """One call as the vendor sent it -> all of ``FIELDS``, absent ones as null.

    Tolerated, since the vendor's examples differ from its table: ``"key presses"`` with a space;
    ``demographics_data`` inside ``custom_data`` or beside it (it leaves ``custom_data`` in any
    case). What does not fit its type becomes null; what no field knows is dropped.

    Args:
        raw: The call, from ``decode``.
        oddities: Counts what became null or was dropped, by a sentence that names the field.

    Raises:
        AnswerError: The call has no transaction id.
    """
    call = dict(raw)
    if (spaced := call.pop("key presses", None)) is not None and not call.get("keypresses"):
        call["keypresses"] = spaced
    if isinstance(data := call.get("custom_data"), dict) and "demographics_data" in data:
        call["custom_data"] = {k: v for k, v in data.items() if k != "demographics_data"}
        call["demographics_data"] = call.get("demographics_data") or data["demographics_data"]

    typed: dict[str, Any] = dict.fromkeys(FIELDS)
    for name, value in call.items():
        if name not in FIELDS:
            oddities[f"Field {name} is unknown and was dropped"] += 1
        elif value is not None:
            try:
                typed[name] = FIELDS[name](value)
            except ValueError:
                oddities[f"Field {name} did not fit its type and was set to null"] += 1
    if typed[KEY] is None:
        raise AnswerError("Invoca sent a call without transaction_id, so its answer was not used.")
    return typed
