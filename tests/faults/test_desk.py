"""What a person decides about calls, and what the runs after it do: the journal is the oracle."""

from __future__ import annotations

import contextlib
import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from singer_calls.deliver.entries import STATES
from singer_calls.ledger_cli.desk import Desk
from singer_calls.ledger_cli.main import cli

CALLS = 4
BAD_MAP = {"calls": {"SaleAmount": "float(SaleAmount)"}}
GOOD_MAP = {"calls": {"SaleAmount": "7.0"}}


@pytest.fixture
def ledger(shared_bench):
    """``ledger("list", ...)`` on the bench's ledger; its standard output."""
    settings = shared_bench.settings

    def ledger(*arguments, code=0):
        place = (
            "--ledger-url",
            settings["ledger_url"],
            "--rejected-path",
            str(shared_bench.rejected),
        )
        done = CliRunner().invoke(cli, [*place, *arguments])
        assert done.exit_code == code, done.output
        return done.stdout

    return ledger


def waiting(ledger):
    return {row["key"]: row for row in json.loads(ledger("list", "--format", "json"))}


def test_what_a_person_decided_of_held_calls_is_what_runs_do(shared_bench, ledger):
    """Delivered and dropped ones are never sent, a released one once, the others stay held."""
    bench = shared_bench
    delivered, released, dropped, left = [bench.key(n) for n in range(4)]
    for number in range(4):
        bench.script([bench.key(number)], "reset_after_body")
        bench.run(bench.calls(number + 1))
    held = waiting(ledger)
    assert held.keys() == {delivered, released, dropped, left}
    ledger("resolve", delivered, "--delivered", "--note", "seen in the report")
    ledger("resolve", released, "--send-again")
    ledger("resolve", dropped, "--drop")
    sent = len(bench.journal())
    for _ in range(2):
        assert bench.run(bench.calls(CALLS)).code == 0
    assert [entry["key"] for entry in bench.journal(sent)] == [released]
    assert waiting(ledger).keys() == {left}
    file = bench.rejected.parent / "replay.jsonl"
    file.write_text(ledger("replay", left))
    for path in [*bench.files("held"), file, file]:
        bench.run([], "--input", str(path))
    assert [entry["key"] for entry in bench.journal(sent)] == [released, left]
    assert waiting(ledger) == {}


def test_a_dropped_record_stays_away_when_the_mapping_is_corrected(shared_bench, ledger):
    """It had no key when it was dropped; the others of its mapping go out."""
    bench = shared_bench
    lines = [bench.schema(SaleAmount={"type": "string"})]
    lines += [bench.record(n, SaleAmount="a lot") for n in range(4)]
    assert bench.run(lines, stream_maps=BAD_MAP).code == 0
    keys = sorted(waiting(ledger))
    assert len(keys) == 4
    dropped = {
        json.loads(line)["record"]["CallSessionId"]
        for line in ledger("replay", keys[0]).splitlines()[1:]
    }
    ledger("resolve", keys[0], "--drop")
    for _ in range(2):
        assert bench.run(lines, stream_maps=GOOD_MAP).code == 0
    assert bench.books == dict.fromkeys(bench.keys(4) - dropped, 1)
    assert waiting(ledger) == {}


def test_a_call_that_was_delivered_under_another_id_is_sent_when_a_person_says_so(
    shared_bench, ledger
):
    """Once; the ledger knows it under both ids then."""
    bench = shared_bench
    moments = {"EventDate": "2025-11-02T10:00:07Z"}
    one = [bench.schema(), bench.record(0, **moments)]
    other = [bench.schema(), bench.record(0, **moments, CallSessionId="new-0")]
    assert bench.run(one).code == 0
    bench.run(other)
    [key] = waiting(ledger)
    ledger("resolve", key, "--send-again")
    for _ in range(2):
        assert bench.run(other).code == 0
    assert bench.books == {bench.key(0): 1, "new-0": 1}
    assert waiting(ledger) == {}


