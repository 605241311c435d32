"""Fault 5: answers that ask to wait, say no, or say nothing; and what must not wait for them."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

CALLS = 20
MARKED = 8


def attempts(bench, number):
    """The journal of one call."""
    return [entry for entry in bench.journal() if entry["key"] == bench.key(number)]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after 1", 1),
        ("retry-after 0", 0),
        ("x-ratelimit-reset 1", 1),
        ("retry-after garbage", 0),
        ("retry-after -5", 0),
        ("retry-after Sun, 06 Nov 1994 08:49:37 GMT", 0),
    ],
)
def test_every_form_of_a_wish_to_wait_is_granted(bench, header, seconds):
    """The call comes again when the vendor said, and once; a wish that is none delays little."""
    bench.script([bench.key(MARKED)], f"429 {header}")
    assert bench.run(bench.calls(CALLS)).code == 0
    assert bench.fired(f"429 {header}") == 1
    first, second = attempts(bench, MARKED)
    assert seconds <= second["at_monotonic"] - first["at_monotonic"] < seconds + 10
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


@pytest.mark.parametrize("form", ["retry-after {date}", "x-ratelimit-reset {epoch}"])
def test_a_wish_for_a_moment_is_granted(bench, until, form):
    """Nothing is sent before it."""
    run = bench.start(max_in_flight=1)
    until(lambda: run.errors, "it has started")
    moment = int(time.time()) + 4
    word = "429 " + form.format(date=formatdate(moment, usegmt=True), epoch=moment)
    bench.script([bench.key(0)], word)
    assert run.feed(bench.calls(CALLS)).end_input().wait() == 0
    assert bench.fired(word) == 1
    first, *later = bench.journal()
    assert first["at"] < moment
    assert min(entry["at"] for entry in later) > moment - 0.1
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


def test_a_wish_beyond_retry_after_max_ends_the_run(bench):
    """Nobody waits thirty years; STATE holds what is true, and the next run does the rest."""
    bench.script([bench.key(MARKED)], "429 retry-after 1000000000")
    run = bench.run(bench.calls(CALLS), max_in_flight=1)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "retry_after_max" in sentence
    assert bench.bookmark == 5
    assert len(bench.journal()) == MARKED + 1

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


@pytest.mark.parametrize(
    ("word", "everyone"), [("429 retry-after 2", True), ("503 retry-after 2", False)]
)
def test_a_429_pauses_everyone_and_a_503_its_call_alone(bench, word, everyone):
    """From shortly after its answer until the pause is over there are no requests, or many."""
    bench.faults("latency 20")
    bench.script([bench.key(MARKED)], word)
    assert bench.run(bench.calls(500), max_in_flight=4).code == 0
    assert bench.fired(word) == 1
    refused, again = attempts(bench, MARKED)
    told = refused["at_monotonic"] + refused["duration"]
    during = [e for e in bench.journal() if told + 0.5 < e["at_monotonic"] < told + 1.9]
    assert len(during) == 0 if everyone else len(during) > 10
    assert again["at_monotonic"] - told > 1.9
    assert bench.books == dict.fromkeys(bench.keys(500), 1)


def test_a_run_of_5xx_is_overcome(bench):
    """Two in a row, for every call, are two waits."""
    bench.script(bench.keys(5), "521", "503")
    assert bench.run(bench.calls(5)).code == 0
    assert (bench.fired("521"), bench.fired("503")) == (5, 5)
    assert bench.books == dict.fromkeys(bench.keys(5), 1)


def test_a_vendor_that_stays_down_ends_the_run_and_costs_no_call(bench):
    """The calls are not rejected for it, and come again."""
    bench.script([bench.key(MARKED)], "521", "503", "521")
    run = bench.run(bench.calls(CALLS), max_in_flight=1)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "3 times in a row" in sentence
    assert len(attempts(bench, MARKED)) == 3
    assert bench.bookmark == 5
    assert not bench.rejected.exists()

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


def test_refused_credentials_in_mid_run_end_it_with_what_is_settled(bench):
    """One sentence, though many calls were refused at once."""
    bench.faults({"fault": "401", "after": 12})
    run = bench.run(bench.calls(60), max_in_flight=4)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "credentials" in sentence
    assert 1 <= bench.fired("401") <= 4
    assert bench.bookmark == len(bench.books) - len(bench.books) % 5
    bench.settled_before(run)
    assert not bench.rejected.exists()
    bench.faults()

    bench.resume(60)

    assert bench.books == dict.fromkeys(bench.keys(60), 1)


def test_wrong_credentials_are_not_shown(bench):
    """The sentence names the settings, not what is in them."""
    run = bench.run(bench.calls(CALLS), password="planted-token-5d1f")
    assert run.code == 1
    assert "username and password" in run.sentences[0]
    assert not bench.books
    assert bench.bookmark == 0


@pytest.mark.parametrize("word", ["400", "402", "409", "413", "422", "200-with-error"])
def test_a_call_that_the_vendor_refuses_is_set_aside_and_the_rest_is_delivered(bench, word):
    """In the rejected file it is the original, with the reason."""
    bench.script([bench.key(MARKED)], word)
    run = bench.run(bench.calls(CALLS))
    assert run.code == 0
    assert bench.fired(word) == 1
    assert bench.bookmark == CALLS
    ((key, mark),) = bench.set_aside("rejected").items()
    assert key == bench.key(MARKED)
    assert (mark["outcome"], mark["status"], mark["attempt"]) == ("rejected", int(word[:3]), 1)
    assert bench.in_ledger("rejected") == {key}
    assert bench.books.keys() == bench.keys(CALLS) - {key}

    (file,) = bench.files("rejected")
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    original = bench.record(MARKED)
    del lines[1]["set_aside"]
    assert lines[1] == original


def test_a_refused_call_is_delivered_when_its_file_is_replayed(bench):
    """The vendor takes it now; a second replay sends nothing."""
    bench.script([bench.key(MARKED)], "400")
    assert bench.run(bench.calls(CALLS)).code == 0
    (file,) = bench.files("rejected")
    for _ in range(2):
        assert bench.run([], "--input", str(file)).code == 0
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
    assert len(bench.journal()) == CALLS + 1


def test_state_never_precedes_its_calls_however_answers_are_shuffled(bench):
    """Each STATE's arrival against the journal; and STATE flows while calls do."""
    bench.faults({"fault": "late 1", "probability": 0.01}, {"fault": "latency 1-60"})
    calls = 1500
    run = bench.run(bench.calls(calls, every=1), max_in_flight=16)
    assert run.code == 0
    assert bench.fired("late 1")
    order = [entry["key"] for entry in sorted(bench.journal(), key=lambda e: e["duration"])]
    assert order != sorted(order)
    assert len(run.states) >= 4
    bench.settled_before(run)
    assert bench.bookmark == calls
    gaps = [b[0] - a[0] for a, b in zip(run.states, run.states[1:], strict=False)]
    assert max(gaps) < 5


