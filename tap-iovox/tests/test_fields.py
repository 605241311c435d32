"""The table of response fields against the vendor's documentation and the schemas."""

from __future__ import annotations

from call_sandbox.vendors.iovox_calls import FIELDS
from tap_iovox.fields import RESPONSE_FIELDS
from tap_iovox.schemas import SCHEMAS


def test_every_documented_field_is_in_the_table_once():
    """The sandbox has its own copy of the documented list."""
    names = [field.request for field in RESPONSE_FIELDS]
    assert len(names) == len(set(names)) == 56
    assert {*names} == {*FIELDS}


def test_every_field_has_its_place_in_the_schema():
    """A call's own field under the request's name, an element's under the answer's."""
    for field in RESPONSE_FIELDS:
        properties = SCHEMAS["calls"]["properties"]
        if not field.part:
            assert field.request in properties
            continue
        for name in field.part.split("."):
            place = properties[name]
            properties = place.get("properties") or place["items"]["properties"]
        assert not field.answer or field.answer in properties


def test_every_property_of_every_stream_is_described():
    """Personal data is marked, wherever it stands."""

    def walk(schema):
        for name, part in schema.get("properties", {}).items():
            yield name, part
            yield from walk(part)
            yield from walk(part.get("items", {}))

    for schema in SCHEMAS.values():
        for name, part in walk(schema):
            assert part["description"].endswith("."), name
            assert ("Personal data." in part["description"]) == part.get("x-pii", False), name
            personal = {"call_origin", "call_destination", "username", "phrase"}
            assert name not in personal or part["x-pii"]
