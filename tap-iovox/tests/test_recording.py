"""Recordings: fetched once, stored before their call is given on, and called what they are."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from call_sandbox import Sandbox
from call_sandbox.vendors.iovox_recordings import recorded
from singer_calls.errors import PluginError
from singer_calls.recordings.archive import Archive, FailedError, NoRecordingError
from singer_calls.recordings.audio import UnusableError
from singer_calls.recordings.record import PROPERTIES, Recording
from singer_calls.recordings.store import Store
from tap_iovox.recording import Recordings, path, refusal
from tap_iovox.tap import TapIovox

NOW = int(datetime.now(UTC).timestamp())
STEREO = recorded("stereo")
QUICK = {"backoff_max_tries": 2, "request_timeout": 5}
LATELY = "2025-10-15T00:00:00Z"  # 200 calls from then on


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def fetch(bench, kept):
    """Run the tap with recordings; the calls by id."""

    def fetch(**config):
        return bench.run(
            recordings_url=kept.as_uri(),
            recordings_api_url=f"{bench.sandbox.url}/iovox-api",
            **QUICK | {"start_date": LATELY} | config,
        )

    return fetch


def recordings(output):
    return {
        call["id"]: {name.removeprefix("recording_"): call[name] for name in PROPERTIES}
        for call in output.calls
    }


def files(folder):
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def asked(bench):
    return [entry["key"] for entry in bench.sandbox.journal("iovox-recordings")]


def test_without_recordings_url_nothing_changes(bench):
    output = bench.run()
    assert not output.calls[0].keys() & PROPERTIES.keys()
    assert asked(bench) == []


def test_each_recording_is_stored_under_its_day_and_id(fetch, kept, bench):
    output = fetch()
    found = recordings(output)
    stored = {call: one for call, one in found.items() if one["status"] == "stored"}
    assert len(stored) > 100
    for call in output.calls:
        one = found[call["id"]]
        if one["status"] == "stored":
            day = call["call_start"][:10].replace("-", "/")
            assert one == {
                "status": "stored", "path": f"iovox/{day}/{call['id']}.mp3", "problem": None,
                "channels": 2, "seconds": pytest.approx(3, abs=0.2), "bytes": len(STEREO),
            }  # fmt: skip
        else:
            assert call["has_recording"] is False
            assert (one["status"], one["path"]) == ("missing", None)
    assert files(kept) == {one["path"]: STEREO for one in stored.values()}
    assert sorted(asked(bench)) == sorted(stored)


def test_what_is_stored_is_not_fetched_again(fetch, kept, bench):
    first = recordings(fetch())
    bench.sandbox.reset()
    before = files(kept)
    assert recordings(fetch()) == first
    assert asked(bench) == []
    assert files(kept) == before


def test_a_wav_is_kept_as_such_and_found_again(fetch, kept, bench):
    bench.sandbox.switches("iovox-recordings", recording="wav")
    first = recordings(fetch())
    names = files(kept)
    assert names
    assert all(name.endswith(".wav") for name in names)
    bench.sandbox.reset()
    assert recordings(fetch()) == first
    assert asked(bench) == []


@pytest.mark.parametrize(("kind", "channels"), [("mono", 1), ("dual-mono", 1), ("mp4", 2)])
def test_every_kind_is_stored_with_its_channels(fetch, bench, kind, channels):
    bench.sandbox.switches("iovox-recordings", recording=kind, content_type="text/html")
    found = [one for one in recordings(fetch()).values() if one["status"] == "stored"]
    assert {one["channels"] for one in found} == {channels}


BAD = {
    "html": ("unusable", "not audio but a web page"),
    "binary": ("unusable", "not a WAV, MP3 or MP4"),
    "302": ("unusable", "redirect"),
    "reset_half_answer": ("unusable", "never arrives whole"),
    "cut_json": ("stored", None),  # half an MP3, cut between two frames, is one
    "empty": ("missing", "is not there"),
    "200-with-error": ("missing", "is not there"),
    "404": ("missing", "HTTP 404"),
    "400": ("missing", "HTTP 400"),
    "410": ("missing", "HTTP 410"),
    "503": ("pending", "HTTP 503"),
    "reset_before_processing": ("pending", "can't be had"),
}
RETRIED = {"reset_half_answer", "503", "reset_before_processing"}


def test_what_one_recording_comes_to_costs_itself_only(fetch, bench, kept):
    """Each of these between good ones, however often it is asked."""
    calls = [
        call["id"]
        for call in bench.run({"calls": ["id", "has_recording"]}, start_date=LATELY).calls
        if call["has_recording"]
    ]
    chosen = dict(zip(calls[5::4], BAD, strict=False))
    tries = QUICK["backoff_max_tries"]
    script = {call: [word] * (tries if word in RETRIED else 1) for call, word in chosen.items()}
    bench.sandbox.script("iovox-recordings", script)
    found = recordings(fetch())
    for call, word in chosen.items():
        status, problem = BAD[word]
        assert found[call]["status"] == status, (word, found[call])
        assert (problem or "") in (found[call]["problem"] or ""), word
    others = [found[call] for call in calls if call not in chosen]
    assert {one["status"] for one in others} == {"stored"}
    assert bench.sandbox.fired("iovox-recordings").keys() == BAD.keys()
    # The next run finds them all.
    again = recordings(fetch())
    assert [again[call] for call in chosen if again[call]["status"] != "stored"] == []
    assert len(files(kept)) == len(calls)


def test_an_mp3_that_is_cut_within_a_whole_answer_is_not_stored(fetch, bench, kept):
    """By its last frame; one that is as long as its call is taken with it, whatever its end."""
    bench.sandbox.switches("iovox-recordings", recording="cut")
    output = fetch()
    talked = {call["id"]: call["talk_time_seconds"] for call in output.calls}
    found = {
        call: one
        for call, one in recordings(output).items()
        if "iovox says that the call has none" not in (one["problem"] or "")
    }
    short = {call for call in found if talked[call] > 6}
    assert len(short) > 50
    assert {found[call]["status"] for call in short} == {"unusable"}
    assert all("in the middle of a frame" in found[call]["problem"] for call in short)
    long_enough = {call for call in found if talked[call] < 4}
    assert {found[call]["status"] for call in long_enough} == {"stored"}
    assert files(kept).keys() == {one["path"] for one in found.values() if one["path"]}


def test_a_recording_beyond_the_limit_is_not_stored(fetch, bench, kept):
    bench.sandbox.switches("iovox-recordings", kilobytes=1100)
    found = recordings(fetch(recording_max_megabytes=1, start_date="2025-11-02T00:00:00Z"))
    assert "recording_max_megabytes" in str(found)
    assert {one["status"] for one in found.values()} == {"unusable", "missing"}
    assert files(kept) == {}


def test_if_not_one_recording_is_there_the_run_ends_and_none_is_called_missing(fetch, bench, capfd):
    bench.sandbox.faults("iovox-recordings", "404")
    with pytest.raises(PluginError, match=r"Not one of 20 recordings is there.*another id"):
        fetch()
    assert len(asked(bench)) <= 30
    out = capfd.readouterr().out
    assert '"RECORD"' not in out
    assert '"STATE"' not in out


def window(*ids):
    return [
        {"id": each, "call_start": "2026-11-25T10:00:00Z", "call_end": None,
         "has_recording": True, "talk_time_seconds": 3}
        for each in ids
    ]  # fmt: skip


@pytest.fixture
def completed(kept):
    """``completed(ids, there)``: what becomes of these calls' recordings; some are there."""

    def completed(ids, there=()):
        asked = []

        def fetch(call, file):
            asked.append(call)
            if call not in there:
                raise NoRecordingError("is not there")
            file.write(STEREO)

        archive = Archive(Store.from_config({"recordings_url": kept.as_uri()}))
        source = SimpleNamespace(fetch=fetch)
        calls = [*Recordings(archive, source, map).complete(window(*ids))]
        return {call["id"]: call["recording_status"] for call in calls}, asked

    return completed


