"""The tap's edges: the SDK's own suite, its settings, its command line."""

from __future__ import annotations

import json
import re

import pytest
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.testing import SuiteConfig, get_tap_test_class
from singer_sdk.testing.runners import TapTestRunner

from call_sandbox import Sandbox
from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME
from call_sandbox.testing import Plugin, installed
from tap_iovox.schemas import SCHEMAS
from tap_iovox.streams import ELEMENTS
from tap_iovox.tap import TapIovox

CREDENTIALS = {"username": IOVOX_USERNAME, "secure_key": IOVOX_SECURE_KEY}
OFFLINE = {**CREDENTIALS, "api_url": "http://127.0.0.1:1/iovox"}
PERIOD = {"start_date": "2025-08-01T00:00:00Z", "end_date": "2025-11-04T00:00:00Z"}


def everything():
    """A catalog with all streams selected."""
    catalog = TapIovox(config=OFFLINE).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    return catalog


CATALOG = everything()


class TestOfTheSdk(get_tap_test_class(TapIovox, config=OFFLINE, catalog=CATALOG)):
    """Discovery, connection, state, and for each stream records, keys and types."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls):
        with Sandbox(calls=200, seed=6, switches={"iovox": {"outcomes": "object"}}) as sandbox:
            runner = TapTestRunner(
                TapIovox,
                config={**CREDENTIALS, **PERIOD, "api_url": f"{sandbox.url}/iovox"},
                suite_config=SuiteConfig(),
                catalog=CATALOG,
            )
            runner.sync_all()
            yield runner


@pytest.fixture
def tap(launch, tmp_path):
    """The tap as a process of its own."""
    with Plugin("tap-iovox", tmp_path, launch=launch) as tap:
        yield tap


@pytest.mark.parametrize("option", ["--about", "--discover"])
def test_it_tells_of_itself_without_credentials_or_network(tap, option):
    """Anyone may look."""
    done = tap.run((), option, launch=installed)
    assert (done.code, bool(done.out)) == (0, True)


def test_the_catalog_has_nine_streams_and_selects_one(tap):
    """Elements are there for those who select them; key and moment always come."""
    streams = json.loads(tap.run((), "--discover").out)["streams"]
    assert {stream["stream"] for stream in streams} == {"calls", *ELEMENTS} == {*SCHEMAS}
    for stream in streams:
        metadata = {tuple(entry["breadcrumb"]): entry["metadata"] for entry in stream["metadata"]}
        assert metadata[()].get("selected-by-default", True) == (stream["stream"] == "calls")
        for key in stream["key_properties"]:
            assert metadata["properties", key]["inclusion"] == "automatic"
        assert metadata["properties", "call_start"]["inclusion"] == "automatic"


def test_each_setting_says_what_it_is():
    """Defaults as documented by the vendor; the keys, to iovox and to a store, are secrets."""
    settings = {
        name: setting
        for name, setting in TapIovox.config_jsonschema["properties"].items()
        if not name.startswith("flattening_")  # the SDK's own
    }
    assert {name for name, setting in settings.items() if setting.get("secret")} == {
        *("secure_key", "recordings_storage")
    }
    assert all(setting["description"].rstrip("/").count(" ") > 3 for setting in settings.values())
    assert settings["api_url"]["default"] == "https://rest.iovox.com"
    assert settings["page_size"]["default"] == 10000
    # Tools that read settings mask texts with such a part in their name.
    parts = re.compile("id|key|token|secret|password")
    masked = {name for name, setting in settings.items() if parts.search(name)}
    assert masked == {"secure_key"}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"username": None}, "username is missing: set it"),
        ({"secure_key": None}, "secure_key is missing: set it"),
        ({"secure_key": ""}, "secure_key is empty: set it"),
        ({"page_size": 0}, "page_size must be at least 1"),
        ({"page_size": 20001}, "page_size must be at most 20000"),
        ({"timezone": "Europe/Londres"}, "timezone is not a known IANA zone"),
        ({"api_url": "http://iovox.example"}, "api_url must begin with https://"),
        ({"start_date": "last week"}, "start_date"),
        ({"start_date": "2025-11-05T00:00:00Z"}, "end_date must be later than start_date"),
    ],
)
def test_a_wrong_setting_is_one_sentence(bench, config, sentence):
    """Before anything is asked."""
    with pytest.raises(ConfigValidationError) as error:
        bench.run(**config)
    assert sentence in str(error.value)
    assert bench.asked() == []


def test_the_command_line_ends_in_one_sentence(bench, tap):
    """Exit code 1, no traceback, no credential, no number of a caller."""
    bench.sandbox.switches("iovox", bad_key="403")
    config = bench.settings(secure_key="a-wrong-key", filters={"call_origin": "447700900123"})
    done = tap.run(**config)
    assert done.code == 1
    errors = [line for line in done.errors.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert "iovox refuses the credentials (HTTP 403)" in errors[0]
    assert "Traceback" not in done.errors
    assert "a-wrong-key" not in done.errors
    assert "447700900123" not in done.errors
    assert IOVOX_USERNAME not in done.errors


def test_no_log_line_has_a_number_or_a_text_of_a_call(bench, tap):
    """Also while calls are odd, pages shrink and answers are asked for again."""
    bench.sandbox.switches("iovox", row_cap=300, seconds="seconds")
    bench.sandbox.faults("iovox", {"fault": "503 retry-after 0", "times": 2})
    config = bench.settings(timezone="Asia/Tokyo", page_size=4800)
    done = tap.run(**config)
    assert done.code == 0
    assert bench.sandbox.fired("iovox") == {"503 retry-after 0": 2}
    assert "asking for fewer calls at once" in done.errors
    assert not re.search(r"(?<![.\d])\d{9,}", done.errors)  # decimals are durations
    assert "clinica" not in done.errors
