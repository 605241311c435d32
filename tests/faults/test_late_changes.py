"""What becomes known of a call after its delivery: tags that come, change and go.

The oracle is what Invoca knows of each call in the end (`sandbox.signals()`), and the journal of
its Signal API: how often it was told.
"""

from __future__ import annotations

import random
import signal
import time
from datetime import timedelta

import pytest

from call_sandbox.testing import wait_until

pytestmark = pytest.mark.usefixtures("covered")
SIGNALS = "invoca-signals"
NAMES = ("sale", "quote", "test drive", "service")
CALLS = 3


@pytest.fixture
def bench(late_bench):
    """target-invoca-calls before both of Invoca's APIs."""
    return late_bench


def counted(run, **counts):
    """The run's summary says so."""
    line = next(line for line in run.errors.splitlines() if "Summary:" in line)
    found = dict(part.split("=") for part in line.split("Summary:")[1].split())
    assert {name: int(found.get(name, 0)) for name in counts} == counts, run.errors


def tags(*names, **more):
    """What a source knows of a call."""
    return {"signals": dict.fromkeys(names, True), **more}


@pytest.mark.parametrize("updates", ["all", "names"])
def test_tags_that_come_change_and_go_end_as_the_source_has_them(bench, updates):
    """In both readings of an update: one ingestion, one request a change, none for the same."""
    bench.sandbox.switches(SIGNALS, updates=updates)
    runs = (
        ({}, {"accepted": CALLS}, 0),
        (tags("sale"), {"updated": CALLS}, 1),
        (tags("SALE", "quote", custom_data={"channel": "Social"}), {"updated": CALLS}, 2),
        (tags("quote", custom_data={"channel": "Social"}), {"updated": CALLS}, 3),
        ({"custom_data": {"channel": "Social"}}, {"updated": CALLS}, 4),
    )
    for number, (known, counts, requests) in enumerate(runs):
        lines = bench.read(number, *[known] * CALLS)
        counted(bench.run(lines), **counts)
        counted(bench.run(lines), updated=0, unchanged=CALLS, changed=0)
        assert len(bench.told()) == requests * CALLS
        wanted = {name.casefold() for name in known.get("signals", {})}
        assert bench.true() == dict.fromkeys(bench.keys(CALLS), wanted)
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
    last = bench.told()[-1]["json"]
    assert last["partner_unique_id"] == f"target-invoca-calls:{bench.key(CALLS - 1)}"
    assert last["signals"] == [{"name": "sale", "value": 0}, {"name": "quote", "value": 0}]
    assert last["custom_data"] == [{"name": "channel", "value": "Social"}]
    assert {len(bench.sandbox.signals()[key]["custom_data"]) for key in bench.keys(CALLS)} == {1}


KILLS = pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.long)])


@KILLS
def test_kills_and_broken_answers_leave_the_source_s_last_state(bench, say, kills):
    """Whatever a killed run said last, the run that ends well says what is known now."""
    seed, calls = random.SystemRandom().randrange(10**9), 50  # of 100 requests a minute
    say(f"late changes, {kills} kills: seed {seed}")
    dice = random.Random(seed)  # noqa: S311
    reset = {"fault": "reset_after_body", "probability": 0.02}
    for vendor in ("invoca", SIGNALS):
        bench.sandbox.faults(vendor, reset, "latency 2-20")
    bench.sandbox.switches(SIGNALS, updates=dice.choice(["all", "names"]))

    def read(second):
        known = [dice.sample(NAMES, dice.randint(0, 3)) for _ in range(calls)]
        return known, bench.read(second, *[tags(*names) for names in known])

    for second in range(kills):
        run = bench.start(max_in_flight=8).feed_aside(read(second)[1])
        seen = len(bench.requests())
        wanted, end = seen + dice.randint(1, calls), time.monotonic() + 2
        while run.running and len(bench.requests()) < wanted and time.monotonic() < end:
            time.sleep(0.005)
        run.send(signal.SIGKILL)
        run.wait()
        run.close()
    known, lines = read(kills)
    counted(bench.run(lines), rejected=0, held=0, pending=0)
    assert bench.true() == {bench.key(n): set(names) for n, names in enumerate(known)}
    assert bench.books == dict.fromkeys(bench.keys(calls), 1)
    before = len(bench.told())
    counted(bench.run(lines), unchanged=calls)
    assert len(bench.told()) == before


