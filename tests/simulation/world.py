"""A delivery run before a simulated vendor: every await and every commit may be its last.

The product's ``DeliveryRun`` with its sender, judgement, lease, breaker, watermark and thresholds;
in the place of sockets, disks and clocks stands a ``World``, drawn from one seed. The vendor's
books are the oracle.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property

from ledgers import InMemory
from virtual import Crash, VirtualLoop, bury, run

from singer_calls.deliver.delivery import Delivery, fingerprint
from singer_calls.deliver.destination import Destination, LatestDestination, Place
from singer_calls.deliver.entries import DELIVERED, LATEST, ONCE, REJECTED, SENDING, UNKNOWN
from singer_calls.deliver.identity import Identity, mark
from singer_calls.deliver.intake import Intake
from singer_calls.deliver.judgement import Policy
from singer_calls.deliver.knowledge import Knowledge
from singer_calls.deliver.ledger import RunFacts
from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    InvalidCallError,
    NotYetError,
    Pending,
    Rejected,
    Retry,
    Unknown,
)
from singer_calls.deliver.run import DeliveryRun
from singer_calls.deliver.run_options import RunOptions, SenderOptions
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
            _said(record),
            identity=_identity(record),
            fingerprint=fingerprint(
                [str(record.get("amount", "")), str(record.get("tags"))], _identity(record)
            ),
        )
        return delivery, ()

    def place(self, record):
        return Place(self.account(1), str(record["id"]), Identity(record["moment"]))

    @cached_property
    def latest(self):
        return Later(self.settings) if self.settings.get("later") else None


class Later(LatestDestination):
    """Where the vendor is told what becomes known of a call later."""

    vendor, path, requests_per_minute = "later", "/later", 100

    def headers(self):
        return {}

    def know(self, record):
        return Knowledge(
            self.account("later"),
            str(record["id"]),
            record["tags"],
            {},
            lambda tags: json.dumps({"tags": tags, "read": record["read"]}).encode(),
            Identity(record["moment"]),
        )


@dataclass
class Books:
    """The vendor's, and what it must never see."""

    dedupes: bool
    processed: Counter = field(default_factory=Counter)
    final: set = field(default_factory=set)
    refused: dict = field(default_factory=dict)
    unwanted: list = field(default_factory=list)
    requests: int = 0
    replaces: bool = True
    first: dict = field(default_factory=dict)
    later: dict = field(default_factory=dict)
    read: dict = field(default_factory=dict)
    found: dict = field(default_factory=dict)

    def take(self, key, body, found=0.0):
        """A call is processed, and what is said with it; the first counts where it dedupes."""
        if not self.processed[key]:
            said = json.loads(body)
            self.first[key], self.read[key], self.found[key] = said["tags"], said["read"], found
        self.processed[key] += not (self.dedupes and self.processed[key])

    def learn(self, key, body):
        """What is said later: instead of what was said later before, or name by name."""
        said = json.loads(body)
        assert said["read"] >= self.read[key], f"{key}: what was read earlier came later"
        self.read[key] = said["read"]
        self.later[key] = said["tags"] if self.replaces else self.later.get(key, {}) | said["tags"]

    def true(self, key):
        """What it takes for true of a call."""
        known = self.first[key] | self.later.get(key, {})
        return {name for name, true in known.items() if true}


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
            rows = self.world.ledgers.rows.values()
            sending = [row for row in rows if row.state == SENDING and row.run == self.ledger.run]
            for policy in (ONCE, LATEST):
                unknown = sum(row.policy == policy for row in sending)
                assert unknown <= IN_FLIGHT, f"{unknown} calls are of unknown outcome"
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
        if delivery.account.vendor == Later.vendor:
            return await self._tell(key, delivery.body)
        books.requests += 1
        if key in books.final and not books.dedupes:
            books.unwanted.append(key)
        world.in_flight[key] = delivery.body
        processed, again, outcome = world.draw_answer(key)
        await asyncio.sleep(world.random.random() * TIMEOUT / 2)
        world.in_flight.pop(key, None)
        if books.dedupes and books.processed[key] and isinstance(outcome, Accepted):
            outcome = Duplicate()  # another request was processed meanwhile
        elif processed:
            books.take(key, delivery.body, world.loop.now + 60 * world.random.random())
        if not again:
            books.final.add(key)
        world.effect()
        await process.pass_time(TIMEOUT / 2)
        world.effect()
        return outcome

    async def _tell(self, key, body):
        process, world = self.process, self.process.world
        world.told += 1
        assert world.books.processed[key] == 1, f"{key} was told of before it was taken"
        processed, outcome = world.draw_later(key)
        if processed:  # at once: what is on the way when a process dies is out of everyone's hands
            world.books.learn(key, body)
        await process.pass_time(TIMEOUT)
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
        self.in_flight = {}
        self.later = seed % 11 == 0  # dearer than the others
        self.books.replaces = seed % 4 < 2
        self.told = 0
        self.tags = {}
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

    def draw_later(self, key):
        """(processed, outcome) of what is said later."""
        if self.books.found[key] > self.loop.now and not self.calm:
            return False, Pending("not found yet")
        table = (
            (1.0 if self.calm else 0.6, (True, Accepted())),
            (0.66, (False, Rejected("no"))),
            (0.75, (True, Unknown("late"))),
            (0.84, (False, Unknown("broken"))),
            (0.92, (False, Retry("busy"))),
            (1.0, (False, Retry("busy", everyone=True))),
        )
        draw = self.random.random()
        return next(answer for below, answer in table if draw < below)

    def read(self):
        """What the source says now: of some calls something else than a moment ago."""
        now = round((EPOCH + self.loop.now) * 1_000_000)
        for record in self.records:
            if self.random.random() < 0.5 and not self.calm:  # few states: what was so comes again
                chosen = self.random.sample("ab", self.random.randint(0, 1))
                self.tags[_call(record)] = dict.fromkeys(chosen, True)
        return [
            {**record, "tags": self.tags.get(_call(record), {}), "read": now}
            for record in self.records
        ]

    def ledger(self):
        """A run's hold on the ledger that all runs share."""
        facts = RunFacts("target", TIMEOUT)
        return self.ledgers.open(facts, lambda: self.loop.now, self.ledgers.machine)

    @property
    def emitted(self):
        """How much of the input the last STATE covers."""
        return self.process.emitted

    def life(self, *, budget=None, stop_after=None, calm=False, again=False):
        """One run from the last STATE, to its end, its crash or a signal.

        Args:
            budget: Effects until it crashes.
            stop_after: Calls until a signal comes.
            calm: Whether the source and the vendor are.
            again: Whether it begins at the first call.

        Returns:
            True when it came to its end.
        """
        self.budget, self.calm, self.again = budget, calm, again
        self.process = Process(self, self.emitted)
        done = run(self.loop, self._live(self.process, stop_after))
        if not done:
            self.process.kill()
            self._die()
        self.budget = None
        return done

    def side_by_side(self, lives=2):
        """Several runs over the same input at once; each may be stopped for long, or killed."""
        self.budget, self.calm, self.again = None, False, False
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
                self.books.take(key, self.in_flight[key])
            self.books.final.add(key)
        self.in_flight.clear()
        if not self.loop.is_closed():
            bury(self.loop)
        self.loop = VirtualLoop(self.loop.now + self.random.random() * 10)

    async def _live(self, process, stop_after):
        await process.pass_time(0.1)
        process.ledger = ledger = self.ledger()
        watermark = Watermark()
        destination = Vendor({"api_url": "https://vendor.example", "later": self.later})
        delivery = DeliveryRun(
            options(self.policy),
            destination=destination,
            ledger=ledger,
            letters=Letters(self),
            make_transport=lambda _endpoint, may_send: Transport(process, may_send),
            watermark=watermark,
            summary=Summary(self.loop.time),
            workers=(Worker(process), Worker(process)),
            clocks=(self.loop.time, lambda: EPOCH + 3600.0),
        )
        intake = Intake(destination, watermark, now=lambda: EPOCH + self.loop.now)
        start = max(0, process.emitted - self.random.randint(0, 3))  # the tap's lookback
        start = 0 if self.again else start
        records = self.read()
        if self.later and self.random.random() < 0.4:  # slower than who reads after it
            await process.pass_time(20.0)
        async with delivery:
            for n in range(start, len(self.records)):
                if delivery.failure is not None or n - start == stop_after:
                    delivery.abandon()
                    break
                delivery.begin(intake.take(_source(records[n]), records[n]))
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
        rows = self.ledgers.rows.values()
        return [row for row in rows if row.state in DELIVERED and row.policy == ONCE]

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

    def check_later(self):
        """The vendor knows of each delivered call what its source says, and is told no more."""
        for row in self.ledgers.rows.values():
            if row.policy == LATEST and row.state == REJECTED:
                self.ledgers.release(row.account, row.key)
        self.life(calm=True, again=True)
        delivered = {row.key: row for row in self.delivered()}
        for record in self.records:
            row = delivered.get(record["id"])
            if row is not None and not _identity(record).contradicts(row.identity):
                wanted = set(self.tags.get(_call(record), {}))
                known = self.books.true(row.key)
                assert known == wanted, f"{row.key} is {known} at the vendor, {wanted} in truth"
        told = self.told
        self.life(calm=True, again=True)
        assert self.told == told, "told again what was told"


