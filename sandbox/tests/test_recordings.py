"""iovox's recordings, and Invoca that fetches them."""

from __future__ import annotations

import time
from importlib.resources import files

import pytest
import requests

from call_sandbox import Sandbox, credentials
from call_sandbox.sound import sound, wav
from call_sandbox.vendors.iovox_calls import documented
from call_sandbox.vendors.iovox_recordings import KINDS
from call_sandbox.vendors.iovox_recordings import recorded as made

AUTH = {"username": credentials.IOVOX_USERNAME, "secureKey": credentials.IOVOX_SECURE_KEY}
DAY_SECONDS = 86400


@pytest.fixture
def calls(sandbox):
    """The calls of iovox: id -> whether it has a recording."""
    found = requests.get(
        f"{sandbox.url}/iovox/rest/v1/calls/insights",
        params={"start_date": "2000-01-01", "response_fields": "id,has_recording"},
        headers=AUTH,
        timeout=30,
    )
    return {call["id"]: call["has_recording"] == "TRUE" for call in found.json()}


@pytest.fixture
def fetch(sandbox):
    def fetch(call, headers=AUTH, v="3", method="getCallRecording", **more):
        return requests.get(
            f"{sandbox.url}/iovox-api/Calls",
            params={"v": v, "method": method, "id": call, **more},
            headers=headers,
            timeout=30,
        )

    return fetch


def ingest(sandbox, url, key):
    call = {
        "external_call_unique_id": key, "start_time": "2025-11-01T10:00:00.000+00:00",
        "destination_phone_number": "+442079460104", "calling_phone_number": "+447700900123",
        "advertiser_campaign_id_from_network": 85, "call_direction": "inbound",
        "recording_url": url,
    }  # fmt: skip
    answer = requests.post(
        f"{sandbox.url}/invoca/api/2022-03-01/calls.json",
        json={"call": call},
        headers={"Authorization": credentials.INVOCA_TOKEN},
        timeout=30,
    )
    assert answer.status_code == 201


def fetched(sandbox, key):
    """What Invoca got for a call, once it has."""
    deadline = time.monotonic() + 20
    while True:
        for entry in sandbox.journal("invoca-recordings"):
            if entry["key"] == key and entry["duration"] is not None:
                return entry
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_call_has_a_recording_if_insights_say_so(sandbox, calls, fetch):
    recorded = next(call for call, has in calls.items() if has)
    none = next(call for call, has in calls.items() if not has)
    answer = fetch(recorded)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/mpeg")
    assert sound(answer.content) == ("mp3", 2)
    assert sandbox.books("iovox-recordings") == {str(recorded): 1}
    assert fetch(none).status_code == 400
    assert "does not have a recording" in fetch(none).text


def test_what_is_asked_wrongly_is_refused(fetch, calls):
    call = next(iter(calls))
    for answer, status in (
        (fetch(call, headers={}), 401),
        (fetch(call, v="2"), 400),
        (fetch(call, method="get"), 400),
        (fetch(call, output="JSON"), 400),
        (fetch(""), 400),
        (fetch("x1"), 400),
        (fetch(call + 1), 404),
        (fetch(1), 404),
    ):
        assert answer.status_code == status
        assert answer.text.startswith("<?xml")


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("mono", ("mp3", 1)),
        ("dual-mono", ("mp3", 2)),
        ("wav", ("wav", 2)),
        ("wav-mono", ("wav", 1)),
        ("mp4", ("mp4", 2)),
    ],
)
def test_recordings_are_of_the_kind_that_is_switched_on(sandbox, calls, fetch, kind, holds):
    sandbox.switches("iovox-recordings", recording=kind)
    assert sound(fetch(next(call for call, has in calls.items() if has)).content) == holds


