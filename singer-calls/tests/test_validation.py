"""Source records against the source's schema, as other targets read it."""

from __future__ import annotations

import socket
from contextlib import suppress
from decimal import Decimal

import pytest
from singer_sdk.exceptions import InvalidJSONSchema

from singer_calls.deliver.messages import decode
from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.deliver.validation import SourceValidator


def validator(rule, keys=()):
    return SourceValidator({"type": "object", "properties": {"a": rule}}, keys, check=True)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ({"type": "integer"}, ["60", "60.0", "6e1", "-0.0"], ["60.5", '"60"', "true", "null"]),
        ({"type": ["null", "number"]}, ["1.5", "null", "1e300"], ['"1.5"']),
        ({"type": "number", "multipleOf": 0.01}, ["0.30", "1.005", "7"], []),
        ({"type": "number", "multipleOf": 1e-9, "minimum": 0.1}, ["0.1"], ["0.01"]),
        # Draft 4, without a $schema, as pipelinewise's taps write it.
        (
            {"type": "integer", "maximum": 10, "exclusiveMaximum": True},
            ["9", "-3"],
            ["10", "11"],
        ),
        ({"type": "integer", "maximum": 10, "exclusiveMaximum": False}, ["10"], ["11"]),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, ["2"], ["1"]),
        ({"type": "integer", "exclusiveMinimum": True}, ["-2", "2"], []),
        ({"type": "integer", "exclusiveMaximum": 10}, ["9"], ["10"]),
        ({"enum": [1, "a", None]}, ["1", '"a"', "null"], ["2"]),
        ({"const": {"exclusiveMaximum": True, "maximum": 3}},
         ['{"exclusiveMaximum": true, "maximum": 3}'], ["3"]),
        ({"type": "string", "maxLength": 3}, ['"abc"'], ['"abcd"']),
        ({"type": "string", "format": "date-time"}, ['"yesterday"'], []),
        ({"anyOf": [{"type": "string"}, {"maximum": 3, "exclusiveMaximum": True}]},
         ['"x"', "2.5"], ["3"]),
        ({"type": "object", "properties": {"maximum": {"type": "integer"}}},
         ['{"maximum": 3}'], ['{"maximum": "x"}']),
        ({"type": "object", "properties": {"multipleOf": {"type": "integer"}}},
         ['{"multipleOf": 3}'], ['{"multipleOf": "x"}']),
    ],
)  # fmt: skip
def test_a_rule_means_what_json_schema_says(rule, good, bad):
    """Whatever the numbers are read as, and whatever draft it is written in."""
    check = validator(rule)
    for text in good:
        check.validate(decode(b'{"a": %s}' % text.encode()))
    for text in bad:
        with pytest.raises(InvalidCallError) as caught:
            check.validate(decode(b'{"a": %s}' % text.encode()))
        assert caught.value.field == "a"
        assert text.strip('"') not in caught.value.reason.replace("'a'", "")


@pytest.mark.parametrize(
    "value",
    ["9" * 5000, "-" + "9" * 5000, "1e999999999", "NaN", "Infinity", "1e-400", f"0.{'3' * 400}"],
)
def test_no_number_breaks_the_check(value):
    """It fits or it doesn't; nothing else happens."""
    record = decode(b'{"a": %s}' % value.encode())
    for rule in (
        {"type": "integer"},
        {"type": "number"},
        {"type": "integer", "minimum": 3, "multipleOf": 7},
    ):
        with suppress(InvalidCallError):
            validator(rule).validate(record)


def test_a_reference_to_another_document_is_not_fetched(monkeypatch):
    """A schema must not make us ask a host that nobody has configured."""
    monkeypatch.setattr(socket, "create_connection", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    check = validator({"$ref": "https://schemas.example/call.json#/a"})
    check.validate({"a": 1})
    local = {"definitions": {"n": {"type": "integer"}}, "properties": {"a": {}}}
    local["properties"]["a"] = {"$ref": "#/definitions/n"}
    with pytest.raises(InvalidCallError):
        SourceValidator(local, (), check=True).validate({"a": "x"})


def test_a_key_property_must_be_there_also_without_validation():
    """A record that lacks it costs itself."""
    check = SourceValidator({"properties": {}}, ["id"], check=False)
    check.validate({"id": None})
    with pytest.raises(InvalidCallError) as caught:
        check.validate({"other": 1})
    assert caught.value.field == "id"


@pytest.mark.parametrize("rule", [7, {"type": 3}, {"type": "nothing"}, {"properties": []}])
def test_a_malformed_schema_is_said_to_be_one(rule):
    """For all of its records at once."""
    with pytest.raises(InvalidJSONSchema):
        validator(rule)


def test_a_decimal_in_a_schema_is_read():
    """The reader gives numbers with a point as Decimal."""
    with pytest.raises(InvalidCallError):
        validator({"maximum": Decimal("1.5")}).validate({"a": Decimal("1.6")})
