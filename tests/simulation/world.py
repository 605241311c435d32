"""A delivery run before a simulated vendor: every await and every commit may be its last.

The product's ``DeliveryRun`` with its sender, judgement, lease, breaker, watermark and thresholds;
in the place of sockets, disks and clocks stands a ``World``, drawn from one seed. The vendor's
books are the oracle.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from ledgers import InMemory
from virtual import Crash, VirtualLoop, bury, run

from singer_calls.deliver.delivery import Delivery, fingerprint
from singer_calls.deliver.destination import Destination, Place
from singer_calls.deliver.entries import DELIVERED, UNKNOWN
from singer_calls.deliver.identity import Identity, mark
from singer_calls.deliver.intake import Intake
from singer_calls.deliver.judgement import Policy
from singer_calls.deliver.ledger import RunFacts
from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    InvalidCallError,
    NotYetError,
    Rejected,
    Retry,
    Unknown,
)
from singer_calls.deliver.run import DeliveryRun, RunOptions
from singer_calls.deliver.sender import SenderOptions
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.deliver.summary import Summary
from singer_calls.deliver.watermark import Watermark
from singer_calls.http.retry import RetryPolicy

SCHEMA = {"type": "SCHEMA", "stream": "calls", "schema": {}, "key_properties": ["id"]}
EPOCH = 1_760_000_000
IN_FLIGHT = 3
TIMEOUT = 5.0


class Vendor(Destination):
    """What the vendor takes, as data."""

    vendor, path, key_field, same_key = "vendor", "/calls", "Key", True

    def headers(self):
        return {}

    def render(self, record):
        if record.get("bad"):
            raise InvalidCallError("is bad", "Field")
        if record.get("early"):
            raise NotYetError("is not final", "Status")
        delivery = Delivery(
            self.account(1),
            str(record["id"]),
            self.url,
            b"",
            identity=_identity(record),
            fingerprint=fingerprint([str(record.get("amount", ""))], _identity(record)),
        )
        return delivery, ()

    def place(self, record):
        return Place(self.account(1), str(record["id"]), Identity(record["moment"]))


@dataclass
class Books:
    """The vendor's, and what it must never see."""

    dedupes: bool
    processed: Counter = field(default_factory=Counter)
    final: set = field(default_factory=set)
    refused: dict = field(default_factory=dict)
    unwanted: list = field(default_factory=list)
    requests: int = 0


class Process:
    """One run's process: it may be stopped for a while, or be gone.

    Attributes:
        ledger: Its run's hold on the ledger.
        emitted: Its bookmark: how much of the input its last STATE covers.
        stopped: Virtual time until which it does nothing (SIGSTOP).
        dead: It never does anything again (SIGKILL).
        failure: Why its run failed.
    """

    def __init__(self, world, emitted=0):
        self.world = world
        self.emitted = emitted
        self.ledger = None
        self.stopped = 0.0
        self.dead = False
        self.failure = None

    def kill(self):
        """SIGKILL."""
        self.dead = True
        if self.ledger is not None:
            self.world.ledgers.die(self.ledger)

    async def gate(self):
        """Go on only while the process does."""
        while not self.dead and self.stopped > self.world.loop.now:
            await asyncio.sleep(self.stopped - self.world.loop.now)
        if self.dead:
            await asyncio.get_running_loop().create_future()

    async def pass_time(self, longest):
        """Take a while, drawn."""
        await asyncio.sleep(self.world.random.random() * longest)
        await self.gate()


class Letters:
    """The files of what is set aside."""

    def __init__(self, world):
        self.world = world
        self.paths = []

    def file(self, *, held):
        return _File(self.world, held)

    def close(self):
        pass


class _File:
    name = "file"

    def __init__(self, world, held):
        self.world = world
        self.held = held

    def append(self, letters):
        letters = list(letters)
        self.world.effect()
        for letter in letters:
            self.world.files[self.held][letter.source.message["record"]["n"]] += 1
        self.world.effect()


class Worker:
    """Does what blocks after a while, and lets its result wait for a while."""

    def __init__(self, process):
        self.process = process

    async def do(self, function, *arguments):
        process = self.process
        await process.pass_time(0.02)
        process.world.effect()
        result = function(*arguments)
        process.world.effect()
        await process.pass_time(0.02)
        return result

    def close(self):
        pass


class Transport:
    """To the vendor; what it answers is drawn, and whether it processed the call as well."""

    def __init__(self, process, may_send):
        self.process = process
        self.may_send = may_send

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        pass

    async def post(self, delivery, _classify):
        process, world = self.process, self.process.world
        await process.gate()
        if not self.may_send():
            return Retry("the lease has run out")
        books, key = world.books, delivery.key
        world.effect()
        books.requests += 1
        if key in books.final and not books.dedupes:
            books.unwanted.append(key)
        world.in_flight.add(key)
        processed, again, outcome = world.draw_answer(key)
        await asyncio.sleep(world.random.random() * TIMEOUT / 2)
        world.in_flight.discard(key)
        books.processed[key] += processed and not (books.dedupes and books.processed[key])
        if not again:
            books.final.add(key)
        world.effect()
        await process.pass_time(TIMEOUT / 2)
        world.effect()
        return outcome


