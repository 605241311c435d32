"""What a target delivers: ours beside its peers, on one vendor, with the same input and map."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from measure import BIN, Cost, FailedError, Figure, lines, run, script
from report import Goal, Table

from tap_invox.schemas import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measure import Vendor

PATH = "/calldata/logCallData"
BEGIN = datetime(2025, 3, 1, 0, 0, 7, tzinfo=UTC)
MAP = {
    "CallSessionId": "'invox:' + str(call_id)",
    "CampaignId": "'1'",
    "MediaId": "'2'",
    "ActionTrackerId": "'3'",
    "CallProvider": "'INVOX'",
    "EventDate": "date",
    "CallStatus": "status",
    "CallerId": "caller",
    "CalledPhoneNumber": "destinationnumber",
    "CallDuration": "duration",
    "__key_properties__": ["CallSessionId"],
    "__else__": None,
}


def messages(calls: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Calls as tap-invox writes them, each from another caller, and a STATE after each thousand."""
    yield {"type": "SCHEMA", "stream": "calls", "schema": CALLS, "key_properties": ["call_id"]}
    empty = dict.fromkeys(CALLS["properties"])
    for number in range(first, first + calls):
        record = empty | {
            "call_id": number,
            "date": f"{BEGIN + timedelta(seconds=41 * number):%Y-%m-%dT%H:%M:%SZ}",
            "duration": 20 + number % 600,
            "status": "Answered",
            "caller": f"+407{20_000_000 + number:08}",
            "receivingnumber": "+40312000010",
            "destinationnumber": "+40213000001",
            "source": "paid search",
            "page": f"https://www.example.com/offers/{number % 50}?utm_source=ads",
            "account": "Example",
        }
        yield {"type": "RECORD", "stream": "calls", "record": record}
        if number % 1000 == 999:
            yield {"type": "STATE", "value": {"bookmarks": {"calls": {"n": number}}}}


@dataclass(frozen=True)
class Sender:
    """A program that sends calls.

    Attributes:
        name: For people.
        script: Of the peer; "" for ours.
        settings: Of its own.
        tls: Whether it is given the address with TLS.
        times: How many times as many calls it is given, to be measured for as long as others.
    """

    name: str
    script: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    tls: bool = False
    times: int = 1


OURS = Sender("target-impact-calls, as shipped")
KEPT = Sender("target-impact-calls, keep_connections", settings={"keep_connections": True})
TLS = Sender("target-impact-calls, as shipped, TLS", tls=True)
BATCH = Sender("Singer SDK, BatchSink with threads", "batch_sink.py")
RECORD = Sender("Singer SDK, RecordSink", "record_sink.py")
DLT = Sender("dlt, @dlt.destination", "dlt_destination.py")
DRT = Sender("drt, REST destination", "drt_rest.py")
BARE = Sender(
    "bare aiohttp, a connection a call", "bare_aiohttp.py", {"keep_connections": False}, times=2
)
BARE_KEPT = Sender(
    "bare aiohttp, kept connections", "bare_aiohttp.py", {"keep_connections": True}, times=4
)
RAW = Sender("raw asyncio protocol, kept connections", "raw_protocol.py", times=4)


class Desk:
    """Runs senders in fresh folders.

    Args:
        vendor: Who takes the calls.
        folder: For input files.
        authority: File of the certificate to trust.
        rounds: How often each is measured.
    """

    def __init__(self, vendor: Vendor, folder: Path, authority: Path, rounds: int) -> None:
        self.vendor = vendor
        self.folder = folder
        self.rounds = rounds
        self.environ = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(authority))

    def input(self, calls: int, first: int = 0) -> Path:
        """A file with so many calls."""
        file = self.folder / f"{first}-{calls}.singer"
        return file if file.exists() else lines(messages(calls, first), file)

    def command(
        self, sender: Sender, folder: Path, in_flight: int, ledger: str | Path = ""
    ) -> list[str | Path]:
        """The command of a sender, with its settings in a fresh folder.

        Args:
            sender: The program.
            folder: Where it works.
            in_flight: How many calls at a time.
            ledger: Of ours: a file to copy, or a URL; a new one by default.
        """
        origin = self.vendor.tls_url if sender.tls else self.vendor.url
        config = {"username": "user", "password": "bench", **sender.settings}
        if sender.script:
            command = script(f"peers/{sender.script}")
            config |= {"url": origin + PATH, "in_flight": in_flight}
        else:
            command = [BIN / "target-impact-calls"]
            if isinstance(ledger, Path):
                shutil.copy(ledger, folder / "ledger.db")
            config |= {
                "api_url": origin,
                "max_in_flight": in_flight,
                "ledger_url": str(ledger)
                if "://" in str(ledger)
                else f"sqlite:///{folder}/ledger.db",
                "rejected_path": str(folder / "rejected"),
            }
        config["stream_maps"] = {"calls": MAP}
        (folder / "config.json").write_text(json.dumps(config))
        return [*command, "--config", folder / "config.json"]

    def send(
        self,
        sender: Sender,
        calls: int,
        in_flight: int,
        *,
        ledger: str | Path = "",
        keep: Path | None = None,
        first: int = 0,
        sent: int | None = None,
        latency: float = 0.0,
        retry: int = 0,
    ) -> Cost:
        """Send calls.

        Args:
            sender: By which program.
            calls: How many.
            in_flight: How many at a time.
            ledger: See ``command``.
            keep: Where its ledger is copied to, afterwards.
            first: Number of the first.
            sent: How many of them the vendor must see; all by default.
            latency: Of the vendor, seconds.
            retry: Each n-th new call is answered 503 twice, 0 for none.

        Raises:
            FailedError: Not every call arrived once.
        """
        self.vendor.reset(latency=latency, retry=retry)
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            command = self.command(sender, folder, in_flight, ledger)
            with self.input(calls, first).open("rb") as lines_:
                cost = run(command, folder=folder, stdin=lines_, environ=self.environ)
            if keep is not None:
                shutil.copy(folder / "ledger.db", keep)
        self.vendor.check(calls if sent is None else sent)
        return cost


