"""The demo: every pipeline, twice, against the vendors of the sandbox, and what each call became.

Between the two runs a day passes at the vendors: the second delivers what is new or has become
final, and nothing else. Four calls meet trouble on their way. At the end the sandbox's books are
compared with the sources, call by call. All state is in .demo/, made anew at each start; the user's
.env and credentials are not read.
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
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HOURS = 24
CALLS = 600
DAYS = 30
# Words of a target's summary; "known" are those that an earlier run delivered.
COLUMNS = ("read", "filtered", "accepted", "duplicate", "known", "rejected", "held")
KNOWN = ("unchanged", "changed")
HEADER = f"{'pipeline':16}{'run':>3}" + "".join(f" {name}" for name in COLUMNS)
SILENCE_SECONDS = 2.5  # after which something is said in any case


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


def _called(call: Mapping[str, Any]) -> str:
    return str(call.get("destinationnumber") or call["receivingnumber"])


def _final_and_recorded(call: Mapping[str, Any]) -> bool:
    numbers = (call.get("caller") or "", _called(call))
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
JOBS = (*(delivery.job for delivery in DELIVERIES), *WAREHOUSES)
PLUGINS = (
    *("tap-invox", "tap-iovox", "tap-invoca-calls"),
    *("target-impact-calls", "target-invoca-calls", "target-jsonl"),
)


@dataclass(frozen=True)
class Trouble:
    """What one call meets on its way, and what is to become of it.

    Attributes:
        delivery: The pipeline that meets it, in the first run.
        word: The sandbox's word for it; README of the sandbox, Fault words.
        told: For people.
        end: What became of it, when all is well.
    """

    delivery: Delivery
    word: str
    told: str
    end: str


TROUBLES = (
    Trouble(
        DELIVERIES[0],
        "503 retry-after 1",
        "impact.com said 503 and asked for a second",
        "retried after it, and accepted",
    ),
    Trouble(
        DELIVERIES[0],
        "reset_after_body",
        "the line to impact.com broke before its answer",
        "held, not sent again: who pays for each call must not get it twice",
    ),
    Trouble(
        DELIVERIES[0],
        "refuse MediaId: Partner is not active",
        'impact.com refused it: "Partner is not active"',
        "rejected, and kept with that reason to be replayed",
    ),
    Trouble(
        DELIVERIES[2],
        "reset_after_body",
        "the line to Invoca broke before its answer",
        "retried: Invoca, which tells calls apart, said that it had it",
    ),
)
# Typical seconds of each step, for the time that is left.
INSTALL_SECONDS = 3.0
JOB_SECONDS = 3.0

# Where Meltano installs plugins; .meltano without it.
PLUGINS_FOLDER = "MELTANO_SYS_DIR_ROOT"
RECORDINGS = "recordings"  # below the project's folder, and at the sandbox
FETCHED_SECONDS = 20.0  # until which Invoca has fetched what it was told to
# Who is on the line is watched for minutes; here one look is enough.
ONE_LOOK = {"TAP_INVOCA_CALLS__WAREHOUSE_WATCH_SECONDS": "0"}


def _recordings(folder: Path, url: str) -> dict[str, str]:
    """Settings: recordings are kept in a folder, which the sandbox serves, and by two pipelines."""
    place = (folder / RECORDINGS).as_uri()
    return {
        "TAP_IOVOX__INVOCA_RECORDINGS_URL": place,
        "TAP_IOVOX__WAREHOUSE_RECORDINGS_URL": place,
        "TARGET_INVOCA_CALLS__IOVOX_RECORDINGS_URL": place,
        "TARGET_INVOCA_CALLS__IOVOX_RECORDINGS_STORAGE": json.dumps(
            {"served_at": f"{url}/{RECORDINGS}"}
        ),
    }


class Project:
    """Meltano in this checkout, its state, ledger and files in a folder of their own.

    It reads .env.example, and nothing of the user's; the sandbox has credentials of its own.

    Args:
        folder: Made if need be.
        url: The sandbox.
        variables: Instead of, or in addition to, those of .env.example.
    """

    def __init__(self, folder: Path, url: str, **variables: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
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
            **_recordings(folder, url),
        }

    def meltano(
        self, *arguments: str, heard: Callable[[str], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Meltano; its log, standard output and error together, is ``stdout``.

        Args:
            arguments: Of the command.
            heard: Gets each line of the log when it comes.
            environment: More variables.
        """
        command = [str(BIN / "meltano"), f"--env-file={self.folder / 'env'}", *arguments]
        lines = []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                if heard:
                    heard(line)
        return subprocess.CompletedProcess(command, process.returncode, "".join(lines))


