"""Records through the stream maps that a user wrote."""

from __future__ import annotations

import logging

import pytest
from singer_sdk.mapper import PluginMapper

from singer_calls.deliver.source_stream import SourceStream
from singer_calls.deliver.validation import SourceValidator

SCHEMA = {"type": "object", "properties": {"caller": {"type": "string"}}}


def mapped(expression):
    """What becomes of a record."""
    config = {"stream_maps": {"calls": {"City": expression}}}
    mapper = PluginMapper(config, logging.getLogger("target"))
    mapper.register_raw_stream_schema("calls", SCHEMA, [])
    stream = SourceStream({}, SourceValidator(SCHEMA, [], check=True), old=False)
    (value,) = stream.mapped({"caller": "+14155550123"}, mapper.stream_maps["calls"])
    return value


@pytest.mark.parametrize(
    ("expression", "name"),
    [("call + 'x'", "call"), ("upper(caller)", "upper"), ("caller.uper()", "uper")],
)
def test_what_an_expression_does_not_find_is_named(expression, name):
    """With the property that it was for, and no value of the record."""
    refused = mapped(expression)
    assert refused.field == "City"
    assert f": {name} is not defined): correct stream_maps" in refused.reason
    assert "555" not in refused.reason


def test_a_name_that_comes_from_a_value_is_not_told():
    """A table that lacks an entry fails with the entry's name, which is a number here."""
    assert "555" not in mapped("{'a': 1}[caller]").reason
