"""How fast target-impact-calls delivers, and what calls that have to wait cost the others.

    python benchmarks/bench_delivery.py [--calls 6000] [--rounds 3] [--latency 50]

The sandbox answers after a latency. In turns, in one run: all goes well, or 1 % of the calls get
``503`` with ``Retry-After: 1`` twice. A sender with batches would let everyone wait for those.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from call_sandbox import Sandbox
from call_sandbox.credentials import IMPACT_PASSWORD, IMPACT_USERNAME

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = Path(sys.executable).with_name("target-impact-calls")
WAIT = "503 retry-after 1"
EVERY = 100


def messages(calls: int) -> Iterator[dict[str, object]]:
    """The input: calls, and a STATE after each hundred."""
    schema = {"properties": {"CallSessionId": {"type": "string"}}}
    yield {"type": "SCHEMA", "stream": "calls", "schema": schema, "key_properties": []}
    for number in range(calls):
        record = {
            "CallSessionId": f"call-{number}",
            "CallerId": f"+1415555{number % 10000:04}",
            "CalledPhoneNumber": "+12125550100",
            "EventDate": "2025-11-02T10:00:00Z",
            "CallDuration": 60,
            "CallStatus": "Answered",
        }
        yield {"type": "RECORD", "stream": "calls", "record": record}
        if (number + 1) % EVERY == 0:
            yield {"type": "STATE", "value": {"done": number + 1}}


def deliver(sandbox: Sandbox, lines: bytes, calls: int, *, waits: bool, in_flight: int) -> float:
    """Deliver the calls in a fresh folder.

    Returns:
        Calls per second, from the first request to the last answer.
    """
    keys = [f"call-{number}" for number in range(0, calls, EVERY)] if waits else []
    sandbox.script("impact", dict.fromkeys(keys, (WAIT, WAIT)))
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "api_url": f"{sandbox.url}/impact",
            "username": IMPACT_USERNAME,
            "password": IMPACT_PASSWORD,
            "campaign_id": 1,
            "media_id": 2,
            "action_tracker_id": 3,
            "vendor_name": "Example",
            "max_in_flight": in_flight,
        }
        config = Path(folder, "config.json")
        config.write_text(json.dumps(settings))
        subprocess.run(
            [TARGET, "--config", config], input=lines, cwd=folder, capture_output=True, check=True
        )
    journal = sandbox.journal("impact")
    books = sandbox.books("impact")
    if len(books) != calls or max(books.values()) != 1 or len(journal) != calls + 2 * len(keys):
        raise SystemExit("not every call was delivered once")
    ends = [entry["at_monotonic"] + entry["duration"] for entry in journal]
    return calls / (max(ends) - journal[0]["at_monotonic"])


def main() -> None:
    """Measure in turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=int, default=50, help="of the vendor, milliseconds")
    parser.add_argument("--in-flight", type=int, default=16)
    told = parser.parse_args()
    lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages(told.calls))
    rates: dict[bool, list[float]] = {False: [], True: []}
    with Sandbox(calls=1) as sandbox:
        for _ in range(told.rounds):
            for waits, found in rates.items():
                sandbox.reset()
                sandbox.faults("impact", f"latency {told.latency}")
                found.append(
                    deliver(sandbox, lines, told.calls, waits=waits, in_flight=told.in_flight)
                )
    well, waiting = (median(found) for found in rates.values())
    print(
        f"{told.calls} calls, {told.in_flight} in flight, {told.latency} ms, median of "
        f"{told.rounds}:"
    )
    print(f"  all goes well            {well:7.0f} calls/s")
    print(f"  1 % wait a second twice  {waiting:7.0f} calls/s, {100 * waiting / well:.0f} %")


if __name__ == "__main__":
    main()
