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
BIN = Path(sys.executable).parent
HOURS = 24
CALLS = 600
DAYS = 30
COLUMNS = (
    *("read", "filtered", "accepted", "duplicate"),
    *("unchanged", "changed", "rejected", "held"),
)


@dataclass(frozen=True)
class Delivery:
    """A pipeline that delivers calls to a vendor.

    Attributes:
        job: Its job in meltano.yml.
        source: The vendor that is read.
        destination: The vendor that receives.
        final: Whether the mapping lets a call of the source through.
    """

    job: str
    source: str
    destination: str
    final: Callable[[Mapping[str, Any]], bool]

    def key(self, call: Mapping[str, Any]) -> str:
        """What the mapping makes of a call's id: sources share a destination's ids."""
        return f"{self.source}:{call.get('call_id') or call['id']}"


SUPPORTED = ("1", "44", "34")  # calling codes that Invoca documents


def _final(call: Mapping[str, Any]) -> bool:
    return bool(call["status"] != "Calling")


def _final_and_recorded(call: Mapping[str, Any]) -> bool:
    numbers = (call.get("caller") or "", call.get("destinationnumber") or "")
    british = all(number.startswith("+44") for number in numbers)
    return _final(call) and bool(call.get("recording_uri")) and british


def _inbound(call: Mapping[str, Any]) -> bool:
    return bool(call["direction"] != "OUT")


def _recorded(call: Mapping[str, Any]) -> bool:
    numbers = (call["call_origin"], call["call_destination"])
    return call["has_recording"] == "TRUE" and all(n.startswith(SUPPORTED) for n in numbers)


DELIVERIES = (
    Delivery("invox-to-impact", "invox", "impact", _final),
    Delivery("iovox-to-impact", "iovox", "impact", _inbound),
    Delivery("invox-to-invoca", "invox", "invoca", _final_and_recorded),
    Delivery("iovox-to-invoca", "iovox", "invoca", _recorded),
)
# Job -> the folder of its JSON lines.
WAREHOUSES = {
    "invox-to-warehouse": "invox",
    "iovox-to-warehouse": "iovox",
    "invoca-live-to-warehouse": "invoca",
}
PLUGINS = (
    *("tap-invox", "tap-iovox", "tap-invoca-calls"),
    *("target-impact-calls", "target-invoca-calls", "target-jsonl"),
)
# Where Meltano installs plugins; .meltano without it.
PLUGINS_FOLDER = "MELTANO_SYS_DIR_ROOT"
# Who is on the line is watched for minutes; here one look is enough.
ONE_LOOK = {"TAP_INVOCA_CALLS__WAREHOUSE_WATCH_SECONDS": "0"}


