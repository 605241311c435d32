"""Raw objects -> typed calls."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft7Validator

from singer_calls.extract import NotACallError, SchemaDrift
from tap_invox import records
from tap_invox.schemas import CALLS

ZONE = ZoneInfo("Europe/Bucharest")

# Vendor docs, "The returned result ... has the following structure", in their order.
DOCUMENTED = (
    "call_id date duration status caller receivingnumber destinationnumber source keyword "
    "referrer medium campaign page campaignid adgroupid network matchtype creative adposition "
    "device day hour recording_uri gclid fbclid gacid ttclid reason summary client_sentiment "
    "operator_sentiment utm_content utm_term utm_source account"
)


def conformed(raw, drift=None):
    return records.call(raw, drift or SchemaDrift(), ZONE)


def test_the_schema_has_the_documented_fields_and_describes_each():
    """All 35; and marks personal data where it is, in words and by a keyword."""
    properties = CALLS["properties"]
    assert list(properties) == DOCUMENTED.split()
    assert all(len(p["description"]) > 10 for p in properties.values())
    marked = {name for name, p in properties.items() if p.get("x-pii")}
    assert marked == {n for n, p in properties.items() if "Personal data." in p["description"]}
    assert {"caller", "summary", "gclid"} <= marked


def test_the_example_of_a_real_client_is_typed():
    """The shape that a client of the real service was seen to read."""
    raw = {
        "id": 1284411,
        "date": "2024-03-14 10:22:31",
        "duration": "74",
        "status": "Answered",
        "caller": "0722000111",
        "reason": "",
        "day": 14,
        "hour": 10,
        "recording_uri": None,
    }
    call = conformed(raw)
    assert call == {
        **dict.fromkeys(DOCUMENTED.split()),
        "call_id": 1284411,
        "date": "2024-03-14T08:22:31Z",
        "duration": 74,
        "status": "Answered",
        "caller": "0722000111",
        "day": "14",
        "hour": "10",
    }
    assert list(call) == DOCUMENTED.split()
    assert raw["id"] == 1284411
    Draft7Validator(CALLS).validate(call)


@pytest.mark.parametrize(
    "raw",
    [
        *({"id": 7}, {"call_id": 7}, {"call_id": "7"}, {"call_id": 7.0}),
        *({"call_id": 7, "id": 8}, {"call_id": "", "id": 7}, {"call_id": None, "id": "7"}),
    ],
)
def test_the_id_has_either_name(raw):
    """Documented is call_id, which wins; a real client reads id."""
    assert conformed(raw)["call_id"] == 7


@pytest.mark.parametrize(
    "raw",
    [
        *({}, {"call_id": None}, {"id": ""}, {"id": {}}, {"id": True}, {"call_id": "csv_7"}),
        *({"call_id": [7]}, {"call_id": 7.5}, {"call_id": 2**63}),
    ],
)
def test_a_call_without_an_id_is_no_record_and_known_for_a_call(raw):
    """It could be lost or doubled and nobody would know."""
    with pytest.raises(NotACallError, match="without a usable call_id") as error:
        conformed({**raw, "caller": "0722000111"})
    assert "0722" not in str(error.value)
    assert error.value.recognised


@pytest.mark.parametrize("raw", [None, 7, "x", [], [{}]])
def test_what_is_no_object_is_not_even_that(raw):
    """Something else than calls is in the list."""
    with pytest.raises(NotACallError, match="not an object") as error:
        conformed(raw)
    assert not error.value.recognised


def test_what_does_not_fit_is_null_and_counted():
    """By the name of the field; the call itself goes on."""
    drift = SchemaDrift()
    raw = {
        "id": 1,
        "date": "soon",
        "duration": "n/a",
        "caller": ["0722000111"],
        "summary": {"a": 1},
    }
    call = conformed(raw, drift)
    assert [call[name] for name in ("date", "duration", "caller", "summary")] == [None] * 4
    assert drift.misfits == {"date": 1, "duration": 1, "caller": 1, "summary": 1}
    assert not drift.unknown


def test_a_new_field_of_the_vendor_is_dropped_and_counted():
    """Nothing reaches the output that the schema does not have."""
    drift = SchemaDrift()
    assert "sip_id" not in conformed({"id": 1, "sip_id": 5, "": 1}, drift)
    assert drift.unknown == {"sip_id": 1, "": 1}


@pytest.mark.parametrize("value", ["", None])
def test_no_value_is_null(value):
    """In every field, in every way the vendor writes it."""
    call = conformed({"call_id": 1, **dict.fromkeys(DOCUMENTED.split()[1:], value)})
    assert call == {**dict.fromkeys(DOCUMENTED.split()), "call_id": 1}


def test_half_a_letter_can_be_written():
    """A text that the vendor cut within a surrogate pair must not end the run."""
    summary = conformed({"id": 1, "summary": "ok \ud83d"})["summary"]
    assert summary.encode() == b"ok ?"
