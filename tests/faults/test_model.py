"""The promise as a model: calls and states come, answers come or not, the process dies, or stops.

The real sender, ledger, files and watermark in this process, before a vendor that answers when
the model says so. A crash abandons them as they are; the next life reads on from the last STATE.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from singer_calls.deliver import ledger as db
from singer_calls.deliver.delivery import Delivery
from singer_calls.deliver.outcome import Accepted, Duplicate, Fatal, Rejected, Retry, Unknown
from singer_calls.deliver.rejected import HeldFile, Original, RejectedFile
from singer_calls.deliver.retry import RetryPolicy
from singer_calls.deliver.sender import Call, Sender, SenderOptions
from singer_calls.deliver.watermark import Watermark
from singer_calls.errors import PluginError

IN_FLIGHT = 3
MOST = 40  # calls, fewer than may be open at once: the model itself must never wait for room
SCHEMA = {"type": "SCHEMA", "stream": "calls", "schema": {"properties": {}}}

# What the vendor says -> whether it has (had) the call then, whether the call may come again.
ANSWERS = {
    Accepted(): (True, False),
    Duplicate(): (True, False),
    Rejected("no"): (False, True),
    Unknown("late"): (True, False),
    Unknown("broken"): (False, False),
    Retry("busy", after=0.0): (False, True),
    Retry("busy", after=0.0, everyone=True): (False, True),
    Fatal("down"): (False, True),
}


class Vendor:
    """Requests wait here for their answers."""

    def __init__(self):
        self.open = {}  # key -> its request
        self.processed = Counter()
        self.final = set()  # keys that must never come again: answered, or nobody knows
        self.unwanted = []  # keys that came all the same

    async def request(self, loop, key):
        """One request; the answer is given from outside the loop."""
        if key in self.final or key in self.open:
            self.unwanted.append(key)
        self.open[key] = (loop, loop.create_future())
        return await self.open[key][1]

    def answer(self, key, outcome):
        """Answer the request of this key."""
        loop, future = self.open.pop(key)
        processed, again = ANSWERS[outcome]
        if processed:
            self.processed[key] += 1
        if not again:
            self.final.add(key)
        loop.call_soon_threadsafe(future.set_result, outcome)

    def deaf(self):
        """Who asked is dead."""
        self.final |= self.open.keys()
        self.open.clear()


class ToVendor:
    """A transport whose answers the test gives."""

    def __init__(self, vendor):
        self.vendor = vendor

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        pass

    async def post(self, delivery, _classify):
        return await self.vendor.request(asyncio.get_running_loop(), delivery.key)


class Life:
    """The objects of one run."""

    def __init__(self, folder, vendor, number):
        self.watermark = Watermark()
        self.pending = {}  # number of the call -> its key
        self.ledger = db.Ledger(f"sqlite:///{folder}/calls.ledger.db", "target")
        self.sender = Sender(
            SenderOptions(
                max_in_flight=IN_FLIGHT,
                requests_per_minute=None,
                retry=RetryPolicy(1000, 60, retry_unknown=False, uniform=lambda *_: 0.0),
            ),
            transport=ToVendor(vendor),
            ledger=self.ledger,
            rejected=RejectedFile(str(folder), f"target-{number}"),
            held=HeldFile(str(folder), f"target-{number}"),
            settled=self._settled,
            failed=lambda: None,
            stopping=lambda: False,
        )
        self.sender.start()

    def _settled(self, call, _outcome):
        self.watermark.settle(call.number)
        del self.pending[call.number]

    def submit(self, key):
        """A record."""
        number = self.watermark.open()
        self.pending[number] = key
        original = Original(SCHEMA, {"type": "RECORD", "stream": "calls", "record": {"id": key}})
        delivery = Delivery(key, "here", "http://127.0.0.1", key.encode())
        try:
            self.sender.submit(Call(number, original, delivery, classify=lambda _answer: None))
        except PluginError:
            del self.pending[number]  # the run is failing: the next one reads it again

    def crash(self):
        """Nothing is finished, nothing closed; the system takes the lock back."""
        self.sender._loop.call_soon_threadsafe(self.sender._loop.stop)
        self.sender._thread.join()
        self.ledger._lease.release()
        self.ledger._engine.dispose()

    def close(self):
        """End as a signal ends it; what failed before has been said before."""
        with suppress(PluginError):
            self.sender.close(abandon=True)
        self.ledger.close()


class Promise(RuleBasedStateMachine):
    """Every call before a STATE is settled; none is lost; none is sent again unknowingly."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.vendor = Vendor()
        self.input = []  # keys, as the tap reads them
        self.states = set()  # after how many of them there is a STATE
        self.emitted = 0
        self.lives = 0

    @initialize()
    def begin(self):
        """The first run."""
        self._live()

    def _live(self):
        self.lives += 1
        self.life = Life(self.folder, self.vendor, self.lives)
        for place in range(self.emitted, len(self.input)):
            self.life.submit(self.input[place])
            if place + 1 in self.states:
                self.life.watermark.state({"done": place + 1})

    def _rest(self):
        """Wait until nothing moves: every slot is in use, or every call is."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.life.sender.failure is not None:
                self.stop(Accepted())
            waiting = set(self.life.pending.copy().values())
            if len(self.vendor.open) == min(IN_FLIGHT, len(waiting)):
                return
            time.sleep(0.001)
        raise AssertionError(f"{len(waiting)} calls wait, {len(self.vendor.open)} are in flight")

    @precondition(lambda self: len(self.input) < MOST)
    @rule(again=st.integers(0, 20), rest=st.booleans())
    def record(self, again, rest):
        """A new call, now and then one that was read before."""
        fresh = f"call-{len(self.input)}"
        self.input.append(self.input[again] if again < len(self.input) // 4 else fresh)
        self.life.submit(self.input[-1])
        if rest:
            self._rest()

    @rule()
    def state(self):
        """The tap's bookmark after what it has given so far."""
        self.states.add(len(self.input))
        self.life.watermark.state({"done": len(self.input)})

    @precondition(lambda self: self.vendor.open)
    @rule(
        which=st.integers(0, IN_FLIGHT - 1), outcome=st.sampled_from([*ANSWERS]), rest=st.booleans()
    )
    def answer(self, which, outcome, rest):
        """One of the requests in flight is answered."""
        keys = sorted(self.vendor.open)
        self.vendor.answer(keys[which % len(keys)], outcome)
        if rest:
            self._rest()

    @rule()
    def emit(self):
        """The newest true STATE goes out, and is kept whatever becomes of the run."""
        state = self.life.watermark.take()
        if state is not None:
            self.emitted = state["done"]
            assert set(self.input[: self.emitted]) <= self._settled()

    @rule()
    def crash(self):
        """SIGKILL, and the next run."""
        self.life.crash()
        self.vendor.deaf()
        self._live()

    @rule(outcome=st.sampled_from([Accepted(), Unknown("late"), Rejected("no")]))
    def stop(self, outcome):
        """SIGTERM: what is in flight is answered, STATE goes out, and the next run begins."""
        closing = threading.Thread(target=self.life.close)
        closing.start()
        while closing.is_alive():
            for key in list(self.vendor.open):
                self.vendor.answer(key, outcome)
            closing.join(0.001)
        self.emit()
        self._live()

    def _aside(self):
        """Keys in the files of rejected and held calls."""
        lines = [
            json.loads(line)
            for path in self.folder.glob("*.singer.jsonl")
            for line in path.read_bytes().splitlines()
        ]
        return {line["record"]["id"] for line in lines if line["type"] == "RECORD"}

    def _settled(self):
        """What is durable: delivered by the ledger, or in a file."""
        connection = sqlite3.connect(self.folder / "calls.ledger.db")
        delivered = "SELECT key FROM call_ledger WHERE state IN ('accepted', 'duplicate')"
        keys = {key for (key,) in connection.execute(delivered)}
        connection.close()
        return keys | self._aside()

    def teardown(self):
        """All that is still open is accepted: then everything was delivered, once, or is aside."""
        self.state()
        self._rest()
        while self.vendor.open:
            self.vendor.answer(next(iter(self.vendor.open)), Accepted())
            self._rest()
        self.emit()
        self.life.close()
        assert self.emitted == len(self.input)
        assert self._settled() >= set(self.input)
        assert {*self.vendor.processed} | self._aside() >= set(self.input)
        assert not self.vendor.unwanted
        assert max(self.vendor.processed.values(), default=1) == 1
        self.place.cleanup()


TestPromise = Promise.TestCase
TestPromise.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