def _source(record):
    at = datetime.fromtimestamp(record["read"] / 1_000_000, UTC).isoformat()
    return SourceRecord(
        SCHEMA, {"type": "RECORD", "stream": "calls", "record": record, "time_extracted": at}
    )


_marked = cache(mark)


def _said(record):
    """What is said with a call."""
    return json.dumps({"tags": record.get("tags", {}), "read": record.get("read", 0)}).encode()


def _identity(record):
    return Identity(record["moment"], _marked(record["caller"]), _marked("5551234", 60))


def _call(record):
    return record["id"], record["moment"], record["caller"]


def options(
    policy, *, in_flight=IN_FLIGHT, tries=6, uniform=lambda _low, high: high, per_minute=None
):
    """Of a run."""
    sender = SenderOptions(
        target="target",
        max_in_flight=in_flight,
        requests_per_minute=per_minute,
        retry=RetryPolicy(max_tries=tries, retry_after_max=60, uniform=uniform),
        policy=Policy(retry_unknown=policy == "retry", key_field="Key"),
    )
    return RunOptions(
        sender=sender,
        latest=sender.for_latest(Later.requests_per_minute),
        request_timeout=TIMEOUT,
        max_rejected_percent=100,
    )


def play(seed, ledgers=None):
    """One schedule from its seed: lives, crashes, stops, and then calm until all is settled."""
    world = World(seed, "hold" if seed % 2 else "retry", ledgers=ledgers)
    draw = world.random
    crowd = seed % 5 == 0 or (world.later and seed % 2 == 0)
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
    if world.later:
        world.check_later()
    return world
