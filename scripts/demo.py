"""The demo: every pipeline, twice, against the vendors of the sandbox, and what each call became.

Between the two runs a day passes at the vendors: the second delivers what is new or has become
final, and nothing else. At the end the sandbox's books are compared with the sources, call by call.
All state is in .demo/, made anew at each start; the user's .env and credentials are not read.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOUSE = Path(__file__).resolve().parent.parent
DEMO = HOUSE / ".demo"
BIN = Path(sys.executable).parent
HOURS = 24
CALLS = 600
DAYS = 30
COLUMNS = ("read", "filtered", "accepted", "duplicate", "unchanged", "rejected", "held")


@dataclass(frozen=True)
class Delivery:
    """A pipeline that delivers calls to a vendor.

    Attributes:
        job: Its job in meltano.yml.
        source: The vendor that is read.
        destination: The vendor that receives.
        final: Whether the mapping lets a call of the source through.
        prefix: What the mapping puts before a call's id.
    """

    job: str
    source: str
    destination: str
    final: Callable[[Mapping[str, Any]], bool]
    prefix: str = ""


def _has_ended(call: Mapping[str, Any]) -> bool:
    return bool(call["status"] != "Calling")


DELIVERIES = (Delivery("invox-to-impact", "invox", "impact", _has_ended),)
WAREHOUSES = ("invox-to-warehouse",)
PLUGINS = ("tap-invox", "target-impact-calls", "target-jsonl")


def environment(url: str) -> dict[str, str]:
    """What Meltano runs with: the example's credentials, this demo's state, none of the user's."""
    lines = (HOUSE / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    ours = {
        "SANDBOX_URL": url,
        "LEDGER_URL": f"sqlite:///{DEMO / 'calls.ledger.db'}",
        "REJECTED_PATH": str(DEMO / "rejected"),
        "OUTPUT_PATH": str(DEMO / "output"),
        "MELTANO_DATABASE_URI": f"sqlite:///{DEMO / 'meltano.db'}",
        "MELTANO_ENVIRONMENT": "sandbox",
        "NO_COLOR": "1",
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MELTANO_", "TAP_", "TARGET_"))
    }
    return kept | example | ours


def free_port(wanted: int) -> int:
    """The port itself, or the next one that nobody listens on."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port != wanted:
                    print(f"Port {wanted} is taken, {port} is used.")
                return port
    sys.exit(f"Ports {wanted} to {wanted + 99} are taken: name another with PORT=...")


@contextlib.contextmanager
def sandbox(port: int) -> Iterator[str]:
    """The vendors, while the block runs; yields their address."""
    log = (DEMO / "sandbox.log").open("w", encoding="utf-8")
    serve = ["serve", f"--port={port}", f"--calls={CALLS}", f"--days={DAYS}", f"--now={HOURS}h-ago"]
    command = [str(BIN / "call-sandbox"), *serve]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            subprocess.run([str(BIN / "call-sandbox"), "wait", f"--port={port}"], check=True)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def ask(
    url: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401
    """JSON from the sandbox; with a body, a POST."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, dict(headers or {}))) as answer:  # noqa: S310 - loopback, our own
        return json.load(answer)


def meltano(*arguments: str, env: Mapping[str, str]) -> str:
    """Run Meltano; returns its log.

    Raises:
        SystemExit: It failed; the end of its log is shown.
    """
    command = [str(BIN / "meltano"), f"--env-file={DEMO / 'env'}", *arguments]
    done = subprocess.run(command, cwd=HOUSE, env=env, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    (DEMO / f"{'-'.join(arguments[:2])}-{time.time():.0f}.log").write_text(log, encoding="utf-8")
    if done.returncode:
        sys.exit(f"meltano {' '.join(arguments)} failed:\n" + "\n".join(log.splitlines()[-20:]))
    return log


def counts(log: str) -> dict[str, int]:
    """The counts of the target's last summary line."""
    found = re.findall(r"Summary: (.*)", log)
    if not found:
        sys.exit("A target ended without its summary line.")
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", found[-1])}


def run_all(env: Mapping[str, str], number: int) -> None:
    """Run every pipeline and print a row for each."""
    jobs = [delivery.job for delivery in DELIVERIES] + list(WAREHOUSES)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        logs = dict(
            zip(jobs, pool.map(lambda job: meltano("run", job, env=env), jobs), strict=True)
        )
    for delivery in DELIVERIES:
        row = counts(logs[delivery.job])
        print(f"{delivery.job:24}{number:>4}" + "".join(f"{row[name]:>11}" for name in COLUMNS))


def rejected_keys() -> set[str]:
    """The ids of the calls in the rejected files, as the sources gave them."""
    found = set()
    for file in (DEMO / "rejected").glob("*.singer.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                found.add(str(record.get("call_id") or record["id"]))
    return found


def compare(url: str) -> bool:
    """Every call that the mappings let through is at its vendor once, or in the rejected file.

    Prints a sentence for each vendor.
    """
    sources = {
        "invox": ask(f"{url}/invox/api/v2/calls", headers={"X-API-Key": "sandbox-invox-key"}),
    }
    rejected = rejected_keys()
    right = True
    for destination in sorted({delivery.destination for delivery in DELIVERIES}):
        expected = {
            delivery.prefix + str(call.get("call_id") or call["id"])
            for delivery in DELIVERIES
            if delivery.destination == destination
            for call in sources[delivery.source]
            if delivery.final(call)
        }
        books = ask(f"{url}/_books?vendor={destination}")
        lost = expected - books.keys() - rejected
        doubled = {key for key, times in books.items() if times != 1}
        foreign = books.keys() - expected
        right = right and not (lost or doubled or foreign)
        print(
            f"{destination}: {len(books)} calls received, {len(expected & rejected)} rejected,"
            f" {len(lost)} lost, {len(doubled)} doubled, {len(foreign)} that should not be there."
        )
    return right


def main() -> None:
    """Run the demo; exit 1 when a call is lost or doubled."""
    parser = argparse.ArgumentParser(description="The pipelines, against vendors on this machine.")
    parser.add_argument("--port", type=int, default=8321)
    port = free_port(parser.parse_args().port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    (DEMO / "env").touch()
    with sandbox(port) as url:
        env = environment(url)
        print("Installing the plugins ...")
        meltano("install", *PLUGINS, env=env)
        print(f"\n{'pipeline':24}{'run':>4}" + "".join(f"{name:>11}" for name in COLUMNS))
        run_all(env, 1)
        ask(f"{url}/_clock", {"advance": HOURS * 3600})
        run_all(env, 2)
        print()
        right = compare(url)
        print(f"\nWhat each vendor served and received: {url}/")
        if not right:
            sys.exit("The vendors' books are not what the pipelines should have made of them.")
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()


if __name__ == "__main__":
    main()
