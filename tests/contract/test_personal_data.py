"""What leaves a tap says which of it is personal: the SDK passes no keyword of our own on."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

# Stream -> paths of fields that are of a person, whatever else is.
PERSONAL = {
    ("tap_invox", "TapInvox"): {
        "calls": {"caller", "destinationnumber", "page", "summary", "gclid", "recording_uri"},
    },
    ("tap_iovox", "TapIovox"): {
        "calls": {
            "call_origin", "call_destination", "rule_result", "comments.text",
            "transcriptions.phrases.phrase", "tasks.username",
        },
        "call_comments": {"text", "username"},
        "call_transcription_phrases": {"phrase"},
    },
    ("tap_invoca_calls", "TapInvocaCalls"): {
        "calls_in_progress": {
            "calling_phone_number", "destination_phone_number", "city", "zip_code", "keypresses",
            "custom_data", "demographics_data", "demographics_data.first_name_data_append",
        },
    },
    ("tap_callrail", "TapCallRail"): {
        "calls": {
            "customer_phone_number", "customer_name", "customer_city", "agent_email", "recording",
            "note", "gclid",
        },
    },
}  # fmt: skip


def described(schema, path=""):
    """Path and description of each field, also inside of objects and lists."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}{name}", part.get("description", "")
        yield from described(part, f"{path}{name}.")
        yield from described(part.get("items", {}), f"{path}{name}.")


@pytest.mark.parametrize(("module", "name"), PERSONAL)
def test_the_emitted_schema_says_which_fields_are_personal(module, name):
    """In the words of their descriptions, which reach a warehouse's catalog."""
    written = []

    class Writer:
        def write_message(self, message):
            written.append(json.loads(json.dumps(message.to_dict(), default=str)))

    settings = {
        "api_key": "k",
        "username": "u",
        "secure_key": "k",
        "oauth_token": "t",
        "organization_type": "Network",
        "organization_id": 1,
        "account_id": "ACC1",
        "include_demographics": True,
    }
    cls = getattr(import_module(f"{module}.tap"), name)
    known = cls.config_jsonschema["properties"]
    config = {key: value for key, value in settings.items() if key in known}
    catalog = cls(config=config).catalog_dict
    for entry in catalog["streams"]:  # the streams of elements are not selected by default
        for part in entry["metadata"]:
            part["metadata"]["selected"] = True
    tap = cls(config=config, catalog=catalog, message_writer=Writer())
    for stream, fields in PERSONAL[module, name].items():
        written.clear()
        tap.streams[stream]._write_schema_message()
        said = dict(described(written[0]["schema"]))
        assert {path for path in fields if not said[path].endswith("Personal data.")} == set()
