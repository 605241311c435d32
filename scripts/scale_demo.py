"""A past of two sources over 1, 2 and 3 machines, and once more while machines fail.

Airflow with PostgreSQL runs here, and so does every "machine": an Edge worker with a folder, an
environment and a home of its own (machines.py). The vendors answer slowly, as vendors do; that is
what more machines are for. In the last round a machine is killed while it delivers, and PostgreSQL
is restarted. At the end the vendors' books are compared with the sources, call by call. Calls set
aside are in a bucket that all machines share. All of it is in .scale/, made anew at each start.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import checkout
import machines
import reconcile
from programs import wait_for

from call_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 180
LATENCY_MS = 800
IN_FLIGHT = 2  # calls that one delivery sends at once: what limits it is the vendor
DELIVERIES = tuple(
    d for d in reconcile.DELIVERIES if d.job in {"iovox-to-impact", "invox-to-invoca"}
)
NAMES = "abc"


def sunday() -> datetime:
    """The last one that began a day ago or more: weeks begin on Sundays, as cron has it."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(1)
    return day - timedelta((day.weekday() + 1) % 7)


@dataclass(frozen=True)
class Past:
    """What is read.

    Attributes:
        end: Exclusive.
        days: Before it.
        partition: The span of one, as a cron preset.
    """

    end: datetime
    days: int
    partition: str

    @classmethod
    def weeks(cls) -> Past:
        """Three, each a partition."""
        return cls(sunday(), 21, "@weekly")

    @classmethod
    def year(cls) -> Past:
        """Twelve months, each a partition."""
        end = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(end, (end - end.replace(year=end.year - 1)).days, "@monthly")


@dataclass(frozen=True)
class Tally:
    """The calls of the sources, by what became of them.

    Attributes:
        calls: How many should be delivered.
        accepted: How many are in the vendors' books.
        rejected: How many are in the rejected files only.
        held: The ids in the held files, by vendor.
        lost: Ids that are nowhere.
        doubled: Ids that a vendor has twice.
        lacking: Held ids that the vendor's books don't have, by vendor.
    """

    calls: int
    accepted: int
    rejected: int
    held: dict[str, set[str]]
    lost: set[str]
    doubled: set[str]
    lacking: dict[str, set[str]]


def books(url: str, folder: Path) -> Tally:
    """Compare the vendors' books with the sources, call by call."""
    sources = reconcile.at_sources(url)
    rejected, held = reconcile.set_aside(folder)
    calls = accepted = refused = 0
    lost: set[str] = set()
    doubled: set[str] = set()
    by_vendor: dict[str, set[str]] = {}
    lacking: dict[str, set[str]] = {}
    for delivery in DELIVERIES:
        vendor = delivery.destination
        theirs = checkout.ask(f"{url}/_books?vendor={vendor}")
        expected = {delivery.key(call) for call in sources[delivery.source] if delivery.final(call)}
        calls += len(expected)
        accepted += len(theirs)
        refused += len(expected & rejected.keys() - theirs.keys())
        lost |= expected - theirs.keys() - rejected.keys() - held.keys()
        lost |= {f"{key} (unknown)" for key in theirs.keys() - expected}
        doubled |= {key for key, times in theirs.items() if times != 1}
        by_vendor[vendor] = expected & held.keys()
        lacking[vendor] = by_vendor[vendor] - theirs.keys()
    return Tally(calls, accepted, refused, by_vendor, lost, doubled, lacking)


@dataclass
class Round:
    """One time over the whole past.

    Attributes:
        workers: How many machines.
        title: Of its row.
        failing: What happens while it runs; gets the engine.
        seconds: From the first task's start to the last one's end.
        tasks: What the partitions became.
        books: What became of the calls.
    """

    workers: int
    title: str
    failing: Callable[[machines.Engine, Sandbox], None] | None = None
    seconds: float = 0.0
    tasks: list[dict[str, Any]] = field(default_factory=list)
    books: Tally | None = None

    def row(self) -> str:
        """Its row of the table."""
        assert self.books is not None  # noqa: S101 - it has run
        told = self.books
        hosts = {task["host"] for task in self.tasks}
        green = sum(task["state"] == "success" for task in self.tasks)
        held = sum(map(len, told.held.values()))
        return (
            f"{self.title:38}{self.seconds:>8.0f}{len(hosts):>10}{len(self.tasks):>12}{green:>7}"
            f"{told.calls:>7}{told.accepted:>10}{told.rejected:>10}{held:>6}{len(told.lost):>6}"
            f"{len(told.doubled):>9}"
        )


