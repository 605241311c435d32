"""A recording in the store: signed for each attempt, refused here where Invoca would fail later."""

from __future__ import annotations

import io
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
import requests
from singer_sdk.exceptions import ConfigValidationError

from singer_calls.deliver import InvalidCallError, NotYetError
from singer_calls.errors import PluginError
from singer_calls.recordings.audio import Audio
from singer_calls.recordings.store import Store
from target_invoca_calls.recording import Kept, Recordings
from target_invoca_calls.target import TargetInvocaCalls

MADE = files("call_sandbox") / "audio"
PATH = "iovox/2026/09/10/30683207599876.mp3"
SETTINGS = {
    "recording_access": "presigned", "recording_url_hours": 72, "recording_wait_hours": 24,
    "on_mono": "reject",
}  # fmt: skip


def put(settings, name="stereo", path=PATH):
    data = (MADE / f"{name}.mp3").read_bytes()
    channels = 2 if name == "stereo" else 1
    Store.from_config(settings).put(path, io.BytesIO(data), len(data), Audio("mp3", channels, 3.0))


@pytest.fixture
def stored(s3):
    """Settings of a store that has one stereo recording."""
    settings = SETTINGS | {"recordings_url": s3.url, "recordings_storage": s3.storage}
    put(settings)
    return settings


def call(n=1, **fields):
    return {
        "external_call_unique_id": str(n),
        "start_time": "2026-09-10T22:55:32Z",
        "destination_phone_number": "+18885551212",
        "calling_phone_number": "+442079460018",
    } | fields


def located(settings, **record):
    recordings = Recordings(settings)
    kept = recordings.read({"recording_status": "stored", "recording_path": PATH} | record)
    return recordings.locate(kept) if isinstance(kept, Kept) else kept


def test_a_path_becomes_a_url_that_opens_it_for_as_long_as_is_set(stored):
    url = located(stored, recording_channels=2)
    assert requests.get(url, timeout=9).content == (MADE / "stereo.mp3").read_bytes()
    assert f"X-Amz-Expires={72 * 3600}" in url


def test_a_path_becomes_a_name_in_the_storage_that_invoca_has_access_to(stored, s3):
    named = stored | {"recording_access": "filename"}
    assert located(named) == f"{s3.url.rpartition('/')[2]}/{PATH}"
    folder = {"recordings_url": "file:///srv/calls", "recording_access": "filename"}
    assert located(SETTINGS | folder) == PATH


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"recording_status": "missing", "recording_problem": "is not there: HTTP 404"},
         "recording: is missing: it is not there: HTTP 404"),
        ({"recording_status": "unusable", "recording_problem": "is not audio but a web page"},
         "recording: can't be used: it is not audio but a web page"),
        ({"recording_status": "unusable", "recording_problem": "https://x/?token=secret"},
         "recording: can't be used; filter"),
        ({"recording_status": "unusable", "recording_problem": "of 447700900123"},
         "recording: can't be used; filter"),
        ({"recording_channels": 1}, "recording_channels: are not two"),
        ({"recording_channels": 6}, "recording_channels: are not two"),
        ({"recording_path": "../secrets"}, "recording_path: is not the path"),
        ({"recording_path": "https://recordings.example/1.mp3"}, "recording_path: is not the path"),
        ({"recording_path": 7}, "recording_path: is not a text"),
        ({"recording_path": "iovox/gone.mp3"}, "recording_path: is not in the store"),
    ],
)  # fmt: skip
def test_what_invoca_could_not_use_is_refused_with_the_reason(stored, record, says):
    with pytest.raises(InvalidCallError, match=f"^{re.escape(says)}") as raised:
        located(stored, **record)
    assert not isinstance(raised.value, NotYetError)


def test_a_pending_recording_is_waited_for_as_long_as_is_set(stored):
    with pytest.raises(NotYetError, match="is not there yet") as raised:
        located(stored | {"recording_wait_hours": 48}, recording_status="pending")
    assert raised.value.hours == 48


