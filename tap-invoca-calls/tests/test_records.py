"""From the vendor's JSON to one typed record."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from singer_calls.extract import NotACallError, SchemaDrift
from tap_invoca_calls.records import DEMOGRAPHICS, FIELDS, decode, record

ANSWERS = Path(__file__).parent / "answers"
SCHEMA = json.loads(
    (files("tap_invoca_calls") / "schemas/calls_in_progress.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
WATCH_FIELDS = {"observed_at", "first_seen_at", "last_seen_at", "ended_at", "ended_while_stopped"}

FIRST = {
    "transaction_id": "ABCD1234-ABCD1234",
    "call_status": "bridged",
    "external_unique_id": "ExternalID-234",
    "calling_phone_number": "+15559999999",
    "destination_phone_number": "+18555595599",
    "called_phone_number": "+18557174046",
    "bridge_start_time": "2023-04-03T23:02:36Z",
    "call_record_id": "Z6E5-C7397356976E",
    "phone_type": "Mobile",
    "advertiser_campaign_country": "USA",
    "advertiser_campaign_id": "SampleCampaignID-123",
    "advertiser_campaign_id_from_network": "NetworkCampaignID-456",
    "advertiser_campaign_name": "Sample Campaign Name",
    "advertiser_id": "AdvertiserID-789",
    "advertiser_id_from_network": "NetworkAdvertiserID-012",
    "advertiser_name": "Sample Advertiser Name",
    "affiliate_campaign_id_from_network": "NetworkAffiliateCampaignID-345",
    "affiliate_commissions_ranking": "Top 10%",
    "affiliate_conversion_rate_ranking": "Top 20%",
    "affiliate_id": "AffiliateID-678",
    "affiliate_id_from_network": "NetworkAffiliateID-901",
    "affiliate_name": "Sample Affiliate Name",
    "affiliate_volume_ranking": "Top 5%",
    "city": "New York",
    "keypress_1": "1",
    "keypress_2": "2",
    "keypress_3": "3",
    "keypress_4": "4",
    "keypresses": "1,2,3,4",
    "media_type": "Online",
    "promo_number_description": "Sample Promo Description",
    "promo_number_id": "PromoID-567",
    "qualified_regions": "East Coast",
    "region": "North East",
    "repeat_calling_phone_number": None,
    "source": "Web",
    "start_time": "2023-04-03T23:00:00Z",
    "verified_zip_code": "10001",
    "zip_code": "10001",
    "custom_data": [
        {
            "name": "calling_page",
            "value": "https://www.doggydaycare.com/boarding",
            "source": "DynamicAttribution",
        },
        {"name": "channel", "value": "SEM", "source": "DynamicAttribution"},
        {"name": "g_cid", "value": "asdf-1234-zxcv-5678", "source": "DynamicAttribution"},
        {"name": "lead_type", "value": "StoreCall", "source": "VirtualLine"},
        {"name": "utm_source", "value": "google.com", "source": "VirtualLine"},
    ],
    "demographics_data": None,
}
SECOND = FIRST | {
    "transaction_id": "ABCD5678-ABCD5678",
    "calling_phone_number": "+15559998888",
    "bridge_start_time": "2023-04-03T23:05:42Z",
    "call_record_id": "Z6E5-C7397356576G",
    "custom_data": [{"name": "utm_source", "value": "google.com", "source": "VirtualLine"}],
}
PROFILE = dict.fromkeys(DEMOGRAPHICS) | {
    "display_name_data_append": "John Doe",
    "first_name_data_append": "John",
    "last_name_data_append": "Doe",
    "gender_data_append": "Male",
    "address_type_data_append": "Street or Residential Address",
    "address_full_street_data_append": "1234 N Main St",
    "address_city_data_append": "Fresno",
    "address_state_data_append": "CA",
    "address_zip_data_append": "93703",
    "carrier_data_append": "New Cingular Wireless Pcs, Llc",
    "line_type_data_append": "Mobile",
    "is_prepaid_data_append": False,
    "household_income_data_append": "30k-40k",
    "length_of_residence_years_data_append": "6 years",
    "has_children_data_append": True,
}
ATTRIBUTION = dict.fromkeys(FIELDS) | {
    name: FIRST[name]
    for name in (
        "transaction_id",
        "call_status",
        "calling_phone_number",
        "destination_phone_number",
        "called_phone_number",
        "bridge_start_time",
        "call_record_id",
    )
}
DOCUMENTED = {
    "organization": [FIRST, SECOND],
    "one_call": [FIRST],
    "external_unique_id": [FIRST | {"external_unique_id": "mycalls00001"}],
    "phone_numbers": [
        FIRST
        | {
            "external_unique_id": None,
            "calling_phone_number": "+15309999999",
            "demographics_data": PROFILE,
        }
    ],
    "attribution": [ATTRIBUTION],
}


def conformed(**fields: object) -> dict[str, object]:
    """A call with these fields, as a record that fits its schema."""
    return record({"transaction_id": "A1", **fields}, SchemaDrift())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_answers_become_the_documented_values(name):
    """Each example answer of the vendor, field by field, with nothing dropped."""
    calls = decode((ANSWERS / f"{name}.json").read_bytes())["current_calls"]
    drift = SchemaDrift()
    assert [record(call, drift) for call in calls] == DOCUMENTED[name]
    assert not drift.unknown
    assert not drift.misfits


def test_each_answer_is_a_test():
    """No example lies beside the table above."""
    assert {path.stem for path in ANSWERS.iterdir()} == set(DOCUMENTED)


def test_schema_and_fields_are_the_same_41():
    """Every documented field has a property with a description, and the watch adds its own."""
    assert len(FIELDS) == 41
    assert set(SCHEMA["properties"]) == {*FIELDS, *WATCH_FIELDS}
    assert set(SCHEMA["properties"]["demographics_data"]["properties"]) == set(DEMOGRAPHICS)
    assert len(DEMOGRAPHICS) == 25
    assert all(item["description"] for item in SCHEMA["properties"].values())


def test_all_but_the_key_may_be_null():
    """An account for attribution gets 8 fields, and every one may be missing."""
    nullable = {name for name, item in SCHEMA["properties"].items() if "null" in item["type"]}
    assert nullable == {*FIELDS, *WATCH_FIELDS} - {"transaction_id", "observed_at"}


@pytest.mark.parametrize("values", [("null", '"E-1"'), ('"E-1"', "null"), ('"E-0"', '"E-1"')])
def test_of_a_key_that_occurs_twice_the_last_value_wins_and_null_never_does(values):
    """The examples hold external_unique_id twice in one call."""
    pairs = ", ".join(f'"external_unique_id": {value}' for value in values)
    call = decode(f'{{"transaction_id": "A1", {pairs}}}'.encode())
    assert record(call, SchemaDrift())["external_unique_id"] == "E-1"


def test_a_raw_line_break_in_a_text_is_kept():
    """Wrong JSON, and harmless: else a note of one caller would hold up every poll."""
    call = decode('{"transaction_id": "A1", "advertiser_name": "A\nB\tC"}')
    assert record(call, SchemaDrift())["advertiser_name"] == "A\nB\tC"


@pytest.mark.parametrize("spelling", ["keypresses", "key presses"])
@pytest.mark.parametrize("value", ["1,2", ["1", "2"]])
def test_keypresses_has_one_name_and_one_form(spelling, value):
    """The examples write it with a space, the table promises a list."""
    assert conformed(**{spelling: value})["keypresses"] == "1,2"


@pytest.mark.parametrize(
    "places",
    [
        {"custom_data": {"demographics_data": {"gender_data_append": "Male"}}},
        {"demographics_data": {"gender_data_append": "Male"}},
        {
            "custom_data": {"demographics_data": {}},
            "demographics_data": {"gender_data_append": "Male"},
        },
    ],
)
def test_demographics_are_found_where_they_are(places):
    """Inside custom_data as in the examples, or beside it as in the text."""
    call = conformed(**places)
    assert call["demographics_data"] == dict.fromkeys(DEMOGRAPHICS) | {"gender_data_append": "Male"}
    assert "Male" not in str(call["custom_data"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("+18005551234", "+18005551234"),
        ("18005551234", "+18005551234"),
        ("8005551234", "+18005551234"),
        ("800-555-1234", "+18005551234"),
        ("+447700900123", "+447700900123"),
        ("8005551234x12", "8005551234x12"),
        ("8005551234,,5#", "8005551234,,5#"),
        ("anonymous", "anonymous"),
        ("911", "911"),
        ("", None),
    ],
)
def test_numbers_are_e164_where_they_parse_else_as_sent(sent, kept):
    """The vendor's four formats; what is dialled after a number is part of it."""
    assert conformed(destination_phone_number=sent)["destination_phone_number"] == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(True, True), ("TRUE", True), ("no", False), ("0", False), (0, False), ("", None)],
)
def test_a_boolean_has_many_spellings(sent, kept):
    """Only the table has repeat_calling_phone_number: text and boolean are both seen elsewhere."""
    call = decode(
        json.dumps({"transaction_id": "A1", "repeat_calling_phone_number": sent}).encode()
    )
    assert record(call, SchemaDrift())["repeat_calling_phone_number"] is kept


