"""What a tap reads: ours beside the SDK's template, dlt, and decoding alone; the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import requests
from measure import BIN, HERE, Cost, FailedError, Figure, run, script
from report import Goal, Table
from typing_extensions import override

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOCA_TOKEN, INVOX_API_KEY, IOVOX_SECURE_KEY, IOVOX_USERNAME
from tap_iovox.fields import RESPONSE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Vendor

DAYS = 360
END = datetime(2026, 1, 1, tzinfo=UTC)
LIVE = "/invoca/api/2022-08-01/calls_in_progress/current_calls.json"
LIST = "/iovox/rest/v1/calls/insights"
BARE, STOCK, DLT = "bare decode and write", "Singer SDK, RESTStream", "dlt, rest_api"


@dataclass(frozen=True)
class Source:
    """One vendor's calls.

    Attributes:
        vendor: Its name.
        ours: Settings of our tap.
        peers: Of the others: url, params, headers, where the rows are, whether there are pages.
        elements: Whether ours also writes the streams of elements.
    """

    vendor: str
    ours: dict[str, Any]
    peers: dict[str, Any] = field(default_factory=dict)
    elements: bool = False

    @property
    def tap(self) -> str:
        """Our tap."""
        return "tap-invoca-calls" if self.vendor == "invoca" else f"tap-{self.vendor}"


def sources(base: str) -> list[Source]:
    """What is read, from a vendor at this address."""
    day = timedelta(days=1)  # more than any zone is away from UTC
    ends = {"start_date": END - DAYS * day - day, "end_date": END + day}
    span = {name: f"{one:%Y-%m-%dT%H:%M:%SZ}" for name, one in ends.items()}
    asked = {name: f"{one:%Y-%m-%d %H:%M:%S}" for name, one in ends.items()}
    light = [one for one in RESPONSE_FIELDS if not one.part]
    iovox = {
        "api_url": f"{base}/iovox",
        "username": IOVOX_USERNAME,
        "secure_key": IOVOX_SECURE_KEY,
        **span,
    }
    pages = {
        "url": LIST,
        "pages": True,
        "rows": "",
        "headers": {"username": IOVOX_USERNAME, "secureKey": IOVOX_SECURE_KEY},
    }

    def page(fields: list[Any]) -> dict[str, Any]:
        names = ",".join(one.request for one in fields)
        return {**pages, "params": {**asked, "limit": 1000, "response_fields": names}}

    return [
        Source(
            "invox",
            {"api_url": f"{base}/invox", "api_key": INVOX_API_KEY, **span},
            {
                "url": "/invox/api/v2/calls",
                "pages": False,
                "rows": "",
                "headers": {"X-API-Key": INVOX_API_KEY},
                "params": {"from_date": asked["start_date"], "to_date": asked["end_date"]},
            },
        ),
        Source("iovox", iovox, page(light)),
        Source("iovox", iovox, page(list(RESPONSE_FIELDS)), elements=True),
        Source(
            "invoca",
            {
                "api_url": f"{base}/invoca",
                "oauth_token": INVOCA_TOKEN,
                "organization_type": "Network",
                "organization_id": 1,
            },
            {
                "url": LIVE,
                "pages": False,
                "rows": "current_calls",
                "headers": {"Authorization": INVOCA_TOKEN},
                "params": {"organization_type": "Network", "id": 1},
            },
        ),
    ]


@contextmanager
def answering(vendor: Vendor, calls: int) -> Iterator[None]:
    """The vendor answers as the sandbox does, which computes each answer once."""
    with Sandbox(calls=calls, days=DAYS, now=int(END.timestamp())) as sandbox:

        class Upstream(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                names = {"X-API-Key", "username", "secureKey", "Authorization"}
                headers = {name: self.headers[name] for name in names if name in self.headers}
                answer = requests.get(sandbox.url + self.path, headers=headers, timeout=600)
                answer.raise_for_status()
                body = answer.content
                if self.path.startswith(LIVE):
                    body = _crowd(answer.json(), calls)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        Thread(target=server.serve_forever, daemon=True).start()
        vendor.replay(f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def _crowd(answer: dict[str, Any], calls: int) -> bytes:
    """As many calls in progress as asked for; the sandbox has few."""
    seen = answer["current_calls"]
    crowd = [
        seen[number % len(seen)] | {"transaction_id": f"{number:08}"} for number in range(calls)
    ]
    return json.dumps({"current_calls": crowd}).encode()


def compare(
    vendor: Vendor, folder: Path, rounds: int, calls: int
) -> tuple[Table, float, list[Goal]]:
    """Each tap beside its peers, and tap-invox beside the SDK's stream as a ratio."""
    rows, ratio = [], 0.0
    beside: dict[str, dict[str, float]] = {name: {} for name in (STOCK, DLT, BARE)}
    with answering(vendor, calls):
        for source in sources(vendor.url):
            commands = _commands(source, vendor.url, folder)
            found = {name: (Figure(), Figure()) for name in commands}
            held = 0
            for number in range(rounds + 1):  # the first fills the vendor
                for name, command in commands.items():
                    rate, processor = found[name]
                    try:
                        cost, wrote = _read(command, folder)
                    except FailedError as error:
                        rate.missing = processor.missing = str(error)
                        continue
                    held = held or wrote
                    if wrote != held:
                        rate.missing = processor.missing = f"wrote {wrote:,} of {held:,} calls"
                    if number:
                        rate.values.append(wrote / cost.seconds)
                        processor.values.append(1000 * cost.processor / wrote)
            stock = found[STOCK][0]
            if source.tap == "tap-invox":
                ratio = found[source.tap][0].ratio(stock)
            what = f"{source.vendor}{', all elements' if source.elements else ''}"
            for name, values in beside.items():
                values[what] = found[source.tap][0].ratio(found[name][0])
            rows += [
                [
                    what,
                    name,
                    rate.text(),
                    rate.times(stock),
                    processor.text(3),
                ]
                for name, (rate, processor) in found.items()
            ]
    note = (
        f"{calls:,} calls, start-up included; all must write as many as bare, which decodes and "
        "writes and types nothing. The SDK's stream types with our functions; dlt extracts and "
        "normalizes. With all elements, ours writes their streams too, the others only the calls."
    )
    head = ["source", "program", "calls/s", "times the SDK's", "processor, ms a call"]
    goals = [
        Goal("extraction, beside the SDK's stream", 4, beside[STOCK], "times"),
        Goal("extraction, beside dlt", 1, beside[DLT], "times"),
        Goal("extraction, beside bare decode and write", 1 / 3, beside[BARE], "times"),
    ]
    return Table("Extraction", note, head, rows), ratio, goals


