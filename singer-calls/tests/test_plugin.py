"""What every plugin does with its settings, from files and from the environment."""

from __future__ import annotations

import logging

import pytest
from singer_sdk.exceptions import ConfigValidationError

from singer_calls import settings
from singer_calls.environment import settings_from
from singer_calls.errors import SettingsError
from singer_calls.extract import CallTap
from singer_calls.plugin import check_header_text, unknown_settings

PROPERTIES = {
    "key": {"type": "string"},
    "count": {"type": ["integer", "null"]},
    "dry_run": {"type": ["boolean", "null"]},
    "lookup": {"type": ["object", "null"]},
}


class AnyTap(CallTap):
    name = "tap-any"
    vendor = "Any"
    config_jsonschema = settings.schema(
        [settings.secret("api_key", title="Key", description="A key.")],
        settings.common(api_url="https://any.example", docs="https://any.example"),
        settings.taps(timezone="UTC", window_days=7, lookback_days=2),
    )

    def discover_streams(self):
        return []


def tap(**config):
    return AnyTap(config={"api_key": "k", **config})


def test_what_is_exported_wins_over_a_file_in_the_working_directory(tmp_path):
    """And what is not exported comes from it, and is told by name."""
    (tmp_path / ".env").write_text("X_KEY=file\nX_COUNT=7\nX_OTHER=1\nHTTPS_PROXY=http://p\n")
    settings, told = settings_from(
        {"X_KEY": "exported"}, tmp_path, prefix="X_", properties=PROPERTIES
    )
    assert (settings, told) == ({"key": "exported", "count": 7}, ["count"])


def test_a_file_above_the_working_directory_is_none(tmp_path):
    """It is another project's."""
    (tmp_path / ".env").write_text("X_KEY=above\n")
    (tmp_path / "here").mkdir()
    assert settings_from({}, tmp_path / "here", prefix="X_", properties=PROPERTIES) == ({}, [])


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_can_not_be_read_is_one_sentence(tmp_path, content):
    """Neither a traceback, nor a run without its settings."""
    file = tmp_path / ".env"
    if content is None:
        file.mkdir()
        assert settings_from({}, tmp_path, prefix="X_", properties=PROPERTIES) == ({}, [])
        return
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^The file \.env in the working directory"):
        settings_from({}, tmp_path, prefix="X_", properties=PROPERTIES)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "refuses more memory, threads or files (ulimit)"),
        (RuntimeError("can't start new thread"), "refuses more memory, threads or files (ulimit)"),
        (OSError(24, "Too many open files"), "refuses more memory, threads or files (ulimit)"),
        (KeyError("+40722000111"), "A fault in the program (KeyError at test_plugin.py:"),
    ],
)
def test_whatever_stops_a_run_ends_in_a_sentence_without_a_value(error, says, caplog):
    """With exit code 1 and no traceback."""

    class Failing(AnyTap):
        @classmethod
        def run(cls, **_):
            raise error

    with pytest.raises(SystemExit) as end:
        Failing.invoke()
    assert end.value.code == 1
    (told,) = caplog.messages
    assert says in told
    assert "0722" not in caplog.text
    assert "Traceback" not in caplog.text


def test_a_url_that_is_none_is_a_sentence():
    """An address of IPv6 without its end, as any other text."""
    for url in ("https://[::1", "invoca", "https://"):
        with pytest.raises(ConfigValidationError) as raised:
            tap(api_url=url)
        assert "api_url is not a URL: give scheme and host" in str(raised.value.errors)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "12", 12),
        ("count", "twelve", "twelve"),
        ("count", "", ""),
        ("dry_run", "TRUE", True),
        ("dry_run", "on", True),
        ("dry_run", "0", False),
        # False, as the SDK reads it, would send.
        ("dry_run", "ture", "ture"),
        ("lookup", '{"a": 1}', {"a": 1}),
        ("lookup", "{a}", "{a}"),
        ("key", "0123", "0123"),
    ],
)
def test_a_text_has_its_schemas_type_or_stays_as_it_is(tmp_path, name, text, value):
    """Then the schema has a sentence for it, which holds no value."""
    found, _ = settings_from(
        {f"X_{name.upper()}": text}, tmp_path, prefix="X_", properties=PROPERTIES
    )
    assert found == {name: value}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dryrun", "dry_run"),
        ("DRY-RUN", "dry_run"),
        ("dry_runs", "dry_run"),
        ("campaign", "campaign_id"),
        ("request_timeouts", "request_timeout"),
        ("colour", None),
        ("start", None),
        ("default_target_schema", None),
    ],
)
def test_a_near_miss_is_told_from_a_setting_of_something_else(name, meant):
    """By the letters and digits of the name alone."""
    known = ["dry_run", "campaign_id", "start_date", "end_date", "request_timeout", "timezone"]
    assert unknown_settings({name: 1, "dry_run": True}, known) == {name: meant}


@pytest.mark.parametrize("name", ["_select", "_catalog", "load_method", "add_record_metadata"])
def test_what_meltano_and_the_sdk_add_is_not_unknown(name):
    """Nobody is warned of what they did not write."""
    assert unknown_settings({name: 1}, ["dry_run"]) == {}


def test_a_near_miss_ends_the_run_and_another_unknown_setting_is_one_warning(caplog):
    """With the name that is meant; a name that would forge a line of the log is escaped."""
    with pytest.raises(ConfigValidationError, match="requests_perminute does not exist: "):
        tap(requests_perminute=5)
    with caplog.at_level(logging.WARNING):
        tap(colour="red", **{"a\nb\x1b[31m": 1})
    (line,) = [said for said in caplog.messages if "ignored" in said]
    assert line == r"Settings that tap-any doesn't have, ignored: colour, a\nb\x1b[31m"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", " ", "\t", "\x00", "\u200b", "\u2028"])
def test_a_credential_from_a_file_with_more_than_its_letters_is_told_at_the_start(end):
    """By the name of its setting."""
    with pytest.raises(ConfigValidationError, match="api_key holds a space, a line break") as error:
        tap(api_key=f"s3cret{end}")
    assert "s3cret" not in str(error.value)
    with pytest.raises(ConfigValidationError, match="user_agent holds"):
        tap(user_agent=f"me/1{end}")


@pytest.mark.parametrize(
    ("value", "encoding", "spaces", "fits"),
    [
        ("pass word", "utf-8", True, True),
        ("zażółć", "utf-8", True, True),
        ("zażółć", "ascii", True, False),
        ("to ken", "ascii", False, False),
        ("half \ud83d", "utf-8", True, False),
        (None, "ascii", False, True),
    ],
)
def test_what_fits_depends_on_how_it_is_sent(value, encoding, spaces, fits):
    """Basic authentication takes UTF-8 and spaces, a bare token neither."""
    assert (check_header_text("x", value, encoding, spaces=spaces) is None) == fits


def test_a_proxy_of_a_kind_that_is_not_supported_is_one_sentence_at_the_start(monkeypatch):
    """It names the variable."""
    monkeypatch.setenv("https_proxy", "socks5://user:pass@127.0.0.1:1080")
    with pytest.raises(SettingsError, match="https_proxy names a proxy of a kind") as error:
        tap()
    assert "pass" not in str(error.value)