@dataclass
class Measured:
    """What a sender was measured at, one width.

    Attributes:
        costs: Of each round: how many calls, and what they took.
        missing: Why there is no figure.
    """

    start: Start
    costs: list[tuple[int, Cost]] = field(default_factory=list)
    missing: str = ""

    @property
    def rate(self) -> Figure:
        """Calls/s."""
        start = self.start.median("seconds")
        return Figure([n / (cost.seconds - start) for n, cost in self.costs], self.missing)

    @property
    def processor(self) -> Figure:
        """Milliseconds a call."""
        start = self.start.median("processor")
        values = [1000 * (cost.processor - start) / n for n, cost in self.costs]
        return Figure(values, self.missing)


@dataclass
class Start:
    """What a sender takes for one call, in each round."""

    costs: list[Cost] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Of ``seconds`` or ``processor``."""
        return median(getattr(cost, name) for cost in self.costs) if self.costs else 0.0


def compare(
    desk: Desk, senders: Sequence[tuple[Sender, int]], calls: dict[int, int], latency: float = 0.0
) -> dict[tuple[str, int], Measured]:
    """Measure senders in turns.

    Args:
        desk: Runs them.
        senders: With their widths.
        calls: How many by width.
        latency: Of the vendor, seconds.

    Returns:
        By name and width. What one call alone takes, the start, is taken off.
    """
    starts = {sender.name: Start() for sender, _ in senders}
    found = {(sender.name, width): Measured(starts[sender.name]) for sender, width in senders}
    for _ in range(desk.rounds):
        for sender in {sender.name: sender for sender, _ in senders}.values():
            with suppress(FailedError):  # and there will be no figure either
                starts[sender.name].costs.append(desk.send(sender, 1, 1, latency=latency))
        for sender, width in senders:
            number = calls[width] * (1 if latency else sender.times)
            try:
                cost = desk.send(sender, number, width, latency=latency)
            except FailedError as error:
                found[sender.name, width].missing = str(error)
            else:
                found[sender.name, width].costs.append((number - 1, cost))
    return found


def goal(
    work: str,
    bound: float,
    found: dict[tuple[str, int], Measured],
    pairs: Sequence[tuple[Sender, Sequence[Sender]]],
) -> Goal:
    """How many times the fastest of its peers each of ours is, at each width."""
    values = {}
    for ours, peers in pairs:
        for width in sorted({width for name, width in found if name == ours.name}):
            rates = [found[peer.name, width].rate for peer in peers if (peer.name, width) in found]
            fastest = max(rates, key=lambda rate: rate.median, default=None)
            if fastest is not None:
                kind = ours.name.rpartition(", ")[2].replace("_", " ")
                values[f"{kind}, {width}"] = found[ours.name, width].rate.ratio(fastest)
    return Goal(work, bound, values, "times")


def growth(desk: Desk, sizes: Sequence[int]) -> tuple[Table, list[Goal]]:
    """What more calls take, of time and memory.

    Args:
        desk: Runs them.
        sizes: How many calls; the second is twice the first.
    """
    found: dict[int, list[Cost]] = {calls: [] for calls in sizes}
    start = [desk.send(KEPT, 1, 32).seconds for _ in range(desk.rounds)]
    for number in range(desk.rounds):
        for calls in sizes[: 2 if number else None]:  # the longest ones once
            found[calls].append(desk.send(KEPT, calls, 32))
    rates = {
        calls: Figure([calls / (cost.seconds - median(start)) for cost in costs])
        for calls, costs in found.items()
    }
    peaks = {calls: Figure([float(cost.peak) for cost in costs]) for calls, costs in found.items()}
    once, twice, *_ = sizes
    times = 2 * rates[once].ratio(rates[twice])
    memory = {f"{n:,} calls": peaks[n].ratio(peaks[once]) for n in sizes[1:]}
    lines = [[f"{n:,}", rates[n].text(), peaks[n].text()] for n in sizes]
    note = "target-impact-calls, keep_connections, 32 in flight, a vendor of 0 ms."
    goals = [
        Goal("twice the calls: time", 2.1, {"": times}, "times", most=True),
        Goal(f"memory, of that for {once:,} calls", 1.2, memory, "times", most=True),
        Goal("memory at most", 120, {"": peaks[sizes[-1]].median}, "MB", ",.0f", most=True),
    ]
    return Table("More calls", note, ["calls", "calls/s", "memory at most, MB"], lines), goals


def table(
    title: str, note: str, found: dict[tuple[str, int], Measured], base: str, digits: int = 0
) -> Table:
    """Rows of what was compared, each beside the one named ``base``."""
    rows = []
    for (name, width), one in found.items():
        other = found.get((base, width))
        rows.append(
            [
                name,
                str(width),
                one.rate.text(digits),
                one.rate.times(other.rate) if other else "",
                one.processor.text(3),
            ]
        )
    head = ["program", "in flight", "calls/s", f"times {base}", "processor, ms a call"]
    return Table(title, note, head, rows)