def _commands(source: Source, base: str, folder: Path) -> dict[str, list[str | Path]]:
    name = f"{source.vendor}{source.elements}"
    ours, peers = folder / f"{name}-ours.json", folder / f"{name}-peers.json"
    ours.write_text(json.dumps(source.ours))
    peers.write_text(json.dumps({"vendor": source.vendor, "base": base, **source.peers}))
    tap: list[str | Path] = [BIN / source.tap, "--config", ours]
    if source.vendor == "iovox":
        tap += ["--catalog", _catalog(source, ours, folder)]
    return {
        BARE: [sys.executable, HERE / "peers/bare_tap.py", "--config", peers],
        source.tap: tap,
        STOCK: [
            sys.executable, HERE / "peers/stock_tap.py", "--config", peers,
        ],
        DLT: [*script("peers/dlt_rest_api.py"), "--config", peers],
    }  # fmt: skip


def _catalog(source: Source, config: Path, folder: Path) -> Path:
    """Calls without the parts that are lists, or all streams."""
    told = subprocess.run(
        [BIN / source.tap, "--config", config, "--discover"], check=True, capture_output=True
    )
    catalog = json.loads(told.stdout)
    parts = {one.part.partition(".")[0] for one in RESPONSE_FIELDS if one.part}
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            path = entry["breadcrumb"]
            wanted = source.elements or (
                stream["tap_stream_id"] == "calls" and (not path or path[1] not in parts)
            )
            entry["metadata"]["selected"] = wanted
    file = folder / f"catalog-{source.elements}.json"
    file.write_text(json.dumps(catalog))
    return file


def _read(command: list[str | Path], folder: Path) -> tuple[Cost, int]:
    """Run a tap into a file; how many calls it wrote."""
    with tempfile.TemporaryFile(dir=folder) as out:
        cost = run(command, folder=folder, stdout=out)
        out.seek(0)
        return cost, sum(map(_calls, out))


def _calls(line: bytes) -> int:
    """How many calls a line of a program's output tells of."""
    if line.startswith(b'{"rows"'):
        return int(json.loads(line)["rows"])
    head = line[:80].replace(b" ", b"")
    return b'"RECORD"' in head and (b'"calls"' in head or b'"calls_in_progress"' in head)
