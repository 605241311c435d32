"""What leaves a tap says which of it is personal: the SDK passes no keyword of our own on."""

from __future__ import annotations

import json
from pathlib import Path

import packages
import pytest

ROOT = Path(__file__).parents[2]
TAPS = {
    name: ROOT / package["folder"]
    for name, package in packages.packages(examples=True).items()
    if name.startswith("tap-")
}


def described(schema, path=""):
    """Path and description of each field, also inside of objects and lists."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}{name}", part.get("description", "")
        yield from described(part, f"{path}{name}.")
        yield from described(part.get("items", {}), f"{path}{name}.")


def given(setting):
    """Something in the place of a required setting."""
    return setting.get("enum", [1 if "integer" in setting["type"] else "given"])[0]


@pytest.mark.parametrize("name", TAPS)
def test_the_emitted_schema_says_which_fields_are_personal(name):
    """In the words of their descriptions, which reach a warehouse's catalog.

    Each tap's ``tests/personal.json`` lists by stream the fields of a person, whatever else is.
    """
    written = []

    class Writer:
        def write_message(self, message):
            written.append(json.loads(json.dumps(message.to_dict(), default=str)))

    cls = packages.plugin_class(name)
    known = cls.config_jsonschema["properties"]
    config = {setting: given(known[setting]) for setting in cls.config_jsonschema["required"]}
    if "include_demographics" in known:
        config["include_demographics"] = True
    catalog = cls(config=config).catalog_dict
    for entry in catalog["streams"]:  # the streams of elements are not selected by default
        for part in entry["metadata"]:
            part["metadata"]["selected"] = True
    tap = cls(config=config, catalog=catalog, message_writer=Writer())
    personal = json.loads((TAPS[name] / "tests" / "personal.json").read_text("utf-8"))
    for stream, fields in personal.items():
        written.clear()
        tap.streams[stream]._write_schema_message()
        said = dict(described(written[0]["schema"]))
        assert {path for path in fields if not said[path].endswith("Personal data.")} == set()