ODD = ["../../x", "a//b", "/etc/passwd", "x1", "1" * 21, "\N{ARABIC-INDIC DIGIT ONE}", "a\nb"]


def test_a_call_whose_id_is_no_number_costs_itself_only(completed, kept):
    """It is not asked for, and no file is called so; the others go on."""
    found, asked = completed([*ODD, "7"], there={"7"})
    assert found == dict.fromkeys(ODD, "missing") | {"7": "stored"}
    assert asked == ["7"]
    assert [*files(kept)] == ["iovox/2026/11/25/7.mp3"]


def test_ids_that_are_no_numbers_prove_nothing_of_the_older_api(completed):
    """That it knows these calls by another id is what the run ends with."""
    with pytest.raises(PluginError, match=r"Not one of 7 recordings.*no.* a number.*another id"):
        completed(ODD)


def test_two_that_are_not_there_may_be_an_accident_three_are_none(completed):
    assert completed(["1", "2"])[0] == {"1": "missing", "2": "missing"}
    with pytest.raises(PluginError, match="Not one of 3 recordings is there"):
        completed(["1", "2", "3"])
    assert completed(["1", "2", "3", "4"], there={"4"})[0]["1"] == "missing"


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (404, NoRecordingError, "HTTP 404, the specified call id does not exist"),
        (302, UnusableError, "a redirect (HTTP 302)"),
    ],
)
def test_an_answer_about_one_recording_costs_that_one(status, kind, says):
    with pytest.raises(kind, match=re.escape(says)):
        refusal(status, b"<error>The specified Call ID does not exist</error>")


