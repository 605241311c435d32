"""Recordings from iovox's API into a store: how many a second, and in how much memory.

    bench_recordings.py [--recordings 1000] [--kilobytes 500] [--in-flight 16] [--url s3://...]

The sandbox serves, tap-iovox fetches and stores into a folder (or the given store, with
RECORDINGS_STORAGE); then once more, when all is there. On a machine that does all of it at once.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from call_sandbox import Sandbox

BIN = Path(sys.executable).parent
RECORDED = 0.55  # of all calls, less than those that have a recording


def run(config: dict[str, object], folder: Path) -> tuple[float, int, int]:
    """One run of the tap: seconds, stored recordings in its records, its peak memory in MB."""
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    began = time.monotonic()
    done = subprocess.run(
        [str(BIN / "tap-iovox"), "--config", "config.json"],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return seconds, done.stdout.count(b'"recording_status":"stored"'), peak


def main() -> None:
    """Measure, and print a line a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=500)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--url")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        Sandbox(calls=round(asked.recordings / RECORDED)) as sandbox,
    ):
        folder = Path(name)
        sandbox.switches("iovox-recordings", kilobytes=asked.kilobytes)
        config: dict[str, object] = {
            "username": "sandbox-user",
            "secure_key": "sandbox-secure-key",
            "api_url": f"{sandbox.url}/iovox",
            "recordings_api_url": f"{sandbox.url}/iovox-api",
            "recordings_url": asked.url or (folder / "kept").as_uri(),
            "recordings_storage": json.loads(os.environ.get("RECORDINGS_STORAGE", "{}")),
            "recordings_in_flight": asked.in_flight,
            "start_date": "2025-01-01T00:00:00Z",
            "window_days": 365,
        }
        for what in ("fetched and stored", "known already"):
            before = len(sandbox.journal("iovox-recordings"))
            seconds, stored, peak = run(config, folder)
            fetched = len(sandbox.journal("iovox-recordings")) - before
            print(
                f"{what}: {stored} recordings of {asked.kilobytes} kB in {seconds:.1f} s, "
                f"{stored / seconds:.0f}/s, {fetched} asked of the API, peak {peak} MB"
            )


if __name__ == "__main__":
    main()
