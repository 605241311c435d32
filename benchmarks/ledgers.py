"""What the ledger costs: calls that are known, many rows, a server and several writers."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from delivery import KEPT, OURS, Desk
from measure import HERE, FailedError, Figure
from report import Goal, Table

sys.path.insert(0, str(HERE.parent / "scripts"))
from servers import Postgres

_NEW = 300_000  # number of the first call that no ledger knows


def known(desk: Desk, calls: int) -> tuple[Table, Goal]:
    """A lookback that is read again."""
    ledger = desk.folder / "known.db"
    desk.send(KEPT, calls, 64, keep=ledger)
    rate, processor = Figure(), Figure()
    for _ in range(desk.rounds):
        start = desk.send(OURS, 1, 16, ledger=ledger, sent=0)
        cost = desk.send(OURS, calls, 16, ledger=ledger, sent=0)
        rate.values.append((calls - 1) / (cost.seconds - start.seconds))
        processor.values.append(1000 * (cost.processor - start.processor) / (calls - 1))
    note = f"{calls:,} calls that were all delivered before."
    head = ["calls/s", "processor, ms a call"]
    goal = Goal("known calls, without a write", 5000, {"": rate.median}, "a second", ",.0f")
    return Table("Known calls", note, head, [[rate.text(), processor.text(3)]]), goal


def grown(desk: Desk, calls: int, rows: int) -> tuple[Table, Goal]:
    """New calls into a ledger that holds many."""
    small, big = desk.folder / "small.db", desk.folder / "big.db"
    desk.send(KEPT, 1000, 64, keep=small)
    big.write_bytes(small.read_bytes())
    grow(big, rows // 1000)
    found = {path: (Figure(), Figure()) for path in (small, big)}
    for _ in range(desk.rounds):
        for path, (rate, processor) in found.items():
            start = desk.send(KEPT, 1, 32, ledger=path, first=_NEW)
            cost = desk.send(KEPT, calls, 32, ledger=path, first=_NEW)
            rate.values.append((calls - 1) / (cost.seconds - start.seconds))
            processor.values.append(1000 * (cost.processor - start.processor) / (calls - 1))
    lines = []
    for (rate, processor), held in zip(found.values(), (1000, rows), strict=True):
        part = rate.times(found[small][0], ".0%")
        lines.append([f"{held:,}", rate.text(), part, processor.text(3)])
    big.unlink()
    note = "New calls, SQLite, kept connections, 32 in flight."
    head = ["rows in the ledger", "calls/s", "of a new ledger", "processor, ms a call"]
    share = found[big][0].ratio(found[small][0])
    goal = Goal(
        f"new calls, {rows:,} rows in the ledger: of a new one", 0.9, {"": share}, form=".0%"
    )
    return Table("A ledger that has grown", note, head, lines), goal


def grow(ledger: Path, times: int) -> None:
    """Give a ledger so many times its rows, of calls that nobody reads again."""
    with sqlite3.connect(ledger) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(call_ledger_calls)")]
        changed = {"key": "key || '-' || n", "moment": "moment - 40 - n"}
        values = ", ".join(changed.get(name, name) for name in names)
        database.execute(
            "WITH RECURSIVE numbers(n) AS "
            f"(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {times - 1}) "
            f"INSERT INTO call_ledger_calls SELECT {values} FROM call_ledger_calls, numbers"
        )
    database.close()


def servers(desk: Desk, calls: int) -> tuple[Table, Goal]:
    """A ledger on PostgreSQL with several writers, beside one in a file."""
    found = {
        name: Figure() for name in ("SQLite, 1 writer", *(f"PostgreSQL, {n}" for n in (1, 4, 8)))
    }
    server = Postgres()
    try:
        for _ in range(desk.rounds):
            for name, figure in found.items():
                writers = int(name.split()[1])
                url = _database(server) if name.startswith("P") else ""
                try:
                    starts = _together(desk, writers, 1, url, first=0)
                    seconds = _together(desk, writers, calls // writers, url, first=_NEW)
                except FailedError as error:
                    figure.missing = str(error)
                else:
                    figure.values.append(calls // writers * writers / (seconds - starts))
    finally:
        server.close()
    base = found["SQLite, 1 writer"]
    lines = [
        [f"{name} writers" if name[-1].isdigit() else name, one.text(), one.times(base, ".0%")]
        for name, one in found.items()
    ]
    note = "All writers together, 16 in flight each, kept connections."
    shares = {
        f"{name[-1]} at once": found[name].ratio(base) for name in found if name[-1].isdigit()
    }
    goal = Goal("a ledger on PostgreSQL: of SQLite with one writer", 0.8, shares, form=".0%")
    return Table("Ledgers on a server", note, ["ledger", "calls/s", "of SQLite"], lines), goal


def _together(desk: Desk, writers: int, calls: int, url: str, first: int) -> float:
    """Seconds that so many senders take for so many calls each, side by side."""
    desk.vendor.reset()
    with ExitStack() as stack:
        programs = []
        for number in range(writers):
            name = stack.enter_context(tempfile.TemporaryDirectory(dir=desk.folder))
            source = desk.input(calls, first + number * calls)
            command = desk.command(KEPT, Path(name), 16, url)
            programs.append((command, name, stack.enter_context(source.open("rb"))))
        began = time.monotonic()
        running = [
            subprocess.Popen(
                command, cwd=name, stdin=source,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for command, name, source in programs
        ]  # fmt: skip
        if sum(process.wait() for process in running):
            raise FailedError("a writer failed")
        seconds = time.monotonic() - began
    desk.vendor.check(calls * writers)
    return seconds


def _database(server: Postgres) -> str:
    name = f"bench_{uuid4().hex}"
    server.create(name)
    return server.url(name)