def test_a_week_of_an_operator_ends_with_nothing_that_waits(shared_bench, ledger):
    """A bad mapping, a vendor that is down, answers that don't come, a replay, decisions.

    In the end each call was processed once, and the ledger waits for nobody.
    """
    bench = shared_bench
    typed = bench.schema(SaleAmount={"type": "string"})

    def day(first, last, **settings):
        """These calls, as a lookback reads them."""
        words = ["a lot" if n < 3 else "7" for n in range(last)]
        lines = [bench.record(n, SaleAmount=words[n]) for n in range(first, last)]
        return bench.run([typed, *lines, bench.state(last)], **settings)

    # Monday: a mapping that can't read some amounts.
    assert day(0, 3, stream_maps=BAD_MAP).code == 0
    assert "3 calls wait for a person" in ledger("status", "--check", code=4)

    # Tuesday: the vendor is down.
    bench.faults("503")
    assert day(0, 6, stream_maps=BAD_MAP, backoff_max_tries=1).code == 1
    bench.faults()
    assert not bench.books
    assert len(waiting(ledger)) == 3

    # Wednesday: it is back, and three answers don't come; one of these calls did not arrive.
    words = ("reset_after_body", "reset_before_processing", "late 3")
    for number, word in enumerate(words, 6):
        bench.script([bench.key(number)], word)
        assert day(3, number + 1, stream_maps=BAD_MAP, request_timeout=1).code == 0
        assert bench.fired(word) == 1
    held = {key for key, row in waiting(ledger).items() if row["state"] == "held"}
    assert held == bench.keys(6, 9)

    # Thursday: the mapping is corrected, and what it refused is replayed.
    file = bench.rejected.parent / "replay.jsonl"
    file.write_text(ledger("replay"))
    assert bench.run([], "--input", str(file), stream_maps=GOOD_MAP).code == 0
    assert waiting(ledger).keys() == held

    # Friday: what the vendor's own report has was delivered, the rest goes again.
    for key in held:
        ledger("resolve", key, "--delivered" if key in bench.books else "--send-again")
    file.write_text(ledger("replay", "--released"))
    for _ in range(2):
        assert bench.run([], "--input", str(file), stream_maps=GOOD_MAP).code == 0
        assert day(0, 9, stream_maps=GOOD_MAP).code == 0

    assert waiting(ledger) == {}
    ledger("status", "--check")
    assert bench.books == dict.fromkeys(bench.keys(9), 1)
    assert all("decided" in ledger("show", key) for key in held)


def test_a_decision_counts_for_a_run_that_is_under_way(shared_bench, ledger, until):
    """It was made after the run began, with a request in flight, and before it read the calls."""
    bench = shared_bench
    delivered, released, dropped, other = [bench.key(n) for n in range(4)]
    for number in range(3):
        bench.script([bench.key(number)], "reset_after_body")
        bench.run(bench.calls(number + 1))
    bench.script([other], "late 1")
    run = bench.start().feed([bench.schema(), bench.record(3)])
    until(lambda: other in bench.books, "a request is in flight")
    ledger("resolve", delivered, "--delivered")
    ledger("resolve", released, "--send-again")
    ledger("resolve", dropped, "--drop")
    ledger("resolve", other, "--drop", code=3)  # its outcome is to come
    run.feed([bench.record(0), bench.record(1), bench.record(2), bench.state(3)]).end_input()
    assert run.wait() == 0, run.errors
    assert bench.sent == {delivered: 1, released: 2, dropped: 1, other: 1}
    assert waiting(ledger) == {}