def test_what_was_read_earlier_overwrites_nothing_that_was_read_later(bench):
    """An older run or a past partition that is slower, also when the newer one had nothing new."""
    counted(bench.run(bench.read(0, *[tags("sale")] * CALLS)), accepted=CALLS)
    counted(bench.run(bench.read(30, *[tags("quote")] * CALLS)), updated=CALLS)
    counted(bench.run(bench.read(20, *[tags("service")] * CALLS)), updated=0)
    counted(bench.run(bench.read(50, *[tags("quote")] * CALLS)), updated=0)
    counted(bench.run(bench.read(40, *[tags("service")] * CALLS)), updated=0)
    assert bench.true() == {key: {"quote"} for key in bench.keys(CALLS)}
    assert len(bench.told()) == CALLS
    lines = bench.read(60, *[tags("sale")] * CALLS)
    for line in lines[1:-1]:  # the record's own moment goes before the message's
        line["record"]["_sdc_extracted_at"] = (bench.now - timedelta(hours=2)).isoformat()
    counted(bench.run(lines), updated=0)
    for line in lines[1:-1]:  # without any it is the run's start
        del line["record"]["_sdc_extracted_at"], line["time_extracted"]
    counted(bench.run(lines), updated=CALLS)
    assert bench.true() == {key: {"sale"} for key in bench.keys(CALLS)}


def test_a_run_that_waits_for_its_turn_says_nothing_that_is_old_by_then(bench):
    """It was to say something, and another run read the source later, before it could."""
    bench.run(bench.read(0, tags("sale"), tags("sale")))
    bench.sandbox.script(SIGNALS, {bench.key(0): ["503 retry-after 3"]})
    slow = bench.start(max_in_flight=1).feed_aside(bench.read(10, tags("quote"), {}))
    wait_until(bench.told, "the older run meets a vendor that is busy")
    counted(bench.run(bench.read(20, tags("service"), tags("sale"))), updated=1, unchanged=1)
    assert slow.wait() == 0, slow.errors
    counted(slow, updated=0, unchanged=2)
    assert bench.true() == {bench.key(0): {"service"}, bench.key(1): {"sale"}}


def test_names_that_invoca_refused_are_not_said_again_once_the_mapping_is_right(bench):
    """They were never said: with them every later request of that call would be refused too."""
    bench.run(bench.read(0, tags("sale")))
    counted(bench.run(bench.read(10, tags(*map(str, range(11))))), rejected=1)
    counted(bench.run(bench.read(20, tags("quote"))), updated=1)
    assert bench.signals() == {bench.key(0): {"sale": False, "quote": True}}


@pytest.mark.parametrize("choice", ["--delivered", "--drop"])
def test_what_a_person_decided_of_refused_signals_is_what_runs_do(bench, choice):
    """Nothing is asked again until the source knows something else."""
    many = bench.read(10, tags(*map(str, range(11))))
    bench.run(bench.read(0, tags("sale")))
    counted(bench.run(many), rejected=1)
    assert bench.ledger("resolve", bench.key(0), choice).exit_code == 0
    counted(bench.run(many), rejected=0, still_rejected=0)
    assert len(bench.told()) == 1
    counted(bench.run(bench.read(20, tags("quote"))), updated=1)


