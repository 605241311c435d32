"""Measures what is claimed about speed, beside what one would take instead; writes RESULTS.md.

make bench          a quarter of an hour on two cores
make bench-long     also 100,000 calls and 10^7 rows

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
    table,
)
from measure import BIN, HERE, FailedError, Figure, run, vendor
from report import Table, chart, quote, write

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
        self.tables.append(Table("Start", "Goal: 1.3 times.", head, rows))

    def fast(self) -> None:
        """A vendor that answers at once: what a call costs us."""
        senders = [
            (sender, width)
            for width in WIDTHS
            for sender in (KEPT, OURS, BATCH, DLT, BARE_KEPT, BARE)
        ]
        senders += [(TLS, 32), (RAW, 32)]
        found = compare(self.desk, senders, dict.fromkeys(WIDTHS, self.many(4000)))
        note = (
            "With ledger (SQLite), stream map, typed record and validation; the SDK's targets have "
            "the same map and validation, the others neither. Start-up is taken off."
        )
        self.tables.append(table("Delivery, a vendor of 0 ms", note, found, BATCH.name))
        what = "calls delivered a second to a vendor that answers at once, beside an SDK BatchSink"
        self._quote(what, found, BATCH.name, 32)
        self._draw(found, 32)

    def _quote(
        self, what: str, found: dict[tuple[str, int], Measured], peer: str, width: int
    ) -> None:
        """A ratio for the README: ours as shipped beside a peer."""
        other = found[peer, width].rate.median
        if other:
            self.ratios[what] = found[OURS.name, width].rate.median / other

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
        calls = {width: self.many(40 * width) for width in WIDTHS}
        found = compare(self.desk, [*senders, (TLS, 32)], calls, latency=0.05)
        note = "Goals: ahead of every peer, 95 % of bare aiohttp with the same connections."
        self.tables.append(table("Delivery, a vendor of 50 ms", note, found, BARE.name))
        what = "calls delivered a second to a vendor that takes 50 ms, 32 in flight, beside dlt"
        self._quote(what, found, DLT.name, 32)

    def one(self) -> None:
        """One call at a time."""
        senders = [(sender, 1) for sender in (KEPT, OURS, RECORD, DRT)]
        found = compare(self.desk, senders, {1: self.many(50)}, latency=0.05)
        note = "Goal: ahead."
        title = "Delivery, a vendor of 50 ms, one call at a time"
        self.tables.append(table(title, note, found, RECORD.name, 1))
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
        note = "A vendor of 50 ms, 16 in flight; 503 with Retry-After: 1. Goal: 80 %."
        head = ["", "calls/s", "of the fault-free run"]
        self.tables.append(Table("Calls that must wait", note, head, rows))

    def known(self) -> None:
        """The everyday case."""
        self.tables.append(ledgers.known(self.desk, self.many(100_000 if self.long else 20_000)))

    def grown(self) -> None:
        """A ledger after years."""
        for rows in (10**6, 10**7) if self.long else (10**6,):
            self.tables.append(ledgers.grown(self.desk, self.many(4000), rows))

    def servers(self) -> None:
        """Several machines."""
        self.tables.append(ledgers.servers(self.desk, self.many(4000)))

    def taps(self) -> None:
        """Reading."""
        calls = self.many(100_000 if self.long else 20_000)
        desk = self.desk
        read, ratio = extraction.compare(desk.vendor, desk.folder, desk.rounds, calls)
        self.tables.append(read)
        if ratio:
            what = "calls of INVOX read a second, beside the SDK's own stream with the same typing"
            self.ratios[what] = ratio

    PARTS: tuple[str, ...] = (
        "known", "grown", "start", "slow", "one", "fast", "servers", "faults", "taps",
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
        HERE, command, rounds=told.rounds, seconds=seconds, ratios=bench.ratios, tables=bench.tables
    )
    if told.only == parser.get_default("only") and told.scale == 1.0:
        quote(HERE.parent / "README.md", bench.ratios)


if __name__ == "__main__":
    main()
