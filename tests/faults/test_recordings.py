"""From iovox over an object store to Invoca, with the tap killed on the way."""

from __future__ import annotations

import random
import resource
import signal
import time
from pathlib import Path

import pytest

from call_sandbox import Sandbox
from call_sandbox.testing import Planted, Plugin, installed, wait_until

DYING = Path(__file__).with_name("dying_tap.py")
# In the order of the runs; a bookmark moves only where it has not been before.
MOMENTS = {"after STATE": 15, "before RECORD": 10, "before put": 3, "after put": 3}
CREDENTIALS = {"username": "sandbox-user", "secure_key": "sandbox-secure-key"}
MAPPING = {
    "__filter__": "bool(has_recording)",
    "__else__": None,
    "__key_properties__": ["external_call_unique_id"],
    "external_call_unique_id": "id",
    "start_time": "call_start",
    "call_direction": "'inbound'",
    "calling_phone_number": "'+442079460018'",
    "destination_phone_number": "'+442079460104'",
    "recording_path": "recording_path",
    "recording_status": "recording_status",
    "recording_channels": "recording_channels",
}


class Way:
    """tap-iovox, a store and target-invoca-calls; the bookmark is the target's."""

    def __init__(self, sandbox, s3, tap, target):
        self.sandbox, self.s3, self.tap, self.target = sandbox, s3, tap, target
        self.state = None

    def start(self, **options):
        state = () if self.state is None else (f"--state={self.state}",)
        return self.tap.start(*state, **options)

    def deliver(self, tap):
        """Hand what the tap wrote, dead or alive, to the target."""
        run = self.target.run(tap.output.messages)
        assert run.code == 0, run.errors
        if run.states:
            self.state = self.tap.file("state.json", run.states[-1][1])

    def finish(self):
        """Run once more to the end; then each call has one object and one ingest, fetched."""
        tap = self.start().end_input()
        assert tap.wait() == 0, tap.errors
        self.deliver(tap)
        recorded = {
            f"iovox:{record['id']}": record["recording_path"]
            for run in self.tap.runs
            for record in run.output.records("calls")
            if record["recording_status"] == "stored"
        }
        assert len(recorded) > 20
        assert self.s3.objects.keys() - {"call-pipelines-probe.txt"} == {*recorded.values()}
        assert self.sandbox.books("invoca") == dict.fromkeys(recorded, 1)
        wait_until(
            lambda: self.sandbox.books("invoca-recordings").keys() >= recorded.keys(),
            "Invoca has fetched all recordings",
        )
        assert set(self.sandbox.books("invoca-recordings").values()) == {1}
        told = {one["recording"] for one in self.sandbox.journal("invoca-recordings")}
        assert told == {"stereo, mp3"}


@pytest.fixture
def way(s3, launch, tmp_path):
    planted = Planted(secrets=(*s3.storage.values(), CREDENTIALS["secure_key"], "X-Amz-"))
    for name in ("tap", "target"):
        (tmp_path / name).mkdir()
    with (
        Sandbox(calls=60, seed=9, days=6) as sandbox,
        Plugin(
            "tap-iovox",
            tmp_path / "tap",
            {
                **CREDENTIALS,
                "api_url": f"{sandbox.url}/iovox",
                "recordings_api_url": f"{sandbox.url}/iovox-api",
                "recordings_url": s3.url,
                "recordings_storage": s3.storage,
                "start_date": "2025-10-01T00:00:00Z",
                "end_date": "2025-11-03T00:00:00Z",
                "window_days": 2,
            },
            launch,
            planted,
        ) as tap,
        Plugin(
            "target-invoca-calls",
            tmp_path / "target",
            {
                "oauth_token": "sandbox-invoca-token",
                "api_url": f"{sandbox.url}/invoca",
                "advertiser_campaign_id_from_network": 85,
                "call_prefix": "iovox:",
                "ledger_url": f"sqlite:///{tmp_path}/target/calls.ledger.db",
                "recordings_url": s3.url,
                "recordings_storage": s3.storage,
                "stream_maps": {"calls": MAPPING},
            },
            launch,
            planted,
        ) as target,
    ):
        yield Way(sandbox, s3, tap, target)


def test_a_tap_killed_at_each_step_leaves_one_object_and_one_ingest_a_call(way):
    """Nothing of a URL, key or secret is in what either printed, nor in the files they left."""
    for moment, n in MOMENTS.items():
        tap = way.start(command=[str(DYING), moment, str(n)], launch=installed)
        assert tap.wait() == -signal.SIGKILL, moment
        way.deliver(tap)
    way.finish()
    left = b"".join(
        file.read_bytes()
        for file in (way.tap.folder.parent).rglob("*")
        if file.is_file() and "config" not in file.name and "s3" not in file.parts
    )
    for secret in (*way.s3.storage.values(), "X-Amz-"):
        assert secret.encode() not in left


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize("place", ["s3", "folder"])
def test_a_full_store_ends_the_run_and_no_call_is_lost(way, tmp_path, place):
    """Nothing is given on without its recording; when there is room again the rest comes."""
    way.sandbox.faults("iovox-recordings", "latency 200")
    options = {}
    if place == "folder":
        options = {"recordings_url": (tmp_path / "kept").as_uri(), "recordings_storage": {}}
    tap = way.start(**options)
    pid = way.s3.pid if place == "s3" else tap.pid
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, unlimited[1]))
    try:
        assert tap.end_input().wait() == 1
    finally:
        if place == "s3":
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    [sentence] = tap.sentences
    assert "The store of recordings" in sentence
    assert "room" in sentence
    assert "stored" not in {one["recording_status"] for one in tap.output.records("calls")}
    way.sandbox.faults("iovox-recordings")
    if place == "s3":
        way.deliver(tap)
        way.finish()
    else:
        again = way.start(**options).end_input()
        assert again.wait() == 0
        stored = [one["recording_path"] for one in again.output.records("calls")]
        files = {str(file.relative_to(tmp_path / "kept")) for file in tmp_path.glob("kept/**/*.*")}
        assert files == {path for path in stored if path}


def test_what_is_stored_is_not_asked_for_again(way):
    way.finish()
    asked = len(way.sandbox.journal("iovox-recordings"))
    way.state = None
    way.finish()
    assert len(way.sandbox.journal("iovox-recordings")) == asked


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_tap_killed_at_random_leaves_one_object_and_one_ingest_a_call(way):
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    dice = random.Random(seed)  # noqa: S311
    way.sandbox.faults("iovox-recordings", "latency 5-60")
    for _ in range(20):
        tap = way.start(window_days=1)
        time.sleep(dice.uniform(0.05, 0.6))
        tap.kill()
        tap.wait()
        way.deliver(tap)
    way.finish()