def test_what_fits_no_field_is_named_and_its_value_is_not():
    """A new field, a time without zone and an object for text: dropped, counted, never shown."""
    drift = SchemaDrift()
    call = {
        "transaction_id": "A1",
        "brand_new": "+15550001111",
        "start_time": "2023-04-03 16:02:36",
        "city": {"name": "+15550001111"},
    }
    assert record(call, drift) == dict.fromkeys(FIELDS) | {"transaction_id": "A1"}
    assert set(drift.unknown) == {"brand_new"}
    assert set(drift.misfits) == {"start_time", "city"}
    assert "5550001111" not in str(vars(drift))


@pytest.mark.parametrize("call", [{}, {"transaction_id": None}, {"transaction_id": ""}])
def test_a_call_without_its_key_makes_the_answer_unusable(call):
    """Dropping it in silence could end a call that is still on the line."""
    with pytest.raises(NotACallError, match="transaction_id"):
        record(call, SchemaDrift())


def test_one_part_of_a_nested_field_that_does_not_fit_costs_itself():
    """What the others say decides who is paid: several values are one text, an odd one is null."""
    drift = SchemaDrift()
    raw = {
        "transaction_id": "A1",
        "custom_data": {
            "odd": {"value": {"a": 1}, "source": "Api"},
            "picked": {"value": ["new", "used"], "source": ["Api"]},
            "utm_source": {"value": "google", "source": "VirtualLine"},
        },
        "demographics_data": {"gender_data_append": "Male", "is_prepaid_data_append": "perhaps"},
    }
    call = record(raw, drift)
    assert call["custom_data"] == [
        {"name": "odd", "value": None, "source": "Api"},
        {"name": "picked", "value": "new,used", "source": "Api"},
        {"name": "utm_source", "value": "google", "source": "VirtualLine"},
    ]
    assert call["demographics_data"] == dict.fromkeys(DEMOGRAPHICS) | {"gender_data_append": "Male"}
    assert drift.misfits == {
        "custom_data.*.value": 1,
        "demographics_data.is_prepaid_data_append": 1,
    }