class World:
    """One schedule: lives of runs over one ledger, one after the other or side by side.

    Args:
        seed: Of everything that is drawn.
        policy: ``hold`` or ``retry``; with ``retry`` the vendor dedupes.
        records: What the tap has, in order.
        ledgers: Where all runs keep what they know, see ledgers.py.
    """

    def __init__(self, seed, policy="hold", records=None, ledgers=None):
        self.random = random.Random(seed)  # noqa: S311
        self.loop = VirtualLoop()
        self.books = Books(dedupes=policy == "retry")
        self.policy = policy
        self.ledgers = ledgers or InMemory()
        self.files = {False: Counter(), True: Counter()}
        self.records = records if records is not None else self._records()
        self.process = Process(self)
        self.in_flight = set()
        self.budget = None
        self.calm = False

    def _records(self):
        """New calls, repeated ones, other calls under a known id, refused and early ones."""
        draw, found = self.random, []
        for n in range(draw.randint(4, 14)):
            record = {
                "n": n,
                "id": f"call-{n}",
                "moment": EPOCH + 61 * n + 7,
                "caller": f"+1415555{n:04}",
                "bad": draw.random() < 0.07,
                "early": draw.random() < 0.04,
            }
            if found and draw.random() < 0.1:
                earlier = draw.choice(found)
                if draw.random() < 0.5:
                    record = {**earlier, "n": n, "amount": draw.choice(["", "5"])}
                else:
                    record["id"] = earlier["id"]
            found.append(record)
        return found

    # What happens

    def effect(self):
        """Something durable or visible happens: the process may die right before it."""
        if self.budget is not None:
            self.budget -= 1
            if self.budget < 0:  # and from then on always
                raise Crash

    def draw_answer(self, key):
        """(processed, may come again, outcome)."""
        if self.books.dedupes and self.books.processed[key]:
            return True, False, Duplicate()
        if self.calm:
            return True, False, Accepted()
        dedupes = self.books.dedupes
        table = (
            (0.6, (True, False, Accepted())),
            (0.66, (False, True, Rejected("no"))),
            (0.73, (True, dedupes, Unknown("late"))),
            (0.8, (False, dedupes, Unknown("broken"))),
            (0.85, (False, True, Retry("busy"))),
            (0.9, (False, True, Retry("busy", after=1.0))),
            (1.0, (False, True, Retry("busy", everyone=True))),
        )
        draw = self.random.random()
        return next(answer for below, answer in table if draw < below)

    def ledger(self):
        """A run's hold on the ledger that all runs share."""
        facts = RunFacts("target", TIMEOUT)
        return self.ledgers.open(facts, lambda: self.loop.now, self.ledgers.machine)

    @property
    def emitted(self):
        """How much of the input the last STATE covers."""
        return self.process.emitted

    def life(self, *, budget=None, stop_after=None, calm=False):
        """One run from the last STATE, to its end, its crash or a signal.

        Returns:
            True when it came to its end.
        """
        self.budget, self.calm = budget, calm
        self.process = Process(self, self.emitted)
        done = run(self.loop, self._live(self.process, stop_after))
        if not done:
            self.process.kill()
            self._die()
        self.budget = None
        return done

    def side_by_side(self, lives=2):
        """Several runs over the same input at once; each may be stopped for long, or killed."""
        self.budget, self.calm = None, False
        processes = [Process(self, self.emitted) for _ in range(lives)]
        run(self.loop, self._all(processes))
        self._die()
        self.process.emitted = min(process.emitted for process in processes)

    async def _all(self, processes):
        tasks = [asyncio.create_task(self._live(process, None)) for process in processes]
        others = [self._disturb(one) for one in processes if self.random.random() < 0.6]
        if self.random.random() < 0.6:
            others.append(self._look_in())
        self.others = [asyncio.create_task(other) for other in others]
        done = asyncio.gather(*tasks)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(done, 3600)

    def person(self):
        """Someone sees at the vendor that a held call never arrived, and lets it go once more."""
        for row in self.ledgers.rows.values():
            held = row.state == UNKNOWN and row.filed
            if held and not self.books.processed[row.key] and row.key not in self.in_flight:
                self.books.final.discard(row.key)
                self.ledgers.release(row.account, row.key)

    async def _look_in(self):
        for _ in range(6):
            await asyncio.sleep(self.random.random() * 60)
            self.person()

    async def _disturb(self, process):
        await asyncio.sleep(self.random.random() * 6)
        if self.random.random() < 0.4:
            process.kill()
        else:
            process.stopped = self.loop.now + self.random.choice([TIMEOUT + 1, 37, 45, 80, 200])

    def _die(self):
        """Whatever was in flight arrives, or not."""
        for key in sorted(self.in_flight):
            if self.random.random() < 0.5:
                self.books.processed[key] += not (self.books.dedupes and self.books.processed[key])
            self.books.final.add(key)
        self.in_flight.clear()
        if not self.loop.is_closed():
            bury(self.loop)
        self.loop = VirtualLoop(self.loop.now + self.random.random() * 10)

    async def _live(self, process, stop_after):
        await process.pass_time(0.1)
        process.ledger = ledger = self.ledger()
        watermark = Watermark()
        destination = Vendor({"api_url": "https://vendor.example"})
        delivery = DeliveryRun(
            options(self.policy),
            destination=destination,
            ledger=ledger,
            letters=Letters(self),
            make_transport=lambda may_send: Transport(process, may_send),
            watermark=watermark,
            summary=Summary(self.loop.time),
            workers=(Worker(process), Worker(process)),
            clocks=(self.loop.time, lambda: EPOCH + 3600.0),
        )
        intake = Intake(destination, watermark)
        start = max(0, process.emitted - self.random.randint(0, 3))  # the tap's lookback
        async with delivery:
            for n in range(start, len(self.records)):
                if delivery.failure is not None or n - start == stop_after:
                    delivery.abandon()
                    break
                delivery.begin(intake.take(self._source(n), self.records[n]))
                if self.random.random() < 0.4:
                    await process.pass_time(2.0)
                if self.random.random() < 0.5 or n + 1 == len(self.records):
                    watermark.state({"done": n + 1})
                await self._emit(process, watermark)
            await delivery.drain()
            await self._emit(process, watermark)
        await process.gate()
        self.effect()
        ledger.close(how="done")
        process.failure = delivery.failure

    def _source(self, n):
        record = self.records[n]
        return SourceRecord(SCHEMA, {"type": "RECORD", "stream": "calls", "record": record})

    async def _emit(self, process, watermark):
        await process.gate()
        value = watermark.take()
        if value is not None:
            self.effect()
            process.emitted = value["done"]
            self.check_state(process)

    # What must hold

    def settled(self):
        """Places of the input whose calls are durably accounted for."""
        aside = {_call(self.records[n]) for held in self.files.values() for n in held}
        delivered = self.delivered()
        return {
            n
            for n, record in enumerate(self.records)
            if _call(record) in aside
            or any(
                row.key == record["id"] and not _identity(record).contradicts(row.identity)
                for row in delivered
            )
        }

    def delivered(self):
        """Rows of calls that count as delivered."""
        return [row for row in self.ledgers.rows.values() if row.state in DELIVERED]

    def check_state(self, process):
        """Every call before the STATE is accounted for."""
        missing = set(range(process.emitted)) - self.settled()
        assert not missing, f"STATE {process.emitted} precedes {sorted(missing)}"

    def check_end(self):
        """Nothing is lost, nothing doubled, nothing said to be delivered that is not."""
        assert self.emitted == len(self.records), f"stuck at {self.emitted}: {self.process.failure}"
        assert not self.books.unwanted, f"sent again: {self.books.unwanted}"
        assert max(self.books.processed.values(), default=1) <= 1
        for row in self.delivered():
            assert self.books.processed[row.key] == 1, f"{row.key} is accepted and never arrived"


