"""Fault 6, in virtual time: a vendor that is down, full, or not to be had; what it sees of us."""

from __future__ import annotations

import asyncio
import random

import pytest
from virtual import VirtualLoop, run
from world import EPOCH, SCHEMA, Letters, Process, Vendor, Worker, World, options

from singer_calls.deliver.intake import Intake
from singer_calls.deliver.outcome import Accepted, Retry, Unknown
from singer_calls.deliver.run import DeliveryRun
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.deliver.summary import Summary
from singer_calls.deliver.watermark import Watermark

LATENCY = 0.05


class Scripted:
    """A vendor whose answers a function gives; requests are noted with their times."""

    def __init__(self, answer):
        self.answer = answer
        self.times = []
        self.most = self.open = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        pass

    async def post(self, delivery, _classify):
        now = asyncio.get_running_loop().time()
        self.times.append(now)
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(LATENCY)
        self.open -= 1
        return self.answer(delivery, now)


def deliver(calls, answer, *, in_flight=16, tries=6, policy="hold", per_minute=None, later=False):
    """Deliver so many calls; the vendor, the summary and the reason of a failed run.

    With ``later`` each comes again, and more is known of it.
    """
    world, uniform = World(1, records=[]), random.Random(1).uniform  # noqa: S311
    loop, process, vendor, summary = VirtualLoop(0.0), Process(world), Scripted(answer), Summary()
    world.loop = loop

    async def main():
        watermark, destination = (
            Watermark(),
            Vendor({"api_url": "https://vendor.example", "later": later}),
        )
        delivery = DeliveryRun(
            options(
                policy, in_flight=in_flight, tries=tries, uniform=uniform, per_minute=per_minute
            ),
            destination=destination,
            ledger=world.ledger(),
            letters=Letters(world),
            make_transport=lambda _endpoint, _may_send: vendor,
            watermark=watermark,
            summary=summary,
            workers=(Worker(process), Worker(process)),
            clocks=(loop.time, lambda: EPOCH + 3600.0),
        )
        intake = Intake(destination, watermark)
        room, seen = asyncio.Semaphore(16 * in_flight), set()
        async with delivery:
            for n in [*range(calls)] * (1 + later):
                await room.acquire()
                if delivery.failure is not None:
                    break
                record = {
                    "n": n,
                    "id": f"call-{n}",
                    "moment": EPOCH + n * 61,
                    "caller": f"+1415555{n:04}",
                    "read": EPOCH,
                    "tags": {"sale": True} if n in seen else {},
                }
                seen.add(n)
                message = {"type": "RECORD", "stream": "calls", "record": record}
                task = delivery.begin(intake.take(SourceRecord(SCHEMA, message), record))
                task.add_done_callback(lambda _task: room.release())
            await delivery.drain()
        return delivery.failure

    result = {}

    async def keep():
        result["failure"] = await main()

    assert run(loop, keep())
    return vendor, summary, result["failure"]


def down_until(end, outcome):
    """An answer to everyone until that time, then all is well."""
    return lambda _delivery, now: outcome if now < end else Accepted()


@pytest.mark.parametrize("after", [None, 0.0, 0.2])
def test_a_vendor_that_answers_503_to_all_sees_few_requests(after):
    """For 3 s at 16 in flight: at most 80, and then everything is delivered."""
    vendor, summary, failure = deliver(200, down_until(3, Retry("unavailable", after=after)))
    assert failure is None
    assert summary.counts["accepted"] == 200
    assert 16 <= sum(at < 3 for at in vendor.times) <= 80


def test_a_429_without_a_wish_from_a_bucket_is_overcome():
    """20 calls a second and no word of when: all go out, and the run does not end for it."""
    bucket = {"tokens": 20.0, "at": 0.0}

    def answer(_delivery, now):
        bucket["tokens"] = min(20.0, bucket["tokens"] + 20 * (now - bucket["at"]))
        bucket["at"] = now
        if bucket["tokens"] < 1:
            return Retry("too many requests", everyone=True)
        bucket["tokens"] -= 1
        return Accepted()

    vendor, summary, failure = deliver(400, answer)
    assert failure is None
    assert summary.counts["accepted"] == 400
    assert len(vendor.times) < 800


def test_what_is_said_later_keeps_to_the_limit_of_the_whole_process():
    """Beside the vendor's own: in no minute more requests than the user allows."""
    vendor, summary, failure = deliver(60, lambda *_: Accepted(), per_minute=30, later=True)
    assert failure is None
    assert (summary.counts["accepted"], summary.counts["updated"]) == (60, 60)
    assert max(sum(start <= at < start + 60 for at in vendor.times) for start in vendor.times) <= 30


@pytest.mark.parametrize("everyone", [True, False])
def test_a_vendor_that_stays_down_ends_the_run_with_few_requests(everyone):
    """Nothing is set aside for it, and nothing is sent for ever."""
    vendor, summary, failure = deliver(500, lambda *_: Retry("busy", everyone=everyone))
    assert "6 times in a row" in str(failure)
    assert len(vendor.times) <= 16 + 2 * 6
    assert summary.counts.get("accepted", 0) == 0
    assert "held" not in summary.counts


def test_one_percent_of_calls_answered_503_twice_cost_the_others_little():
    """At least 80 % of the fault-free rate, in one virtual run each."""
    seen = {}

    def answer(delivery, _now):
        number = int(delivery.key.split("-")[1])
        seen[number] = seen.get(number, 0) + 1
        return Retry("busy", after=1.0) if number % 100 == 7 and seen[number] <= 2 else Accepted()

    clean, _, _ = deliver(5000, lambda *_: Accepted())
    faulty, summary, failure = deliver(5000, answer)
    assert failure is None
    assert summary.counts["accepted"] == 5000
    assert clean.times[-1] >= 0.8 * faulty.times[-1]


def test_an_outage_holds_no_masses():
    """No answer to anyone under `hold`: what is in flight, two probes more, and the run ends."""
    vendor, summary, failure = deliver(500, lambda *_: Unknown("no answer in time"))
    assert "not to be had" in str(failure)
    assert summary.counts["held"] == len(vendor.times) <= 16 + 2


def test_a_blip_goes_on_one_at_a_time_until_one_gets_through():
    """Everything in flight is held, everything else is delivered."""
    vendor, summary, failure = deliver(200, down_until(LATENCY, Unknown("reset")))
    assert failure is None
    assert summary.counts["held"] == 16
    assert summary.counts["accepted"] == 184
    after = [at for at in vendor.times if at > LATENCY]
    assert after[1] >= after[0] + LATENCY  # alone until its answer came
    assert vendor.most == 16