def test_channels_that_the_record_does_not_tell_are_the_store_s(stored):
    put(stored, "mono", "iovox/mono.mp3")
    with pytest.raises(InvalidCallError, match="are not two"):
        located(stored, recording_path="iovox/mono.mp3")


def test_a_mono_recording_is_duplicated_once_if_that_is_asked_for(stored, s3):
    put(stored, "mono", "iovox/mono.mp3")
    twice = stored | {"on_mono": "duplicate"}
    record = {"recording_path": "iovox/mono.mp3", "recording_channels": 1}
    url = located(twice, **record)
    data = requests.get(url, timeout=9).content
    assert (data[:4], data[22]) == (b"RIFF", 2)
    before = s3.objects
    assert "iovox/mono.duplicated.wav" in before
    assert located(twice, **record).partition("?")[0] == url.partition("?")[0]
    assert s3.objects == before


def test_a_duplicated_recording_is_named_too(stored, s3):
    """In the storage that Invoca has access to, it is the one with two channels."""
    put(stored, "mono", "iovox/mono.mp3")
    named = stored | {"on_mono": "duplicate", "recording_access": "filename"}
    record = {"recording_path": "iovox/mono.mp3", "recording_channels": 1}
    assert located(named, **record) == f"{s3.url.rpartition('/')[2]}/iovox/mono.duplicated.wav"
    data = s3.objects["iovox/mono.duplicated.wav"]
    assert (data[:4], data[22]) == (b"RIFF", 2)


def test_a_mono_recording_that_can_not_be_decoded_is_refused(stored, s3):
    """An MP4 is not decoded; nothing is put beside it."""
    data = (MADE / "stereo.mp4").read_bytes()
    mono = Audio("mp4", 1, 3.0)
    Store.from_config(stored).put("iovox/mono.mp4", io.BytesIO(data), len(data), mono)
    with pytest.raises(InvalidCallError, match="recording_path: can't be decoded"):
        located(stored | {"on_mono": "duplicate"}, recording_path="iovox/mono.mp4")
    assert not [name for name in s3.objects if "duplicated" in name]


def test_a_path_without_the_store_is_refused_with_the_setting_that_is_missing():
    with pytest.raises(InvalidCallError, match="needs the setting recordings_url"):
        located(SETTINGS)


def test_to_duplicate_without_the_library_is_told_at_the_start(tmp_path, monkeypatch):
    """Only who duplicates needs it."""
    config = {"oauth_token": "token", "recordings_url": "s3://calls"}
    config |= {"ledger_url": f"sqlite:///{tmp_path}/l.db", "rejected_path": str(tmp_path / "r")}
    monkeypatch.setitem(sys.modules, "miniaudio", None)  # an import of it fails
    assert TargetInvocaCalls(config=config).config["on_mono"] == "reject"
    with pytest.raises(ConfigValidationError, match="install the extra recordings-decode"):
        TargetInvocaCalls(config=config | {"on_mono": "duplicate"})


def test_credentials_that_die_before_the_url_end_the_run(stored):
    stored["recordings_storage"] = stored["recordings_storage"] | {"session_token": "T"}
    with pytest.raises(PluginError, match="temporary"):
        located(stored)


def fetched(sandbox, count):
    """What Invoca has fetched, once it is so many."""
    deadline = time.monotonic() + 20
    while True:
        found = [e for e in sandbox.journal("invoca-recordings") if e["duration"] is not None]
        if len(found) >= count or time.monotonic() > deadline:
            return {entry["key"]: entry.get("recording") for entry in found}