def test_refused_signals_are_sent_again_by_a_run_and_by_no_replay(bench):
    """So the desk promises none."""
    many = bench.read(10, tags(*map(str, range(11))))
    bench.run(bench.read(0, tags("sale")))
    counted(bench.run(many), rejected=1)
    said = bench.ledger("resolve", bench.key(0), "--send-again").output
    assert "The next run that reads them sends them once." in said
    assert "replay" not in said + bench.ledger("list").output
    bench.sandbox.switches(SIGNALS, limit="100", names="created")
    counted(bench.run(many), updated=1)


def test_a_replayed_file_says_nothing_of_a_call_that_is_delivered(bench):
    """It is what was known when it was written; a call that it delivers is told with it."""
    bench.script([bench.key(0)], "403")
    counted(bench.run(bench.read(0, tags("sale"), tags("sale"))), rejected=1, accepted=1)
    counted(bench.run(bench.read(10, tags("quote"), tags("quote"))), accepted=1, updated=1)
    (file,) = bench.files("rejected")
    counted(bench.run([], "--input", str(file)), updated=0, changed=1)
    assert bench.true() == {key: {"quote"} for key in bench.keys(2)}


def test_a_call_that_invoca_still_processes_waits_and_its_signals_come(bench):
    """404 within a day of our ingestion: STATE waits, and nothing is set aside."""
    bench.sandbox.switches(SIGNALS, found_after=3600)
    bench.run(bench.read(0, {}, {}))
    for second in (10, 20):
        run = bench.run(bench.read(second, {}, tags("sale")))
        counted(run, pending=1, rejected=0)
        assert (run.code, len(run.states)) == (0, 0)
    bench.sandbox.advance(3600)
    counted(bench.run(bench.read(30, {}, tags("sale"))), updated=1)
    assert bench.true() == {bench.key(0): set(), bench.key(1): {"sale"}}
    assert bench.books == dict.fromkeys(bench.keys(2), 1)


def test_signals_of_a_call_that_is_not_found_a_day_later_are_set_aside_with_the_reason(bench):
    """Once; a person sees it in the list, and may have it tried again."""
    bench.sandbox.switches(SIGNALS, found_after=10**6)
    bench.run(bench.read(0, {}))
    bench.change_ledger("UPDATE call_ledger_calls SET updated = updated - 86410")
    for number in range(2):
        run = bench.run(bench.read(number + 1, tags("sale")))
        counted(run, rejected=1 - number, still_rejected=number, pending=0)
        assert bench.bookmark == 1
    assert len(bench.told()) == 1
    listed = bench.ledger("list").output
    assert bench.key(0) in listed
    assert "finds no such call" in listed
    assert "24 h after it was delivered" in listed
    bench.sandbox.advance(10**6)
    done = bench.ledger("resolve", bench.key(0), "--send-again")
    assert done.exit_code == 0, done.output
    counted(bench.run(bench.read(3, tags("sale"))), updated=1)
    assert bench.true() == {bench.key(0): {"sale"}}
    assert bench.key(0) not in bench.ledger("list").output


def test_invoca_takes_nothing_of_a_call_older_than_eighteen_months(bench):
    """Not asked, rejected with the reason."""
    old = (bench.now - timedelta(days=600)).isoformat()
    bench.run(bench.read(0, {"start_time": old}))
    counted(bench.run(bench.read(1, {"start_time": old, **tags("sale")})), rejected=1)
    counted(bench.run(bench.read(2, {"start_time": old, **tags("sale")})), still_rejected=1)
    assert not bench.told()
    assert "older than 548 days" in bench.ledger("list").output


def test_late_changes_are_counted_and_dropped_where_they_are_to_be_ignored(bench):
    """As a vendor is served that takes a call once and for all."""
    bench.settings["late_changes"] = "ignore"
    bench.run(bench.read(0, *[{}] * CALLS))
    counted(bench.run(bench.read(1, *[tags("sale")] * CALLS)), changed=CALLS, updated=0)
    assert not bench.told()


