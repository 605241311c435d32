"""All at once: a vendor with many faults, and a run that is killed or stopped every few seconds."""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict

import pytest

pytestmark = pytest.mark.usefixtures("uncovered")
FAULTS = {
    "late 3": 0.005,
    "reset_before_read": 0.005,
    "reset_after_body": 0.005,
    "reset_mid_headers": 0.005,
    "cut_json": 0.005,
    "html": 0.005,
    "400": 0.01,
    "200-with-error": 0.01,
    "500": 0.02,
    "503 retry-after 1": 0.01,
    "429 retry-after 1": 0.002,
}
AGAIN = {503, 429}  # not processed: may come again
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize(
    "seconds", [8, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_whatever_happens_each_call_is_delivered_once_or_set_aside(bench, until, say, seconds):
    """A call comes again only after an answer that says it was not processed."""
    seed = random.SystemRandom().randrange(10**9)
    dice = random.Random(seed)  # noqa: S311
    rules = [{"fault": word, "probability": chance} for word, chance in FAULTS.items()]
    bench.faults(*rules, "latency 5-40")
    settings = {"max_in_flight": 8, "request_timeout": 2, "backoff_max_tries": 20}
    codes = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = bench.start(**settings).feed_aside(bench.calls(10**6, bench.bookmark))
        until(lambda: run.errors, "it has started")  # noqa: B023
        time.sleep(dice.uniform(0.5, 5))
        codes.append(run.send(dice.choice(ENDS)).wait())
        bench.note(run)
        run.close()
    bench.faults("latency 5-40")
    last = 1 + max(int(key.rpartition("-")[2]) for key in bench.sent)
    bench.resume(last, max_in_flight=8)

    aside = bench.set_aside("rejected").keys() | bench.held
    answers = defaultdict(list)
    for entry in bench.journal():
        if entry["key"]:  # else cut off before it said which call it was
            answers[entry["key"]].append(entry)
    refused = bench.set_aside("rejected")
    wrongly = [
        key
        for key, entries in answers.items()
        if key not in refused and any(entry["status"] not in AGAIN for entry in entries[:-1])
    ]
    lost = bench.keys(last) - bench.books.keys() - aside
    doubled = [key for key, times in bench.books.items() if times > 1]
    say(
        f"{seconds} s of faults, seed {seed}: {last} calls, {len(codes)} ends, "
        f"{len(bench.held)} held, {len(refused)} rejected, lost {len(lost)}, "
        f"doubled {len(doubled)}, sent again without cause {len(wrongly)}"
    )
    assert set(codes) <= {-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT}
    assert sum(bench.fired(word) > 0 for word in FAULTS) > len(FAULTS) // 2
    assert (lost, doubled, wrongly) == (set(), [], [])
