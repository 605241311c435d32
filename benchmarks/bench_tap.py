"""How fast tap-invox reads, beside the same stream on the Singer SDK's defaults.

    python benchmarks/bench_tap.py [--calls 100000] [--rounds 3]

One server gives both the sandbox's answers, in turns, in one run. The SDK's side is what its own
templates and documents lead to: a ``RESTStream`` with a schema, an authenticator and
``post_process``, here with tap-invox's own ``call``, so that both write the same records (which
is checked).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import SinglePagePaginator

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOX_API_KEY
from singer_calls.extract import SchemaDrift
from tap_invox.records import call
from tap_invox.schemas import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.streams.rest import HTTPRequest, PageContext

DAYS = 360
END = datetime(2026, 1, 1, tzinfo=UTC)


class DefaultCalls(RESTStream[None]):
    """The stream ``calls`` as the SDK's template would have it."""

    name = "calls"
    path = "/api/v2/calls"
    schema = CALLS
    primary_keys: ClassVar[list[str]] = ["call_id"]
    replication_key = "date"
    records_jsonpath = "$[*]"
    zone = ZoneInfo("Europe/Bucharest")
    drift = SchemaDrift()

    @property
    def url_base(self) -> str:
        """From the settings."""
        return str(self.config["api_url"])

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """The key as a header."""
        return APIKeyAuthenticator(key="X-API-Key", value=self.config["api_key"], location="header")

    def get_new_paginator(self) -> SinglePagePaginator:
        """INVOX has no pages."""
        return SinglePagePaginator()

    def get_http_request(self, *, page: PageContext[None]) -> HTTPRequest:
        """Ask from ``start_date``."""
        request = super().get_http_request(page=page)
        request.params["from_date"] = f"{self.config['start_date'][:10]} 00:00:00"
        request.params["to_date"] = f"{self.config['end_date'][:10]} 00:00:00"
        return request

    def post_process(self, row: dict[str, Any], context: object = None) -> dict[str, Any]:
        """The same typing."""
        del context
        return call(row, self.drift, self.zone)


class DefaultTap(Tap):
    """A tap with that stream."""

    name = "tap-default"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("api_url", th.StringType, required=True),
        th.Property("start_date", th.DateTimeType, required=True),
        th.Property("end_date", th.DateTimeType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[DefaultCalls]:
        """The one stream."""
        return [DefaultCalls(self)]


TAPS: dict[str, list[str | Path]] = {
    "SDK defaults": [sys.executable, __file__, "--default-tap"],
    "tap-invox": [sys.executable, "-m", "tap_invox"],
}


class Replay(BaseHTTPRequestHandler):
    """Answers from memory what the sandbox answered to the same question before.

    Else the sandbox, which computes each call anew, would be what is measured.
    """

    protocol_version = "HTTP/1.1"
    sandbox: str
    answers: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Ask the sandbox the first time."""
        if self.path not in self.answers:
            answer = requests.get(
                self.sandbox + self.path, headers={"X-API-Key": INVOX_API_KEY}, timeout=600
            )
            answer.raise_for_status()
            self.answers[self.path] = answer.content
        body = self.answers[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(calls: int) -> Iterator[str]:
    """A sandbox behind a replay; gives the address of its INVOX."""
    with Sandbox(calls=calls, days=DAYS, now=int(END.timestamp())) as sandbox:
        Replay.sandbox = sandbox.url
        server = ThreadingHTTPServer(("127.0.0.1", 0), Replay)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/invox"
        server.shutdown()


def read(command: list[str | Path], config: Path, out: Path) -> tuple[float, float]:
    """Run a tap into a file.

    Returns:
        Seconds from the first request to the last record (the SDK's own metric
        ``sync_duration``), and CPU seconds of the whole process.
    """
    before = os.times()
    with out.open("wb") as file:
        done = subprocess.run(
            [*command, "--config", config], stdout=file, stderr=subprocess.PIPE, check=True
        )
    after = os.times()
    (took,) = re.findall(rb'"sync_duration","value":([0-9.]+)', done.stderr)
    cpu = sum(after[2:4]) - sum(before[2:4])
    return float(took), cpu


def records(out: Path) -> dict[int, dict[str, Any]]:
    """The records that a tap wrote, by their key."""
    with out.open() as lines:
        messages = [json.loads(line) for line in lines]
    return {m["record"]["call_id"]: m["record"] for m in messages if m["type"] == "RECORD"}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    settings = {
        "api_key": INVOX_API_KEY,
        "start_date": f"{END - timedelta(days=DAYS):%Y-%m-%dT%H:%M:%SZ}",
        "end_date": f"{END + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    with tempfile.TemporaryDirectory() as folder, serving(arguments.calls) as url:
        config, out = Path(folder, "config.json"), Path(folder, "out.singer")
        config.write_text(json.dumps({**settings, "api_url": url}))
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in TAPS}
        seen = {}
        for command in TAPS.values():  # fills the replay
            read(command, config, out)
        for _ in range(arguments.rounds):
            for name, command in TAPS.items():
                measured[name].append(read(command, config, out))
                seen[name] = records(out)
        same = seen["SDK defaults"] == seen["tap-invox"]

    print(f"{arguments.calls} calls, best of {arguments.rounds}")
    print(f"{'':14} {'seconds':>8} {'calls/s':>8} {'':5} {'CPU seconds, start included':>28}")
    best = {
        name: [min(column) for column in zip(*rows, strict=True)] for name, rows in measured.items()
    }
    base_took, base_cpu = best["SDK defaults"]
    for name, (took, cpu) in best.items():
        print(
            f"{name:14} {took:8.2f} {arguments.calls / took:8.0f} {base_took / took:4.1f}x"
            f" {cpu:22.2f} {base_cpu / cpu:4.1f}x"
        )
    if not same:
        sys.exit("The two did not write the same records.")


if __name__ == "__main__":
    if "--default-tap" in sys.argv:
        sys.argv.remove("--default-tap")
        DefaultTap.cli()
    main()