class Progress:
    """Says what happens when it happens, and every few seconds that something still does.

    Args:
        seconds: Step -> its typical seconds; which are left tells the time that is left.
        working: What to say when nothing has happened for a while.
        silence: How long that is, in seconds.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        working: Callable[[], str],
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._silence = silence
        self._left = dict(seconds)
        self._total = sum(seconds.values())
        self._working = working
        self._began = self._spoke = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()

    def done(self, step: str, text: str) -> None:
        """A step is over."""
        with self._lock:
            self._left.pop(step, None)
        self.say(text)

    def say(self, text: str) -> None:
        """A line, with the time that has passed and that is left."""
        with self._lock:
            self._spoke = time.monotonic()
            passed, left = self._spoke - self._began, sum(self._left.values())
            done = self._total - left
            # As slow as typical until there is something to go by.
            pace = passed / done if done else max(1.0, passed / self._total)
            ending = f"about {max(1, round(left * pace)):2} s left" if left else ""
            print(f"{passed:4.0f} s  {text:<53.53}  {ending}".rstrip(), flush=True)

    def _tick(self) -> None:
        while not self._over.wait(self._silence / 10):
            if time.monotonic() - self._spoke >= self._silence:
                self.say(self._working())


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
    serve.append(f"--recordings={folder / RECORDINGS}")
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


def run(project: Project, *arguments: str, heard: Callable[[str], None] | None = None) -> str:
    """Run Meltano; returns its log, which is also kept in the project's folder.

    Raises:
        SystemExit: It failed; the end of its log is shown.
    """
    done = project.meltano(*arguments, heard=heard)
    name = "-".join(arguments[:2])
    (project.folder / f"{name}-{time.time():.0f}.log").write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-20:])
        sys.exit(f"meltano {' '.join(arguments)} failed:\n{end}")
    return done.stdout


def counts(log: str) -> dict[str, int]:
    """The counts of the target's last summary line, by the words of ``COLUMNS``."""
    found = re.findall(r"Summary: (.*)", log)
    if not found:
        sys.exit("A target ended without its summary line.")
    told = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", found[-1])}
    told["known"] = sum(told.get(name, 0) for name in KNOWN)
    return {name: told.get(name, 0) for name in COLUMNS}


def install(project: Project, progress: Progress) -> None:
    """Install the plugins, with a line for each."""

    def heard(line: str) -> None:
        if found := re.search(r"Installed (?:extractor|loader) '([^']+)'", line):
            progress.done(f"install {found[1]}", f"{found[1]} is installed")

    run(project, "install", *PLUGINS, heard=heard)


def run_all(project: Project, number: int, progress: Progress) -> list[str]:
    """Run every pipeline, as many at once as there are processors; a line when one has ended.

    Returns:
        The rows of the table.
    """

    def one(job: str) -> str:
        log = run(project, "run", job)
        if job in WAREHOUSES:
            text = f"{rows(project.folder / 'output' / WAREHOUSES[job]):>5} rows so far"
            progress.done(f"{number} {job}", f"{job:25}{text}")
            return f"{job:25}{number:>3}{text.partition(' rows')[0]:>6} rows so far"
        found = counts(log)
        progress.done(f"{number} {job}", f"{job:25}{found['accepted']:>5} calls accepted")
        return f"{job:16}{number:>3}" + "".join(
            f"{found[name]:>{len(name) + 1}}" for name in COLUMNS
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, JOBS))


def working(url: str) -> str:
    """What the receiving vendors have so far."""
    with contextlib.suppress(OSError):
        vendors = ask(f"{url}/_summary")["vendors"]
        receiving = {delivery.destination for delivery in DELIVERIES}
        got = ", ".join(f"{v['name']} {v['total']}" for v in vendors if v["name"] in receiving)
        return f"... calls received by {got}"
    return "..."


def rows(folder: Path) -> int:
    """How many lines the files of a folder have."""
    return sum(len(file.read_bytes().splitlines()) for file in folder.glob("*.jsonl"))