HEADER = (
    f"{'machines':38}{'seconds':>8}{'took part':>10}{'partitions':>12}{'green':>7}{'calls':>7}"
    f"{'accepted':>10}{'rejected':>10}{'held':>6}{'lost':>6}{'doubled':>9}"
)


def fail(engine: machines.Engine, sandbox: Sandbox) -> None:
    """Kill a machine that delivers to impact.com, then restart PostgreSQL under the others."""

    def sent() -> int:
        return sum(len(sandbox.books(delivery.destination)) for delivery in DELIVERIES)

    wait_for("some calls", lambda: sent() >= CALLS // 6)
    name = wait_for(
        "a delivery to impact.com", lambda: next(engine.delivering("target-impact-calls"), None)
    )
    engine.remove(name)
    say(f"machine {name} is killed while it delivers to impact.com")
    at = sent()
    wait_for("more calls", lambda: sent() >= at + 10)
    engine.postgres.away(2)
    say("PostgreSQL was away for two seconds: the engine's database and the ledger")


_BEGAN = time.monotonic()


def say(text: str) -> None:
    """A line with the time that has passed."""
    print(f"{time.monotonic() - _BEGAN:5.0f} s  {text}", flush=True)


def run(engine: machines.Engine, sandbox: Sandbox, one: Round, past: Past) -> None:
    """Read and deliver the whole past, from nothing."""
    sandbox.reset()
    for delivery in DELIVERIES:
        sandbox.faults(delivery.destination, f"latency {LATENCY_MS}")
    engine.fresh()
    for name in NAMES[: one.workers]:
        if name not in engine.machines:
            engine.add(name)
    first, last = past.end - timedelta(past.days), past.end - timedelta(1)
    for delivery in DELIVERIES:
        engine.backfill(delivery.job, f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}")
    say(f"{one.title}: {past.days} days of {len(DELIVERIES)} sources are asked for")
    if one.failing:
        one.failing(engine, sandbox)
    one.tasks = engine.ended()
    # Asking takes the engine a while, too: what counts is the work.
    last, begun = (
        f(task[name] for task in one.tasks) for f, name in ((max, "end"), (min, "start"))
    )
    one.seconds = (last - begun).total_seconds()
    one.books = books(sandbox.url, engine.folder)
    say(f"{one.title}: done in {one.seconds:.0f} s")


def told(one: Round, folder: Path) -> bool:
    """What the last round cost, for people; whether it is what it may be."""
    assert one.books is not None  # noqa: S101 - it has run
    right = True
    for vendor, held in one.books.held.items():
        lacking = one.books.lacking[vendor]
        print(f"{vendor}: {len(held)} calls held, {len(lacking)} of them are not in its books.")
        for key in sorted(held):
            print(f"  {key}")
        # Invoca tells calls apart: what may have arrived is sent again. impact.com does not.
        right = right and (vendor == "impact" or not held)
    if any(one.books.held.values()):
        print(f"They are in the bucket ({folder}/rejected), for a person to decide; their", end=" ")
        print("partition is red.")
    return right


def main() -> None:
    """Run the demo; exit 1 when a call is lost or doubled."""
    parser = argparse.ArgumentParser(description="A past over several machines, on this one.")
    parser.add_argument("--folder", type=Path, default=checkout.ROOT / ".scale")
    parser.add_argument(
        "--year", action="store_true", help="the last round alone, over a year by months"
    )
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    if not machines.AIRFLOW.exists():
        sys.exit("Airflow is not installed: run `make scale-demo`, or `make airflow` first.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    past = Past.year() if asked.year else Past.weeks()
    rounds = [
        Round(1, "1"),
        Round(2, "2"),
        Round(3, "3"),
        Round(3, "3, one killed, PostgreSQL restarted", fail),
    ][-1 if asked.year else 0 :]
    with Sandbox(calls=CALLS, days=past.days, now=int(past.end.timestamp())) as sandbox:
        say("Airflow and PostgreSQL start, the plugins are installed")
        settings = {
            "TARGET_IMPACT_CALLS__IOVOX_MAX_IN_FLIGHT": str(IN_FLIGHT),
            "TARGET_INVOCA_CALLS__INVOX_MAX_IN_FLIGHT": str(IN_FLIGHT),
        }
        with machines.Engine(
            folder, sandbox.url, partition=past.partition, settings=settings
        ) as engine:
            for one in rounds:
                run(engine, sandbox, one, past)
    print("", HEADER, *(one.row() for one in rounds), "", sep="\n")
    right = told(rounds[-1], folder)
    if any(one.books is None or one.books.lost or one.books.doubled for one in rounds) or not right:
        sys.exit("The vendors' books are not what they should be.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
