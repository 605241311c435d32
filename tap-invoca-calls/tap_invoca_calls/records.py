"""One call of the vendor's answer -> one typed record. Pure: no clock, no network, no log.

The vendor documents 41 fields; its own examples differ from its table (``record``). All values
are text in them but two booleans of the demographics, so a number is kept as the digits that were
sent (``decode``), never as a float.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from singer_calls.extract import Record, SchemaDrift, conform, last_value, text
from singer_calls.values import phone as phones
from singer_calls.values.boolean import boolean
from singer_calls.values.clock import utc_text

if TYPE_CHECKING:
    from collections.abc import Callable

VENDOR = "Invoca"
KEY = "transaction_id"

# "Up-to 20 character string": a destination may carry an extension or tones to be dialled.
_DIALLED_AFTER = set("#*x,;")


def decode(body: str) -> Any:  # noqa: ANN401
    """JSON, in which a key may occur twice and numbers stay as they were written.

    The vendor's examples hold ``external_unique_id`` twice in one call: null, then a value.

    Raises:
        ValueError: The body is not JSON.
    """
    # strict=False: a raw line break inside a text is wrong JSON and harmless.
    return json.loads(
        body, strict=False, object_pairs_hook=last_value, parse_int=str, parse_float=str
    )


def names(value: object) -> str | None:
    """Several names as one text: sent so in the examples, as a list by the table.

    Raises:
        ValueError: Neither text nor a list of texts.
    """
    return (",".join(map(text, value)) if isinstance(value, list) else text(value)) or None


def time(value: object) -> str:
    """A time with its offset (``2023-04-03T16:02:36-07:00``) as UTC.

    Raises:
        ValueError: Not a time, or one without an offset: its zone is not known.
    """
    moment = datetime.fromisoformat(text(value))
    if moment.tzinfo is None:
        raise ValueError("without an offset")
    try:
        return utc_text(moment)
    except OverflowError:
        raise ValueError("outside of the years 1 to 9999") from None


def phone(value: object) -> str:
    """E.164 where the number parses (a national one as of the US), else as sent.

    Raises:
        ValueError: Not a text.
    """
    written = text(value)
    number = None if _DIALLED_AFTER & set(written) else phones.parse(written, "US")
    return number.e164 if number else written


def custom_data(value: object) -> list[Record]:
    """``{name: {value, source}}`` as a list of {name, value, source}, in the order of the names.

    A part that is no text, nor several, is null. Invoca's Transactions API has a list already.

    Raises:
        ValueError: Neither an object, nor a list of objects with names.
    """
    if isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value):
        value = {text(one["name"]): one for one in value}
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004
    parts = {
        name: entry if isinstance(entry, dict) else {"value": entry}
        for name, entry in sorted(value.items())
    }
    return [
        {"name": text(name)}
        | {part: _or_null(names, entry.get(part)) for part in ("value", "source")}
        for name, entry in parts.items()
    ]


def demographics_data(value: object) -> Record | None:
    """The 25 fields of an Enhanced Caller Profile; null where the vendor knows nothing (``{}``).

    A field that does not fit its type is null.

    Raises:
        ValueError: Not an object.
    """
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004
    profile = {name: _or_null(convert, value.get(name)) for name, convert in DEMOGRAPHICS.items()}
    return profile if any(item is not None for item in profile.values()) else None


def _or_null(convert: Callable[[Any], object], value: object) -> object:
    with suppress(ValueError):
        return None if value in (None, "") else convert(value)
    return None


def _fits(convert: Callable[[Any], object], value: object) -> bool:
    try:
        convert(value)
    except ValueError:
        return False
    return True


DEMOGRAPHICS: dict[str, Callable[[Any], object]] = {
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
FIELDS: dict[str, Callable[[Any], object]] = {
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
    "keypresses": names,
    "media_type": text,
    "phone_type": text,
    "promo_number_description": text,
    "promo_number_id": text,
    "qualified_regions": names,
    "region": text,
    # In the table ("whether the call was a repeat call"), in none of the examples.
    "repeat_calling_phone_number": boolean,
    "source": text,
    "start_time": time,
    "verified_zip_code": text,
    "zip_code": text,
}


def record(raw: object, drift: SchemaDrift) -> Record:
    """One call as the vendor sent it -> all of ``FIELDS``, absent ones as null.

    Tolerated, since the vendor's examples differ from its table: ``"key presses"`` with a space;
    ``demographics_data`` inside ``custom_data`` or beside it (it leaves ``custom_data`` in any
    case).

    Args:
        raw: The call, from ``decode``.
        drift: Counts what became null or was dropped.

    Raises:
        NotACallError: It is no call, or has no transaction id.
    """
    if isinstance(raw, dict):
        raw = dict(raw)
        spaced = raw.pop("key presses", None)
        raw["keypresses"] = raw.get("keypresses") or spaced
        if isinstance(data := raw.get("custom_data"), dict) and "demographics_data" in data:
            raw["custom_data"] = {k: v for k, v in data.items() if k != "demographics_data"}
            raw["demographics_data"] = raw.get("demographics_data") or data["demographics_data"]
        _count_odd_parts(raw, drift)
    return conform(raw, FIELDS, drift, key=KEY)


def _count_odd_parts(call: Record, drift: SchemaDrift) -> None:
    """Count what no schema knows inside the two nested fields, and what is null, as at the top."""
    data, profile = call.get("custom_data"), call.get("demographics_data")
    if isinstance(data, dict):
        for entry in data.values():
            for part in entry.keys() - {"value", "source"} if isinstance(entry, dict) else ():
                drift.count_unknown(f"custom_data.*.{part}")
            parts = entry if isinstance(entry, dict) else {"value": entry}
            for part in ("value", "source"):
                if (sent := parts.get(part)) is not None and not _fits(names, sent):
                    drift.count_misfit(f"custom_data.*.{part}")
    if isinstance(profile, dict):
        for name in profile.keys() - DEMOGRAPHICS.keys():
            drift.count_unknown(f"demographics_data.{name}")
        for name, convert in DEMOGRAPHICS.items():
            if (sent := profile.get(name)) not in (None, "") and not _fits(convert, sent):
                drift.count_misfit(f"demographics_data.{name}")
