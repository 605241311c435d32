"""The demo: every pipeline, twice, against the vendors of the sandbox, and what each call became.

Between the two runs a day passes at the vendors: the second delivers what is new or has become
final, and nothing else. Four calls meet trouble on their way. At the end the sandbox's books are
compared with the sources, call by call. All state is in .demo/, made anew at each start; the user's
.env and credentials are not read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import packages
from checkout import BIN, HOURS, ROOT, Project, ask, free_port, sandbox
from progress import Progress
from reconcile import DELIVERIES, compare, make_trouble, recorded, report, wait_for_recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Words of a target's summary; "known" are those that an earlier run delivered.
COLUMNS = ("read", "filtered", "accepted", "duplicate", "known", "rejected", "held")
KNOWN = ("unchanged", "changed", "updated")
HEADER = f"{'pipeline':16}{'run':>3}" + "".join(f" {name}" for name in COLUMNS)
# Job -> the folder of its JSON lines.
WAREHOUSES = {
    "invox-to-warehouse": "invox",
    "iovox-to-warehouse": "iovox",
    "invoca-live-to-warehouse": "invoca",
}
JOBS = (*(delivery.job for delivery in DELIVERIES), *WAREHOUSES)
PLUGINS = (*packages.plugins(), "target-jsonl")
# Typical seconds of each step, for the time that is left.
INSTALL_SECONDS = 3.0
JOB_SECONDS = 3.0


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


@contextlib.contextmanager
def desk(folder: Path) -> Iterator[str]:
    """The page of the project's ledger; its address."""
    place = (f"--ledger-url=sqlite:///{folder / 'calls.ledger.db'}", "--rejected-path=rejected")
    command = [str(BIN / "call-ledger"), *place, "page"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as page:
        try:
            yield page.stdout.readline().strip() if page.stdout else ""
        finally:
            page.terminate()


@contextlib.contextmanager
def play(folder: Path, port: int) -> Iterator[tuple[str, bool]]:
    """The whole demo; the vendors stay while the block runs.

    Yields:
        The vendors' address, and whether every call is where it should be.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    steps = {f"install {name}": INSTALL_SECONDS for name in PLUGINS}
    steps |= {f"{number} {job}": JOB_SECONDS for number in (1, 2) for job in JOBS}
    with contextlib.ExitStack() as vendors:
        with Progress(steps, lambda: working(f"http://127.0.0.1:{port}")) as progress:
            progress.say("starting the vendors on this machine")
            url = vendors.enter_context(sandbox(port, folder))
            project = Project(folder, url)
            prescribed = make_trouble(url)
            progress.say(f"installing {len(PLUGINS)} plugins, in environments of their own")
            install(project, progress)
            progress.say("first run: all that the sources have")
            table = run_all(project, 1, progress)
            print("", HEADER, *table, "", sep="\n")
            progress.say("a day passes: new calls, and some calls that are over")
            ask(f"{url}/_clock", {"advance": HOURS * 3600})
            progress.say("second run: what is new, and nothing twice")
            table = run_all(project, 2, progress)
            print("", HEADER, *table, "", sep="\n")
            progress.say("Invoca fetches the recordings")
            wait_for_recordings(url)
        print("\nknown: delivered by an earlier run. Four calls met trouble in the first:")
        right = report(url, folder, prescribed)
        print()
        right = compare(url, folder) and right
        right = recorded(url) and right
        yield url, right


def main() -> None:
    """Run the demo; exit 1 when a call is lost or doubled."""
    parser = argparse.ArgumentParser(description="The pipelines, against vendors on this machine.")
    parser.add_argument("--port", type=int, default=8321)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo")
    options = parser.parse_args()
    folder = options.folder.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with play(folder, free_port(options.port)) as (url, right):
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