class Project:
    """Meltano in this checkout, its state, ledger and files in a folder of their own.

    It reads the credentials of .env.example, and nothing of the user's.

    Args:
        folder: Made if need be.
        url: The sandbox.
        variables: Instead of, or in addition to, those of .env.example.
    """

    def __init__(self, folder: Path, url: str, **variables: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        example = (HOUSE / ".env.example").read_text(encoding="utf-8").splitlines()
        ours = {
            "SANDBOX_URL": url,
            "LEDGER_URL": f"sqlite:///{folder / 'calls.ledger.db'}",
            "REJECTED_PATH": str(folder / "rejected"),
            "OUTPUT_PATH": str(folder / "output"),
        }
        settings = dict(line.split("=", 1) for line in example if line and line[0] != "#")
        lines = [f"{name}={value}\n" for name, value in (settings | ours | variables).items()]
        (folder / "env").write_text("".join(lines), encoding="utf-8")
        known = (*settings, "MELTANO_", "TAP_", "TARGET_")
        self.environment = {
            **{
                k: v
                for k, v in os.environ.items()
                if k == PLUGINS_FOLDER or not k.startswith(known)
            },
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "XDG_STATE_HOME": str(folder / "log"),
            "NO_COLOR": "1",
            **ONE_LOOK,
        }

    def meltano(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Meltano; its log, standard output and error together, is ``stdout``."""
        return subprocess.run(
            [str(BIN / "meltano"), f"--env-file={self.folder / 'env'}", *arguments],
            cwd=HOUSE,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


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
def sandbox(port: int, folder: Path) -> Iterator[str]:
    """The vendors, while the block runs; yields their address."""
    log = (folder / "sandbox.log").open("w", encoding="utf-8")
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


def run(project: Project, *arguments: str) -> str:
    """Run Meltano; returns its log, which is also kept in the project's folder.

    Raises:
        SystemExit: It failed; the end of its log is shown.
    """
    done = project.meltano(*arguments)
    name = "-".join(arguments[:2])
    (project.folder / f"{name}-{time.time():.0f}.log").write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-20:])
        sys.exit(f"meltano {' '.join(arguments)} failed:\n{end}")
    return done.stdout


def counts(log: str) -> dict[str, int]:
    """The counts of the target's last summary line."""
    found = re.findall(r"Summary: (.*)", log)
    if not found:
        sys.exit("A target ended without its summary line.")
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", found[-1])}


def run_all(project: Project, number: int) -> None:
    """Run every pipeline and print a row for each."""
    jobs = [delivery.job for delivery in DELIVERIES] + list(WAREHOUSES)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda job: run(project, "run", job), jobs)
        logs = dict(zip(jobs, done, strict=True))
    for delivery in DELIVERIES:
        row = counts(logs[delivery.job])
        print(f"{delivery.job:26}{number:>3}" + "".join(f"{row[name]:>11}" for name in COLUMNS))
    for job, name in WAREHOUSES.items():
        print(f"{job:26}{number:>3}{rows(project.folder / 'output' / name):>11} rows so far")


def rows(folder: Path) -> int:
    """How many lines the files of a folder have."""
    return sum(len(file.read_bytes().splitlines()) for file in folder.glob("*.jsonl"))


def rejected_keys(folder: Path) -> set[str]:
    """The calls in the rejected files, under the ids that the mappings make."""
    found = set()
    for file in (folder / "rejected").glob("*.singer.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                found.add(
                    f"invox:{record['call_id']}" if "call_id" in record else f"iovox:{record['id']}"
                )
    return found


def compare(url: str, folder: Path) -> bool:
    """Every call that the mappings let through is at its vendor once, or in the rejected file.

    Prints a sentence for each vendor.
    """
    sources = {
        "invox": ask(f"{url}/invox/api/v2/calls", headers={"X-API-Key": "sandbox-invox-key"}),
        "iovox": ask(
            f"{url}/iovox/rest/v1/calls/insights?limit=20000&start_date=2000-01-01"
            "&response_fields=id,call_start,call_origin,call_destination,has_recording,direction",
            headers={"username": "sandbox-user", "secureKey": "sandbox-secure-key"},
        ),
    }
    rejected = rejected_keys(folder)
    right = True
    for destination in sorted({delivery.destination for delivery in DELIVERIES}):
        expected = {
            delivery.key(call)
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
    parser.add_argument("--folder", type=Path, default=HOUSE / ".demo")
    options = parser.parse_args()
    folder = options.folder.resolve()
    port = free_port(options.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with sandbox(port, folder) as url:
        project = Project(folder, url)
        print("Installing the plugins ...")
        run(project, "install", *PLUGINS)
        print(f"\n{'pipeline':26}{'run':>3}" + "".join(f"{name:>11}" for name in COLUMNS))
        run_all(project, 1)
        ask(f"{url}/_clock", {"advance": HOURS * 3600})
        run_all(project, 2)
        print()
        right = compare(url, folder)
        print(f"\nWhat each vendor served and received: {url}/")
        if not right:
            sys.exit("The vendors' books are not what the pipelines should have made of them.")
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
