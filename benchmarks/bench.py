"""Measures what is claimed about speed, beside what one would take instead; writes RESULTS.md.

make bench          a quarter of an hour on two cores
make bench-long     also 100,000 calls read, 10^6 delivered, 10^7 rows

python benchmarks/bench.py [--long] [--rounds 3] [--only start,...] [--scale 1.0]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import extraction
import ledgers
import pipe
import trustme
from delivery import (
    BARE,
    BARE_KEPT,
    BATCH,
    DLT,
    DRT,
    KEPT,
    OURS,
    RAW,
    RECORD,
    TLS,
    Desk,
    Measured,
    compare,
    goal,
    growth,
    table,
)
from measure import BIN, HERE, FailedError, Figure, run, vendor
from report import Goal, Table, chart, goals, quote, write

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTHS = 16, 32, 64
PLUGINS = sorted(file.parent.name for file in HERE.parent.glob("t*-*/pyproject.toml"))


class Bench:
    """The parts of the report, measured one after the other.

    Args:
        desk: Runs senders.
        scale: Of the numbers of calls.
        long: Whether what takes hours is measured too.
    """

    def __init__(self, desk: Desk, scale: float, *, long: bool) -> None:
        self.desk = desk
        self.long = long
        self.scale = scale
        self.tables: list[Table] = []
        self.goals: list[Goal] = []
        self.ratios: dict[str, float] = {}
        self.bars: list[tuple[str, float, bool]] = []

    def many(self, number: int) -> int:
        """So many calls at this scale."""
        return max(10, round(number * self.scale))

    def start(self) -> None:
        """Start-up, which every cron line and each partition pays."""
        commands: dict[str, list[str | Path]] = {
            "import singer_sdk": [sys.executable, "-c", "import singer_sdk"],
            **{f"{name} --version": [BIN / name, "--version"] for name in PLUGINS},
        }
        found = {name: Figure() for name in commands}
        for _ in range(max(5, self.desk.rounds)):
            for name, command in commands.items():
                cost = run(command, folder=self.desk.folder)
                found[name].values.append(1000 * cost.processor)
        base = found["import singer_sdk"]
        rows = [[name, one.text(), one.times(base)] for name, one in found.items()]
        head = ["command", "processor, ms", "times the SDK's import"]
        note = "What every cron line and each partition pays."
        self.tables.append(Table("Start", note, head, rows))
        times = {name.partition(" ")[0]: one.ratio(base) for name, one in found.items()}
        del times["import"]
        work = "start, `--version` beside the SDK's import"
        self.goals.append(Goal(work, 1.3, times, "times", most=True))

    def fast(self) -> None:
        """A vendor that answers at once: what a call costs us."""
        senders = [
            (sender, width)
            for width in WIDTHS
            for sender in (KEPT, OURS, BATCH, DLT, BARE_KEPT, BARE)
        ]
        senders += [(TLS, 32), (RAW, 32)]
        found = compare(self.desk, senders, dict.fromkeys(WIDTHS, self.many(3000)))
        note = (
            "With ledger (SQLite), stream map, typed record and validation; the SDK's targets have "
            "the same map and validation, the others neither. Start-up is taken off."
        )
        self.tables.append(table("Delivery, a vendor of 0 ms", note, found, BATCH.name))
        what = "calls delivered a second to a vendor that answers at once, beside an SDK BatchSink"
        self._quote(what, found, BATCH.name, 32)
        self._draw(found, 32)
        work = "0 ms vendor, beside BatchSink"
        self.goals += [
            goal(f"{work}, kept", 2.5, found, [(KEPT, [BATCH])]),
            goal(f"{work}, as shipped", 1.5, found, [(OURS, [BATCH])]),
            Goal(
                "processor a call, kept",
                0.35,
                {str(width): found[KEPT.name, width].processor.median for width in WIDTHS},
                "ms",
                most=True,
            ),
        ]

    def _quote(
        self, what: str, found: dict[tuple[str, int], Measured], peer: str, width: int
    ) -> None:
        """A ratio for the README: ours as shipped beside a peer."""
        if ratio := found[OURS.name, width].rate.ratio(found[peer, width].rate):
            self.ratios[what] = ratio

    def _draw(self, found: dict[tuple[str, int], Measured], width: int) -> None:
        self.bars = [
            (name, one.rate.median, name.startswith("target-"))
            for (name, wide), one in found.items()
            if wide == width and one.rate.median
        ]

    def slow(self) -> None:
        """A vendor that takes 50 ms, as real ones do."""
        senders = [
            (sender, width)
            for width in WIDTHS
            for sender in (KEPT, OURS, BATCH, DLT, BARE_KEPT, BARE)
        ]
        calls = {width: self.many(30 * width) for width in WIDTHS}
        found = compare(self.desk, [*senders, (TLS, 32)], calls, latency=0.05)
        note = "As real ones do. Start-up is taken off."
        self.tables.append(table("Delivery, a vendor of 50 ms", note, found, BARE.name))
        both = [(OURS, [BATCH, DLT]), (KEPT, [BATCH, DLT])]
        same = [(OURS, [BARE]), (KEPT, [BARE_KEPT])]
        self.goals += [
            goal("50 ms vendor, beside the faster of BatchSink and dlt", 1, found, both),
            goal("50 ms vendor, beside bare aiohttp of the same policy", 0.95, found, same),
        ]
        what = "calls delivered a second to a vendor that takes 50 ms, 32 in flight, beside dlt"
        self._quote(what, found, DLT.name, 32)

    def one(self) -> None:
        """One call at a time."""
        senders = [(sender, 1) for sender in (KEPT, OURS, RECORD, DRT)]
        found = compare(self.desk, senders, {1: self.many(30)}, latency=0.05)
        title = "Delivery, a vendor of 50 ms, one call at a time"
        self.tables.append(table(title, "Start-up is taken off.", found, RECORD.name, 1))
        pairs = [(OURS, [RECORD, DRT]), (KEPT, [RECORD, DRT])]
        work = "50 ms vendor, one at a time, beside the faster of RecordSink and drt"
        self.goals.append(goal(work, 1, found, pairs))
        found = compare(self.desk, senders, {1: self.many(500)})
        note = "No goal: ours makes two commits a call durable, the others none."
        title = "Delivery, a vendor of 0 ms, one call at a time"
        self.tables.append(table(title, note, found, RECORD.name))

    def faults(self) -> None:
        """Calls that the vendor wants later, among others."""
        found: dict[str, Figure] = {"all goes well": Figure(), "1 % wait a second, twice": Figure()}
        calls = self.many(2400)
        for _ in range(self.desk.rounds):
            for figure, retry in zip(found.values(), (0, 100), strict=True):
                start = self.desk.send(OURS, 1, 16, latency=0.05)
                cost = self.desk.send(OURS, calls, 16, latency=0.05, retry=retry)
                figure.values.append((calls - 1) / (cost.seconds - start.seconds))
        base = found["all goes well"]
        rows = [[name, one.text(), one.times(base, ".0%")] for name, one in found.items()]
        self.goals.append(
            Goal("1 % of calls wait", 0.8, {"": [*found.values()][1].ratio(base)}, form=".0%")
        )
        note = "A vendor of 50 ms, 16 in flight; 503 with Retry-After: 1."
        head = ["", "calls/s", "of the fault-free run"]
        self.tables.append(Table("Calls that must wait", note, head, rows))

    def known(self) -> None:
        """The everyday case."""
        self._keep(ledgers.known(self.desk, self.many(100_000 if self.long else 20_000)))

    def grown(self) -> None:
        """A ledger after years."""
        for rows in (10**6, 10**7) if self.long else (10**6,):
            self._keep(ledgers.grown(self.desk, self.many(4000), rows))

    def servers(self) -> None:
        """Several machines."""
        self._keep(ledgers.servers(self.desk, self.many(3000)))

    def _keep(self, found: tuple[Table, Goal]) -> None:
        self.tables.append(found[0])
        self.goals.append(found[1])

    def growth(self) -> None:
        """A long past."""
        sizes = [self.many(10_000), self.many(20_000), *([self.many(10**6)] if self.long else [])]
        told, found = growth(self.desk, sizes)
        self.tables.append(told)
        self.goals += found

    def taps(self) -> None:
        """Reading."""
        calls = self.many(100_000 if self.long else 20_000)
        desk = self.desk
        read, ratio, found = extraction.compare(desk.vendor, desk.folder, desk.rounds, calls)
        self.tables.append(read)
        self.goals += found
        if ratio:
            what = "calls of INVOX read a second, beside the SDK's own stream with the same typing"
            self.ratios[what] = ratio

    def pipe(self) -> None:
        """A whole pipeline, with Meltano and without."""
        self.tables.append(pipe.compare(self.desk, self.many(5000)))

    PARTS: tuple[str, ...] = (
        "known", "grown", "start", "slow", "one", "fast", "servers", "faults", "growth", "taps",
        "pipe",
    )  # fmt: skip


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(Bench.PARTS))
    parser.add_argument("--scale", type=float, default=1.0)
    told = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "vendor.pem")
        with vendor(folder / "vendor.pem", folder / "vendor.pem") as server:
            desk = Desk(server, folder, folder / "ca.pem", told.rounds)
            bench = Bench(desk, told.scale, long=told.long)
            for part in told.only.split(","):
                measure: Callable[[], None] = getattr(bench, part)
                since = time.monotonic()
                try:
                    measure()
                except FailedError as error:
                    bench.tables.append(Table(part, f"No figures: {error}.", ["none"], []))
                print(f"{part}: {time.monotonic() - since:.0f} s", file=sys.stderr)
    (HERE / "chart.svg").write_text(
        chart("Calls a second to a vendor that answers at once, 32 in flight", "/s", bench.bars)
    )
    command = "make bench-long" if told.long else "make bench"
    seconds = time.monotonic() - began
    write(
        HERE, command, rounds=told.rounds, seconds=seconds, ratios=bench.ratios,
        tables=[goals(bench.goals), *bench.tables],
    )  # fmt: skip
    if told.only == parser.get_default("only") and told.scale == 1.0:
        quote(HERE.parent / "README.md", bench.ratios)


if __name__ == "__main__":
    main()