def test_after_prune_no_forgotten_call_is_paid_again(shared_bench, ledger, until):
    """By a run that was under way, by a second worker, by a new id or by a file that was kept."""
    bench = shared_bench
    dropped, held = bench.key(3), bench.key(4)
    bench.script([dropped], "422")
    bench.script([held], "reset_after_body")
    bench.run(bench.calls(5))
    files = {path.name: path.read_bytes() for path in sorted(bench.rejected.iterdir())}
    assert len(files) == 2
    ledger("resolve", dropped, "--drop")
    ledger("resolve", held, "--delivered")

    new = {"EventDate": "2026-02-01T10:00:00Z"}
    first = bench.start().feed([bench.schema(), bench.record(5, **new)])
    until(lambda: bench.key(5) in bench.books, "a run is under way")
    assert "5 calls forgotten" in ledger("prune", "--before", "2026-01-01", "--force")
    second = bench.start().feed([bench.schema(), bench.record(6, **new)])
    for worker in (first, second):
        worker.feed(bench.record(n) for n in range(5))
        worker.feed([bench.record(0, CallSessionId="new-0"), bench.state(6)]).end_input()
    assert [first.wait(), second.wait()] == [0, 0], first.errors + second.errors
    for name, content in files.items():
        kept = bench.rejected.parent / name
        kept.write_bytes(content)
        bench.run([], "--input", str(kept))
    assert bench.sent == dict.fromkeys(bench.keys(7), 1)
    ledger("prune", "--before", "2026-01-01", "--force")
    assert bench.run([bench.schema(), *(bench.record(n) for n in range(5))]).code == 0
    assert bench.sent == dict.fromkeys(bench.keys(7), 1)


def test_after_forget_the_caller_is_nowhere_and_the_call_is_not_paid_again(shared_bench, ledger):
    """Not in the files, in the ledger, nor in the store of recordings: searched byte by byte."""
    bench = shared_bench
    delivered, refused, held, other = [bench.key(n) for n in range(4)]
    bench.script([refused], "422")
    bench.script([held], "reset_after_body")
    bench.script([other], "422")
    bench.run(bench.calls(4))
    store = bench.rejected.parent / "store" / "iovox" / "2025" / "11" / "02"
    store.mkdir(parents=True)
    forgotten = {}
    for number, key in enumerate((delivered, refused, held, other)):
        forgotten[key] = bench.call(number)["CallerId"][-10:]
        (store / f"{key}.mp3").write_text(f"TXXX caller {forgotten[key]}")
    ledger("resolve", held, "--send-again", "--note", f"asked {forgotten[held]} herself")
    assert {key for key in forgotten if found(bench, forgotten[key])} == forgotten.keys()

    keys = (delivered, refused, held)
    ledger("forget", *keys, "--recordings-url", f"file://{bench.rejected.parent}/store")
    assert [found(bench, forgotten[key]) for key in keys] == [[], [], []]
    assert len(found(bench, forgotten[other])) == 2  # of another person: its file, its recording
    sent = len(bench.journal())
    assert bench.run(bench.calls(4)).code == 0
    assert bench.journal(sent) == []


def test_what_is_replayed_into_another_vendors_target_is_not_sent(
    shared_bench, ledger, invoca_bench_in
):
    """One sentence, and nothing of it is in its ledger; its own target takes it still."""
    bench = shared_bench
    bench.script([bench.key(0)], "422")
    bench.run(bench.calls(1))
    folder = bench.rejected.parent
    file = folder / "replay.jsonl"
    file.write_text(ledger("replay"))
    (folder / "other").mkdir()
    with invoca_bench_in(folder / "other") as other:
        run = other.run([], "--input", str(file))
        assert run.code == 1
        assert "not written by target-invoca-calls" in run.sentences[0]
        assert other.journal() == []
        assert other.in_ledger(*STATES) == set()
    assert bench.run([], "--input", str(file)).code == 0
    assert bench.books == {bench.key(0): 1}


def found(bench, digits):
    """Where a number is still to be found: files below the bench's folder, tables."""
    folder = bench.rejected.parent
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    places = [str(path) for path in files if digits.encode() in path.read_bytes()]
    url = bench.settings["ledger_url"]
    with contextlib.closing(Desk(url)) as desk, desk.reading() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.select(sa.text("*")).select_from(sa.table(table))).all()
            places += [table for row in rows if digits in str(row)]
    return places