def test_the_rejected_may_not_be_too_many(bench):
    """Past max_rejected_percent the run fails early, names the file, and the rest comes later."""
    bench.faults("400")
    run = bench.run(bench.calls(1000), max_rejected_percent=20, max_in_flight=4)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "were rejected or held" in sentence
    assert str(bench.files("rejected")[0]) in sentence
    assert 100 <= len(bench.journal()) < 250
    assert bench.bookmark == len(bench.set_aside("rejected")) // 5 * 5


def test_the_rejected_of_a_short_run_are_counted_at_its_end(bench):
    """As many may be as of a hundred, but not all of three; all are settled all the same."""
    bench.script(bench.keys(3), "400", "400")
    run = bench.run(bench.calls(10), max_rejected_percent=2)
    assert bench.fired("400") == 3
    assert run.code == 1
    assert "max_rejected_percent" in run.sentences[0]
    assert bench.bookmark == 10
    assert bench.run(bench.calls(10), max_rejected_percent=2).code == 0
    assert "still_rejected=3" in bench.runs[-1].errors
    assert bench.fired("400") == 3
    bench.script(bench.keys(20, 23), "400")
    assert bench.run(bench.calls(23, first=20), max_rejected_percent=99).code == 1


def test_held_calls_count_as_the_rejected_do(bench):
    """A vendor that answers nothing clear is no success."""
    bench.script(bench.keys(3), "empty")
    run = bench.run(bench.calls(10), max_rejected_percent=2)
    assert bench.fired("empty") == 3
    assert run.code == 1
    assert bench.held == bench.keys(3)


@pytest.mark.usefixtures("covered")
def test_on_error_fail_ends_the_run_at_the_first_rejected_call(bench):
    """It is in the file, STATE is past it, what comes after is not sent."""
    bench.script([bench.key(9)], "400")
    run = bench.run(bench.calls(CALLS), on_error="fail", max_in_flight=1)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "on_error" in sentence
    assert bench.set_aside("rejected").keys() == {bench.key(9)}
    assert bench.bookmark == 10
    assert len(bench.journal()) == 10


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_limit_holds_in_any_minute_of_the_journal(bench, say):
    """600 a minute, for longer than one; a call that is tried again counts as often."""
    bench.faults({"fault": "503 retry-after 1", "probability": 0.02, "per_call": 1})
    calls = 1500
    run = bench.start(requests_per_minute=600, max_in_flight=64).feed_aside(bench.calls(calls))
    assert run.wait(400) == 0
    assert bench.fired("503 retry-after 1")
    times = [entry["at_monotonic"] for entry in bench.journal()]
    most = max(sum(start <= at < start + 60 for at in times) for start in times)
    say(f"{len(times)} requests in {times[-1] - times[0]:.0f} s, at most {most} in any 60 s")
    assert times[-1] - times[0] > 60
    assert most <= 600
    assert bench.books == dict.fromkeys(bench.keys(calls), 1)