def test_custom_data_may_come_as_a_list():
    """As in Invoca's Transactions API."""
    listed = [{"name": "utm_source", "value": "google", "source": "Api", "data_type": "String"}]
    call = record({"transaction_id": "A1", "custom_data": listed}, SchemaDrift())
    assert call["custom_data"] == [{"name": "utm_source", "value": "google", "source": "Api"}]
    assert record({"transaction_id": "A1", "custom_data": []}, SchemaDrift())["custom_data"] == []


def test_an_unknown_part_of_a_nested_field_is_counted_as_a_field_is():
    """By its path, without the name that the user gave."""
    drift = SchemaDrift()
    raw = {
        "transaction_id": "A1",
        "custom_data": {"mine": {"value": "x", "source": None, "since": 1}},
        "demographics_data": {"age_range_data_append": "18-24", "shoe_size": 44},
    }
    record(raw, drift)
    assert drift.unknown == {"custom_data.*.since": 1, "demographics_data.shoe_size": 1}


ANYTHING = [
    *("", " ", "x", "\x00", "\u202e+1", "9" * 400, "+", "true", "2023-13-45T00:00:00Z"),
    *(True, False, 0, -1, 1.5, 10**30, [], [None], ["a", "b"], [[]], [{}], {}, {"": None}),
    {"value": {}},
    {"a": []},
    {"\ud800": "\ud800"},
    {"a": {"value": []}},
    {"a": {"value": True, "source": 7}},
    {"is_prepaid_data_append": "perhaps"},
    {"gender_data_append": ["x"]},
    {"demographics_data": 3},
]


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"transaction_id"}))
def test_whatever_is_sent_the_record_fits_its_schema(field):
    """Any JSON in any field gives a valid record, or null in that field alone."""
    for value in ANYTHING:
        sent = decode(json.dumps({"transaction_id": "A1", field: value}).encode())
        seen = record(sent, SchemaDrift()) | dict.fromkeys(WATCH_FIELDS - {"observed_at"})
        msgspec.json.encode(seen)
        VALIDATOR.validate(seen | {"observed_at": "2026-01-01T00:00:00Z"})