@pytest.mark.usefixtures("stored", "covered")
def test_invoca_downloads_what_a_path_names_and_leaves_no_url(run, sandbox, s3, tmp_path):
    """A retried attempt is signed anew; the ledger, the files and the log have no URL."""
    sandbox.script("invoca", {"invox:1": ["503", "503"]})
    records = [
        call(1, recording_path=PATH, recording_status="stored", recording_channels=2),
        call(2, recording_path=PATH, recording_channels=1),
        call(3, recording_status="missing"),
        call(4, recording_path="iovox/gone.mp3", recording_status="stored"),
        call(5, recording_path=PATH, recording_url="https://recordings.example/5.mp3"),
    ]
    done = run(
        records,
        recordings_url=s3.url,
        recordings_storage=s3.storage,
        max_rejected_percent=100,
        backoff_max_tries=5,
    )
    assert done.code == 0, done.err
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:5": 1}
    sent = [entry["json"]["call"] for entry in sandbox.journal("invoca")]
    urls = [one["recording_url"] for one in sent if one["external_call_unique_id"] == "invox:1"]
    assert len(urls) == 3
    assert len({re.search(r"X-Amz-Date=(\w+)", url)[1] for url in urls}) > 1
    assert fetched(sandbox, 1) == {"invox:1": "stereo, mp3"}
    assert [one["recording_url"] for one in sent if "5" in one["external_call_unique_id"]] == [
        "https://recordings.example/5.mp3"
    ]
    left = "".join(
        file.read_bytes().decode(errors="replace")
        for file in tmp_path.rglob("*")
        if file.is_file() and "config" not in file.name and "s3" not in file.parts
    )
    for planted in ("X-Amz", *s3.storage.values()):
        assert planted not in left


def test_a_recording_that_was_not_in_the_store_is_delivered_when_it_is(run, sandbox, stored, s3):
    settings = {"recordings_url": s3.url, "recordings_storage": s3.storage}
    there = {"start_time": "2026-09-11T10:00:11Z", "recording_status": "stored"}
    late = call(1, recording_path="iovox/late.mp3", **there)
    done = run([call(2, recording_path=PATH), late], **settings)
    assert sandbox.books("invoca") == {"invox:2": 1}
    assert len(done.set_aside()) == 1
    run([late], **settings, max_rejected_percent=100)
    put(stored, path="iovox/late.mp3")
    done = run([late], **settings)
    assert "accepted=1" in done.err
    assert sandbox.books("invoca") == {"invox:2": 1, "invox:1": 1}


def test_a_store_out_of_reach_ends_the_run_and_sends_nothing(run, sandbox, s3):
    done = run(
        [call(1, recording_path=PATH)],
        recordings_url=s3.url,
        recordings_storage=s3.storage | {"secret_access_key": "planted-secret"},
    )
    assert (done.code, sandbox.books("invoca")) == (1, {})
    assert "The store of recordings refuses" in done.errors[-1]
    assert "planted-secret" not in done.out + done.err


@pytest.mark.usefixtures("stored")
def test_a_pending_recording_holds_up_the_state_until_it_is_there_or_too_old(run, sandbox, s3):
    settings = {"recordings_url": s3.url, "recordings_storage": s3.storage}
    now = datetime.now(UTC)
    young, old = (
        {"start_time": (now - timedelta(hours=hours)).isoformat(), "recording_status": "pending"}
        for hours in (2, 30)
    )
    there = {"recording_path": PATH, "recording_status": "stored"}
    done = run([call(1, **there), call(2, **young), call(3, **there)], **settings)
    assert (done.code, done.states[-1]) == (0, 1)
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:3": 1}
    assert "pending=1" in done.err
    assert done.set_aside() == []
    again = [call(1, **there), call(2, **young | there), call(3, **there), call(4, **old)]
    done = run(again, **settings, max_rejected_percent=100)
    assert done.states[-1] == 4
    assert sandbox.books("invoca") == {"invox:1": 1, "invox:2": 1, "invox:3": 1}
    (aside,) = done.set_aside()
    assert "older than 24 h" in str(aside)
    # Waited for longer, it would still be pending.
    done = run([call(5, **old)], **settings, recording_wait_hours=48)
    assert "pending=1" in done.err
