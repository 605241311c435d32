"""How fast tap-invox reads, beside the same stream on the Singer SDK's defaults.

    python benchmarks/bench_tap.py [--calls 100000] [--rounds 3]

One sandbox serves both, in turns, in one run. The SDK's side is what its own templates and
documents lead to: a ``RESTStream`` with a schema, an authenticator and ``post_process``, here with
tap-invox's own ``typed``, so that both write the same records (which is checked).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import SinglePagePaginator

from call_sandbox.credentials import INVOX_API_KEY
from singer_calls.extract import Oddities
from tap_invox.records import typed
from tap_invox.schemas import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.streams.rest import HTTPRequest, PageContext

DAYS = 360


class DefaultCalls(RESTStream[None]):
    """The stream ``calls`` as the SDK's template would have it."""

    name = "calls"
    path = "/api/v2/calls"
    schema = CALLS
    primary_keys: ClassVar[list[str]] = ["call_id"]
    replication_key = "date"
    records_jsonpath = "$[*]"
    zone = ZoneInfo("Europe/Bucharest")
    oddities = Oddities()

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
        return request

    def post_process(self, row: dict[str, Any], context: object = None) -> dict[str, Any]:
        """The same typing."""
        del context
        return typed(row, self.zone, self.oddities)


class DefaultTap(Tap):
    """A tap with that stream."""

    name = "tap-default"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("api_url", th.StringType, required=True),
        th.Property("start_date", th.DateTimeType),
    ).to_dict()

    def discover_streams(self) -> list[DefaultCalls]:
        """The one stream."""
        return [DefaultCalls(self)]


TAPS = {
    "SDK defaults": [sys.executable, __file__, "--default-tap"],
    "tap-invox": [sys.executable, "-m", "tap_invox"],
}


@contextmanager
def serving(calls: int, folder: Path) -> Iterator[str]:
    """A sandbox in a process of its own; gives the address of its INVOX."""
    port = folder / "port"
    command = ["call-sandbox", "serve", "--port=0", f"--port-file={port}", f"--calls={calls}"]
    with subprocess.Popen(
        [Path(sys.executable).with_name(command[0]), *command[1:], f"--days={DAYS}"],
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            while not port.exists() or not port.read_text().strip():
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port.read_text().strip()}/invox"
        finally:
            process.terminate()


def read(command: list[str], config: Path, out: Path) -> float:
    """Run a tap into a file; returns seconds from start to end."""
    with out.open("wb") as file:
        began = time.perf_counter()
        subprocess.run(
            [*command, "--config", str(config)],
            stdout=file,
            check=True,
            env={**os.environ, "LOGLEVEL": "WARNING"},
        )
        return time.perf_counter() - began


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

    start = datetime.now(UTC) - timedelta(days=DAYS + 1)
    settings = {"api_key": INVOX_API_KEY, "start_date": start.strftime("%Y-%m-%dT00:00:00Z")}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(arguments.calls, Path(folder)) as url,
    ):
        config, out = Path(folder, "config.json"), Path(folder, "out.singer")
        config.write_text(json.dumps({**settings, "api_url": url}))
        seconds: dict[str, list[float]] = {name: [] for name in TAPS}
        seen = {}
        for _ in range(arguments.rounds):
            for name, command in TAPS.items():
                seconds[name].append(read(command, config, out))
                seen[name] = records(out)
        same = seen["SDK defaults"] == seen["tap-invox"]

    slowest = min(seconds["SDK defaults"])
    print(f"{arguments.calls} calls, best of {arguments.rounds}, start of the process included")
    for name, times in seconds.items():
        best = min(times)
        print(
            f"{name:14} {best:7.2f} s {arguments.calls / best:9.0f} calls/s {slowest / best:5.1f}x"
        )
    if not same:
        sys.exit("The two did not write the same records.")


if __name__ == "__main__":
    if "--default-tap" in sys.argv:
        sys.argv.remove("--default-tap")
        DefaultTap.cli()
    main()