_marked = cache(mark)


def _identity(record):
    return Identity(record["moment"], _marked(record["caller"]), _marked("5551234", 60))


def _call(record):
    return record["id"], record["moment"], record["caller"]


def options(policy, *, in_flight=IN_FLIGHT, tries=6, uniform=lambda _low, high: high):
    """Of a run."""
    return RunOptions(
        sender=SenderOptions(
            target="target",
            max_in_flight=in_flight,
            requests_per_minute=None,
            retry=RetryPolicy(max_tries=tries, retry_after_max=60, uniform=uniform),
            policy=Policy(retry_unknown=policy == "retry", key_field="Key"),
        ),
        request_timeout=TIMEOUT,
        max_rejected_percent=100,
    )


def play(seed, ledgers=None):
    """One schedule from its seed: lives, crashes, stops, and then calm until all is settled."""
    world = World(seed, "hold" if seed % 2 else "retry", ledgers=ledgers)
    draw = world.random
    crowd = seed % 5 == 0
    for _ in range(draw.randint(1, 4)):
        kind = 0.7 if crowd else draw.random()
        if kind < 0.5:
            world.life(budget=draw.randint(0, 120))
        elif kind < 0.65:
            world.life(stop_after=draw.randint(0, 10))
        elif kind < 0.75:
            world.side_by_side(draw.randint(2, 3))
        elif kind < 0.8:
            world.person()
        else:
            world.life()
    for record in world.records:
        record["early"] = False
    for _ in range(4):
        if world.emitted < len(world.records):
            world.life(calm=True)
    world.check_end()
    return world