def test_one_recording_in_eight_is_not_stereo_where_they_are_mixed(sandbox, calls, fetch):
    """Of each kind but the cut one, the same for a call each time."""
    sandbox.switches("iovox-recordings", recording="mixed")
    recorded = [call for call, has in calls.items() if has]
    found = {call: fetch(call).content for call in recorded}
    odd = [data for data in found.values() if data != made("stereo")]
    assert len(found) / 16 < len(odd) < len(found) / 4
    assert {*found.values()} == {made(kind) for kind in KINDS if kind not in {"cut", "mixed"}}
    assert all(fetch(call).content == found[call] for call in recorded[:3])


def test_a_cut_recording_lacks_its_end(sandbox, calls, fetch):
    call = next(call for call, has in calls.items() if has)
    whole = fetch(call).content
    sandbox.switches("iovox-recordings", recording="cut")
    assert fetch(call).content == whole[:-100]


def test_a_published_call_has_a_recording(fetch):
    """By the id that the vendor's documents show."""
    for call in documented():
        assert sound(fetch(call["id"]).content) == ("mp3", 2)


def test_a_tag_before_the_sound_is_no_other_kind():
    """As many an encoder writes one."""
    stereo = (files("call_sandbox") / "audio" / "stereo.mp3").read_bytes()
    tag = b"ID3\4\0\0" + bytes([0, 0, 1, 2]) + b"\0" * (128 + 2)
    assert sound(tag + stereo) == ("mp3", 2)
    assert sound(tag + stereo[1:]) == ("unknown", 0)


def test_a_recording_comes_later_and_has_the_size_that_is_asked_for(sandbox, calls, fetch):
    newest = next(call for call, has in calls.items() if has)
    sandbox.switches("iovox-recordings", delay=400 * DAY_SECONDS, kilobytes=500)
    assert fetch(newest).status_code == 400
    sandbox.advance(400 * DAY_SECONDS)
    assert 500_000 <= len(fetch(newest).content) < 520_000


def test_invoca_fetches_what_it_ingested_and_says_what_it_got(tmp_path):
    """Without the query of the address, which is a credential."""
    with Sandbox(calls=10, recordings=tmp_path) as sandbox:
        (tmp_path / "a.wav").write_bytes(wav(2))
        (tmp_path / "b.wav").write_bytes(wav(1))
        (tmp_path / "c.wav").write_text("<html>")
        for name, status, told in (
            ("a", 200, "stereo, wav"),
            ("b", 200, "mono, wav"),
            ("c", 200, "not a recording, html"),
            ("d", 404, "not a recording, unknown"),
        ):
            ingest(sandbox, f"{sandbox.url}/recordings/{name}.wav?signature=secret", name)
            entry = fetched(sandbox, name)
            assert (entry["status"], entry["recording"]) == (status, told)
            assert "secret" not in str(entry)
        assert sandbox.books("invoca-recordings") == {"a": 1, "b": 1, "c": 0}
        ingest(sandbox, "http://127.0.0.1:1/e.wav", "e")
        assert fetched(sandbox, "e")["status"] is None
        shown = {one["name"]: one for one in sandbox.state.summary()["vendors"]}
        statuses = shown["invoca-recordings"]["statuses"]
        assert statuses["stereo, wav"] == 1
        assert statuses["HTTP 404"] == 1
        assert statuses["not reached (ClientConnectorError)"] == 1


def test_invoca_fetches_up_to_a_day_later_and_nothing_from_another_machine(sandbox):
    sandbox.switches("invoca-recordings", fetch_after=DAY_SECONDS)
    ingest(sandbox, "https://recordings.example/a.mp3", "elsewhere")
    ingest(sandbox, "http://[::1/a.mp3", "nowhere")
    ingest(sandbox, f"{sandbox.url}/nothing.mp3", "here")
    sandbox.advance(DAY_SECONDS - 1)
    assert sandbox.journal("invoca-recordings") == []
    sandbox.advance(1)
    assert fetched(sandbox, "here")["status"] == 404
    assert len(sandbox.journal("invoca-recordings")) == 1