def test_calls_that_were_delivered_before_do_not_all_tell_at_once(bench):
    """What is seen first counts as told, which is said once; what changes then is told whole."""
    bench.settings["late_changes"] = "ignore"
    bench.run(bench.read(0, *[tags("sale")] * CALLS))
    bench.change_ledger("ALTER TABLE call_ledger_calls DROP COLUMN told")  # as it was made then
    del bench.settings["late_changes"]
    said = f"{CALLS} calls were delivered before it was kept what the vendor was told"
    for number in range(2):
        run = bench.run(bench.read(1, *[tags("quote")] * CALLS))
        assert (said in run.errors) == (number == 0)
        counted(run, changed=CALLS)
    assert not bench.told()
    counted(bench.run(bench.read(2, *[tags("service")] * CALLS)), updated=CALLS)
    assert bench.told()[0]["json"]["signals"] == [
        {"name": "quote", "value": 0},
        {"name": "service", "value": 1},
    ]


def test_calls_go_on_where_nothing_may_be_told(bench):
    """Without access to the Signal API: set aside with the way out, one question a run."""
    bench.run(bench.read(0, {}, {}))
    refuse = "refuse UnauthorizedOperation: No"
    for number in range(2):
        bench.sandbox.script(SIGNALS, {bench.key(0): [refuse]})
        run = bench.run(bench.read(number + 1, tags("sale"), tags("sale"), {}), max_in_flight=1)
        counted(run, rejected=2 * (1 - number), still_rejected=2 * number)
        assert len(bench.told()) == number + 1
    assert bench.books == dict.fromkeys(bench.keys(3), 1)
    assert "late_changes: ignore" in bench.ledger("list").output
    counted(bench.run(bench.read(5, tags("sale"), tags("sale"))), updated=2)


def test_calls_go_on_while_the_signal_api_is_down_and_the_run_fails(bench):
    """All new calls are delivered; STATE waits before the first of which nothing could be told."""
    bench.run(bench.read(0, {}))
    bench.sandbox.faults(SIGNALS, "500")
    run = bench.run(bench.read(1, tags("sale"), {}, {}), backoff_max_tries=1)
    assert run.code == 1
    assert "vendor failed" in run.sentences[0]
    assert bench.books == dict.fromkeys(bench.keys(3), 1)
    assert not run.states
    bench.sandbox.faults(SIGNALS)
    counted(bench.run(bench.read(2, tags("sale"), {}, {})), updated=1, unchanged=2)
    assert bench.true()[bench.key(0)] == {"sale"}


@pytest.mark.parametrize("fault", ["500", "401"])
def test_nothing_more_is_asked_of_a_signal_api_that_is_given_up(bench, fault):
    """Of all calls that follow none is told, and none is settled."""
    bench.run(bench.read(0, *[{}] * 20))
    bench.sandbox.faults(SIGNALS, fault)
    changed = bench.read(1, *[tags("sale")] * 20)
    run = bench.run(changed, backoff_max_tries=1, max_in_flight=1)
    assert run.code == 1
    assert len(bench.told()) == 1
    assert not run.states
    bench.sandbox.faults(SIGNALS)
    counted(bench.run(changed), updated=20)


def test_a_call_whose_first_attempt_said_something_else_is_told_what_is_so(bench):
    """Its outcome was unknown; Invoca has it, with what was known then."""
    bench.script([bench.key(0)], "reset_after_body")
    bench.run(bench.read(0, tags("sale")), backoff_max_tries=1)
    counted(bench.run(bench.read(1, tags("quote"))), updated=1)
    assert bench.true() == {bench.key(0): {"quote"}}
    assert bench.books == {bench.key(0): 1}


def test_a_record_that_is_no_call_any_more_still_tells_what_is_known(bench):
    """A source that masks numbers after some days."""
    bench.run(bench.read(0, {}))
    masked = {"calling_phone_number": None, **tags("sale")}
    counted(bench.run(bench.read(1, masked)), updated=1, rejected=0)
    assert bench.true() == {bench.key(0): {"sale"}}