def set_aside(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The calls in the rejected files and in the held ones, under the ids that the mappings make.

    Returns:
        Rejected and held: id -> its file.
    """
    rejected: dict[str, Path] = {}
    held: dict[str, Path] = {}
    for file in (folder / "rejected").rglob("*.singer.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                key = (
                    f"invox:{record['call_id']}" if "call_id" in record else f"iovox:{record['id']}"
                )
                (held if ".held." in file.name else rejected)[key] = file
    return rejected, held


def at_sources(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every call that the sources have, by source."""
    return {
        "invox": ask(f"{url}/invox/api/v2/calls", headers={"X-API-Key": "sandbox-invox-key"}),
        "iovox": ask(
            f"{url}/iovox/rest/v1/calls/insights?limit=20000&start_date=2000-01-01"
            "&response_fields=id,call_start,call_origin,call_destination,has_recording,direction",
            headers={"username": "sandbox-user", "secureKey": "sandbox-secure-key"},
        ),
    }


def make_trouble(url: str) -> dict[str, Trouble]:
    """Prescribe what certain calls will meet; returns them by their id."""
    sources = at_sources(url)
    prescribed: dict[str, Trouble] = {}
    for trouble in TROUBLES:
        keys = (
            trouble.delivery.key(call)
            for call in sources[trouble.delivery.source]
            if trouble.delivery.final(call) and str(call.get("caller")).startswith(("07", "+44"))
        )
        key = next(key for key in keys if key not in prescribed)
        prescribed[key] = trouble
        vendor = trouble.delivery.destination
        ask(f"{url}/_script", {"vendor": vendor, "calls": {key: [trouble.word]}})
    return prescribed


def report(url: str, folder: Path, prescribed: Mapping[str, Trouble]) -> bool:
    """What became of the calls that met trouble; whether each ended as it should."""
    rejected, held = set_aside(folder)
    right = True
    for key, trouble in prescribed.items():
        vendor = trouble.delivery.destination
        times = ask(f"{url}/_books?vendor={vendor}").get(key, 0)
        file = held.get(key) or rejected.get(key)
        print(f"  {key}  {trouble.told}:\n    {trouble.end}.")
        print(f"    In the vendor's books: {times} x.")
        if file:
            print(f"    In {_short(file)}")
        right = right and times == (0 if key in rejected else 1)
        right = right and (file is None) == trouble.end.startswith("retried")
    return right


def _short(file: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(file.relative_to(Path.cwd()))
    return file.name


def compare(url: str, folder: Path) -> bool:
    """Every call that the mappings let through is at its vendor once, or set aside in a file.

    Prints a sentence for each vendor.
    """
    sources = at_sources(url)
    rejected, held = set_aside(folder)
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
        lost = expected - books.keys() - rejected.keys() - held.keys()
        doubled = {key for key, times in books.items() if times != 1}
        foreign = books.keys() - expected
        right = right and not (lost or doubled or foreign)
        aside = expected & rejected.keys() - books.keys()
        print(
            f"{destination}: {len(books)} calls, {len(aside)} rejected, {len(lost)} lost,"
            f" {len(doubled)} doubled, {len(foreign)} that should not be there"
        )
    return right


def recorded(url: str) -> bool:
    """Whether Invoca could fetch the recording of each call of iovox that it took, as stereo.

    Prints a sentence.
    """
    taken = {key for key in ask(f"{url}/_books?vendor=invoca") if key.startswith("iovox:")}
    deadline = time.monotonic() + FETCHED_SECONDS
    while True:
        journal = ask(f"{url}/_journal?vendor=invoca-recordings")
        got = {one["key"]: one.get("recording") for one in journal if one["duration"] is not None}
        if got.keys() >= taken or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    stereo = {key for key, told in got.items() if str(told).startswith("stereo")}
    asked = ask(f"{url}/_books?vendor=iovox-recordings")
    print(
        f"recordings: Invoca fetched {len(got)} of {len(taken)}, {len(stereo)} of them in stereo;\n"
        f"            iovox was asked for {len(asked)}, each {max(asked.values(), default=0)} x "
        "at most"
    )
    return stereo >= taken


@contextlib.contextmanager
def desk(folder: Path) -> Iterator[str]:
    """The page of the project's ledger; its address."""
    place = ("--ledger-url", f"sqlite:///{folder / 'calls.ledger.db'}")
    files = ("--rejected-path", str(folder / "rejected"))
    command = [str(BIN / "call-ledger"), *place, *files, "page"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as page:
        try:
            yield page.stdout.readline().strip() if page.stdout else ""
        finally:
            page.terminate()


def main() -> None:
    """Run the demo; exit 1 when a call is lost or doubled."""
    parser = argparse.ArgumentParser(description="The pipelines, against vendors on this machine.")
    parser.add_argument("--port", type=int, default=8321)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo")
    options = parser.parse_args()
    folder = options.folder.resolve()
    port = free_port(options.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    steps = {f"install {name}": INSTALL_SECONDS for name in PLUGINS}
    steps |= {f"{number} {job}": JOB_SECONDS for number in (1, 2) for job in JOBS}
    with sandbox(port, folder) as url:
        project = Project(folder, url)
        prescribed = make_trouble(url)
        with Progress(steps, lambda: working(url)) as progress:
            progress.say(f"installing {len(PLUGINS)} plugins, in environments of their own")
            install(project, progress)
            progress.say("first run: all that the sources have")
            table = run_all(project, 1, progress)
            print("", HEADER, *table, "", sep="\n")
            progress.say("a day passes: new calls, and some calls that are over")
            ask(f"{url}/_clock", {"advance": HOURS * 3600})
            progress.say("second run: what is new, and nothing twice")
            table = run_all(project, 2, progress)
            print("", HEADER, *table, sep="\n")
        print("\nknown: delivered by an earlier run. Four calls met trouble in the first:")
        right = report(url, folder, prescribed)
        print()
        right = compare(url, folder) and right
        right = recorded(url) and right
        print(f"\nWhat each vendor served and received: {url}/")
        if not right:
            sys.exit("The vendors' books are not what the pipelines should have made of them.")
        if sys.stdin.isatty() and sys.stdout.isatty():
            with desk(folder) as page:
                print(f"What the ledger knows, and what waits for you:  {page}")
                print("Ctrl-C ends both.")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