@pytest.mark.parametrize("status", [402, 405, 418, 451])
def test_an_answer_that_nobody_expects_costs_its_recording_and_three_the_run(status):
    """With what to check then; nothing of its body is told."""
    with pytest.raises(FailedError, match=f"HTTP {status}") as failed:
        refusal(status, b"+447700900123")
    told = failed.value.sentence
    assert f"HTTP {status} when asked for a recording, and so it was with the ones before" in told
    assert "check the setting recordings_api_url" in told
    assert "7700900123" not in f"{told} {failed.value}"


def test_refused_credentials_name_the_list_of_addresses(fetch, bench):
    bench.sandbox.faults("iovox-recordings", "401")
    with pytest.raises(PluginError, match=r"secure_key, and that the IP address.*allow-list"):
        fetch()


def test_an_api_out_of_reach_ends_the_run_and_names_the_port(bench, kept):
    with pytest.raises(PluginError, match=r"recordings_api_url \(444"):
        bench.run(recordings_url=kept.as_uri(), recordings_api_url="http://127.0.0.1:1", **QUICK)


def test_a_store_that_refuses_ends_the_run_without_a_record(bench, s3, capfd):
    with pytest.raises(PluginError, match="The store of recordings refuses"):
        bench.run(
            recordings_url=s3.url,
            recordings_storage=s3.storage | {"secret_access_key": "planted-secret"},
            recordings_api_url=f"{bench.sandbox.url}/iovox-api",
        )
    assert '"RECORD"' not in capfd.readouterr().out


def test_young_calls_wait_for_their_recording(kept):
    """By the clock of the machine: the sandbox's calls are of just now."""
    with Sandbox(calls=200, seed=5, now=NOW, days=3) as sandbox:
        config = {
            "username": "sandbox-user", "secure_key": "sandbox-secure-key",
            "api_url": f"{sandbox.url}/iovox", "recordings_api_url": f"{sandbox.url}/iovox-api",
            "recordings_url": kept.as_uri(), "start_date": "2020-01-01T00:00:00Z",
        }  # fmt: skip
        sandbox.switches("iovox-recordings", delay=12 * 3600)
        first = _calls(config)
        waiting = {c["id"] for c in first if c["recording_status"] == "pending"}
        assert waiting
        sandbox.advance(13 * 3600)
        second = {call["id"]: call["recording_status"] for call in _calls(config)}
        assert {second[call] for call in waiting} >= {"stored"}
        never_answered = [c for c in first if c["talk_time_seconds"] == 0]
        assert {call["recording_status"] for call in never_answered} == {"missing"}


def _calls(config):
    raw = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(raw, write_through=True)):
        TapIovox(config=config).sync_all()
        lines = raw.getvalue().decode().splitlines()
    messages = map(json.loads, lines)
    return [message["record"] for message in messages if message["type"] == "RECORD"]


def test_a_call_is_given_on_after_its_recording_is_stored():
    """Pure: what the window gives on, and when."""
    done = []

    class Archive:
        def keep(self, name, *_, **__):
            done.append(name)
            return Recording("stored", f"{name}.mp3")

    calls = [
        {"id": str(n), "call_start": "2026-11-25T10:00:00Z", "call_end": None,
         "has_recording": True, "talk_time_seconds": 9}
        for n in range(3)
    ]  # fmt: skip
    source = SimpleNamespace(fetch=print)
    for call in Recordings(Archive(), source, map).complete(calls):
        assert done[-1] == path(call) == f"iovox/2026/11/25/{call['id']}"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"recordings_url": "bucket"}, "recordings_url must be one of"),
        (
            {"recordings_api_url": "http://api.iovox.com:444"},
            "recordings_api_url must begin with https",
        ),
        ({"recordings_storage": {"endpoint": "http://x.example"}}, "recordings_storage.endpoint"),
    ],
)
def test_wrong_settings_are_told_at_the_start(bench, config, says):
    settings = bench.settings(**{"recordings_url": "s3://bucket"} | config)
    with pytest.raises(Exception, match=says):
        TapIovox(config=settings)
