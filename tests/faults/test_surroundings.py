"""Fault 7: what stands around a run gives way: its output, its disk, its ledger, its company."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from call_sandbox.testing import lines
from singer_calls.deliver import entries as db
from singer_calls.deliver.dead_letters import DeadLetter, DeadLetters
from singer_calls.deliver.group_commit import GroupCommit, ThreadWorker
from singer_calls.deliver.ledger import Claim, Lookup, Note, RunFacts
from singer_calls.deliver.outcome import Rejected
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.errors import PluginError

CALLS = 20
PIPE_SIZE = 4096


@contextmanager
def pipe():
    """A small pipe: (read end, write end)."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    open_ends = set(ends)
    yield ends, open_ends
    for end in open_ends:
        os.close(end)


# Standard output


@pytest.mark.usefixtures("covered")
def test_a_closed_output_ends_the_run_though_the_input_is_idle(bench):
    """Nobody keeps STATE any more, so nothing more is sent."""
    with pipe() as ((read_end, write_end), open_ends):
        run = bench.start(stdout=write_end).feed(bench.calls(5))
        assert b'"done":5' in os.read(read_end, PIPE_SIZE)
        os.close(read_end)
        open_ends.remove(read_end)
        run.feed(bench.calls(10, first=5))
        assert run.wait() == 1
    (sentence,) = run.sentences
    assert "standard output" in sentence
    bench.bookmark = 5

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


HASTY = Path(__file__).with_name("hasty_target.py")


@contextmanager
def stalled(bench):
    """A run whose output nobody takes any more."""
    with pipe() as ((_, write_end), _open):
        os.write(write_end, b"x" * PIPE_SIZE)
        yield bench.start(command=[str(HASTY)], stdout=write_end)


@pytest.mark.usefixtures("covered")
def test_a_stalled_output_holds_up_no_call_and_ends_in_a_failure(bench):
    """The calls are delivered; whoever did not take STATE reads them again, and none is sent."""
    with stalled(bench) as run:
        assert run.feed(bench.calls(CALLS)).end_input().wait() == 1
    (sentence,) = run.sentences
    assert "standard output" in sentence
    assert len(bench.books) == CALLS

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


def test_a_stalled_output_does_not_keep_signals_away(bench, until):
    """Two of them end the run at once."""
    with stalled(bench) as run:
        run.feed(bench.calls(CALLS))
        until(lambda: len(bench.books) == CALLS, "all is delivered")
        at = time.monotonic()
        until(lambda: not run.send(signal.SIGTERM).running, "it ends")
        assert run.wait() == 128 + signal.SIGTERM
        assert time.monotonic() - at < 15


# Disk


def fill_the_disk(run, size=1):
    """From now on no file of this run can grow past so many bytes."""
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.usefixtures("uncovered")
def test_a_ledger_that_cannot_be_written_stops_sending_first(bench, until):
    """Not one request leaves without its claim; the next run does the rest."""
    run = bench.start().feed(bench.calls(5))
    until(lambda: bench.in_ledger("accepted") == bench.keys(5), "five are delivered")
    fill_the_disk(run)
    run.feed(bench.calls(CALLS, first=5))
    assert run.wait() == 1
    (sentence,) = run.sentences
    assert "ledger" in sentence
    assert "accepted=5" in run.errors  # what became of the calls is said all the same
    bench.note(run)
    assert bench.bookmark == 5
    assert len(bench.journal()) == 5

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


@pytest.mark.parametrize("other", ["none", "a copy", "moved away and back as a copy"])
def test_a_ledger_whose_file_is_gone_stops_sending(bench, until, other):
    """It could be written to as ever, and the next run would find none of it."""
    run = bench.start().feed(bench.calls(5))
    until(lambda: bench.in_ledger("accepted") == bench.keys(5), "five are delivered")
    copy = shutil.copyfile(bench.ledger_file, bench.folder / "copy.db")
    if other == "a copy":
        copy.replace(bench.ledger_file)
    elif other == "none":
        bench.ledger_file.unlink()
    else:
        bench.ledger_file.rename(bench.folder / "away.db")
        shutil.copyfile(copy, bench.ledger_file)
    run.feed(bench.calls(CALLS, first=5)).end_input()
    assert run.wait() == 1
    (sentence,) = run.sentences
    assert "was removed" in sentence
    assert len(bench.journal()) == 5


@pytest.mark.usefixtures("uncovered")
def test_outcomes_that_could_not_be_written_down_are_unknown(bench, until):
    """The calls in flight when the disk filled up are held by the next run."""
    late = bench.keys(5, 8)
    bench.script(late, "late 1")
    run = bench.start(max_in_flight=3).feed(bench.calls(CALLS))
    until(lambda: bench.fired("late 1") == 3, "three are in flight")
    fill_the_disk(run)
    assert run.wait() == 1
    bench.note(run)
    assert bench.bookmark <= 5
    bench.settled_before(run)

    bench.resume(CALLS)

    assert bench.held == late
    bench.nothing_lost_or_doubled(CALLS)


@pytest.mark.usefixtures("uncovered")
def test_a_rejected_file_that_cannot_be_written_ends_the_run_and_keeps_no_torn_line(bench):
    """STATE does not pass the call; with room again it is set aside, and all else is delivered."""
    big = {"DispositionName": "z" * 6_000_000}
    lines = [*bench.calls(9), bench.record(9, CallStatus="Transferat", **big)]
    lines += [bench.state(10), *bench.calls(CALLS, first=10)]
    run = bench.start(max_in_flight=1)
    fill_the_disk(run, 4_000_000)
    assert run.feed(lines).end_input().wait() == 1
    (sentence,) = run.sentences
    assert "rejected_path" in sentence
    bench.note(run)
    assert bench.bookmark in {5, 9}
    assert all(not path.stat().st_size for path in bench.files("rejected"))

    again = bench.run(lines)
    assert again.code == 0
    assert bench.bookmark == CALLS
    assert bench.set_aside("rejected").keys() == {bench.key(9)}
    assert bench.books == dict.fromkeys(bench.keys(CALLS) - {bench.key(9)}, 1)


def test_a_refused_call_that_cannot_be_set_aside_is_held_by_the_next_run(bench):
    """A file stands where the folder should be; the ledger knows that it could not say why."""
    bench.rejected.write_text("in the way")
    bench.script([bench.key(9)], "400")
    run = bench.run(bench.calls(CALLS), max_in_flight=1)
    assert run.code == 1
    assert "rejected_path" in run.sentences[0]
    assert bench.bookmark == 5
    bench.rejected.unlink()

    bench.resume(CALLS)

    assert bench.held == {bench.key(9)}
    bench.nothing_lost_or_doubled(CALLS)


def test_what_is_known_is_written_down_beside_a_call_that_could_not_be(tmp_path):
    """One line too long for the disk leaves no other call's outcome unknown."""
    in_the_way = tmp_path / "rejected"
    in_the_way.write_text("")
    url = f"sqlite:///{tmp_path}/calls.ledger.db"
    here = db.Account("vendor", "https://vendor.example", "1")
    ledger = SqlLedger(url, RunFacts("target"))
    attempts = ledger.apply([Claim(here, key, None, b"x") for key in ("good", "bad")])
    assert attempts == [1, 1]
    message = {"type": "RECORD", "stream": "calls", "record": {}}
    letter = DeadLetter(SourceRecord({"stream": "calls"}, message), Rejected("no"), 1)

    async def settle():
        letters = DeadLetters(str(in_the_way), "1", "target", {})
        async with GroupCommit(ledger, letters, ThreadWorker("ledger")) as commit:
            return await asyncio.gather(
                commit.ask(Note(here, "good", 1, db.ACCEPTED)),
                commit.ask(Note(here, "bad", 1, db.REJECTED), letter),
                return_exceptions=True,
            )

    good, bad = asyncio.run(settle())
    assert good is True
    assert isinstance(bad, PluginError)
    rows = [found.row.state for found in ledger.apply([Lookup(here, k) for k in ("good", "bad")])]
    assert rows == [db.ACCEPTED, db.SENDING]
    ledger.close()

    later = SqlLedger(url, RunFacts("target"))
    (found,) = later.apply([Lookup(here, "bad")])
    assert found.row.state == db.UNKNOWN
    later.close()


# Ledger


def garbage(path):
    """It never was a database."""
    path.write_bytes(b"no database at all\n" * 1000)


def truncated(path):
    """Half of it is gone."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def newer(path):
    """A later release has written it."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE call_ledger_version SET version = 99")
    engine.dispose()


@pytest.mark.parametrize("damage", [garbage, truncated, newer])
def test_a_ledger_that_cannot_be_trusted_stops_the_run_before_the_first_call(bench, damage):
    """Going on without it could send calls again."""
    assert bench.run(bench.calls(200)).code == 0
    sent = len(bench.journal())
    damage(bench.ledger_file)
    run = bench.run(bench.calls(400))
    assert run.code == 1
    (sentence,) = run.sentences
    assert "ledger" in sentence
    assert not run.states
    assert len(bench.journal()) == sent


def test_two_targets_at_once_on_one_ledger_send_no_call_twice(shared_bench, until):
    """Both come to their end, and each vouches for all calls in its STATE."""
    bench = shared_bench
    calls = 600
    bench.faults("latency 5-50")
    runs = [bench.start() for _ in range(2)]
    until(lambda: all(run.errors for run in runs), "both have started")
    for run in runs:
        run.feed_aside(bench.calls(calls))
    assert [run.wait() for run in runs] == [0, 0], [run.sentences for run in runs]
    assert bench.books == dict.fromkeys(bench.keys(calls), 1)
    assert len(bench.journal()) == calls
    assert not bench.held
    for run in runs:
        bench.settled_before(run)
        assert "accepted=0" not in run.errors.split("Summary")[1]
        bench.note(run)
        assert bench.bookmark == calls


def test_a_target_takes_over_from_one_that_is_killed_beside_it(shared_bench, until):
    """It waits for the other's calls, and holds them when the other is gone."""
    bench = shared_bench
    late = bench.keys(3)
    bench.script(late, "late 30")
    first = bench.start(max_in_flight=3, request_timeout=40).feed(bench.calls(3))
    until(lambda: bench.fired("late 30") == 3, "the first one's calls are in flight")
    second = bench.start().feed_aside(bench.calls(CALLS))
    until(lambda: len(bench.books) == CALLS, "the second one has sent the rest")
    assert not second.states
    first.send(signal.SIGKILL)
    assert second.wait() == 0
    bench.note(second)
    assert bench.bookmark == CALLS
    assert bench.held == late
    bench.nothing_lost_or_doubled(CALLS)


def test_only_the_owner_can_read_what_a_run_leaves(bench, until):
    """Ledger, its side files, its lock, the files of calls set aside; also while it runs."""
    bench.script([bench.key(0)], "400")
    bench.script([bench.key(1)], "empty")
    run = bench.start().feed(bench.calls(CALLS))
    until(lambda: len(bench.journal()) == CALLS and not bench.in_ledger("sending"), "all sent")
    files = [*bench.folder.glob("calls.ledger.db*"), *bench.rejected.iterdir()]
    assert len(files) >= 5
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert run.end_input().wait() == 0


def test_the_ledger_tells_what_waits_for_a_person(bench):
    """`--ledger` counts by day and outcome, and names keys, not calls.

    A run that is good all the same, with few of them, names their files.
    """
    bench.script([bench.key(0)], "400")
    bench.script([bench.key(1)], "empty")
    done = bench.run(bench.calls(CALLS))
    assert done.code == 0
    assert f"Rejected calls are in {bench.files('rejected')[0]}" in done.errors
    assert f"Held calls are in {bench.files('held')[0]}" in done.errors
    look = bench.run([], "--ledger")
    assert look.code == 0
    text = look.out.decode()
    assert [line.split()[-2:] for line in text.splitlines() if len(line.split()) == 3][1:] == [
        ["accepted", "18"],
        ["rejected", "1"],
        ["held", "1"],
    ]
    assert f"rejected {bench.key(0)}" in text
    assert f"held {bench.key(1)}" in text
    assert bench.key(2) not in text


# The machine around the run


def installed_at(bench):
    """The program as a user has it: a fork of the test server has streams of its own."""
    return Path(sys.executable).with_name(bench.command)


@pytest.mark.parametrize(
    ("closing", "says"), [("<&-", "Standard input is closed"), (">&-", "Standard output is closed")]
)
def test_a_closed_standard_stream_is_one_sentence(bench, closing, says):
    """Started so by a supervisor: exit code 1, nothing sent, no traceback."""
    command = f"{installed_at(bench)} --config {bench.file('c.json', bench.settings)} {closing}"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "report it" not in done.stderr


GONE = "mkdir gone && cd gone && rmdir ../gone;"  # the folder that it is started in


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("{} 0>nothing", 1, "input can't be read"),
        (f"{GONE} {{}}", 1, "was removed"),
        ("{} 2>/dev/full", 0, ""),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_fails_around_a_run_is_one_sentence_and_its_exit_code(bench, command, code, says):
    """And a log that goes nowhere is no failure: all is delivered, and STATE says so."""
    program = f"{installed_at(bench)} --config {bench.file('c.json', bench.settings)}"
    done = subprocess.run(
        ["sh", "-c", command.format(program)],
        cwd=bench.folder, input=b"".join(lines(bench.calls(5))), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    (*_, sentence) = [line for line in done.stderr.decode().splitlines() if "ERROR" in line] or [""]
    assert says in sentence
    assert b"report it" not in done.stderr
    assert (b'"done":5' in done.stdout) == (code == 0)


@pytest.mark.usefixtures("uncovered")  # it writes a file
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("ulimit -f 0; {}", "disk"),  # all is read-only: there is no folder of temporary files
        (f"{GONE} {{}}", "was removed"),
        ("{} >&-", "Standard output is closed"),
        ("{} >/dev/full", "No space left"),
    ],
    ids=lambda value: value[:12],
)
def test_what_fails_around_the_desk_is_one_sentence(tmp_path, command, says):
    """Exit code 1, and no traceback."""
    url = f"sqlite:///{tmp_path}/calls.ledger.db"
    SqlLedger(url, RunFacts("target")).close()
    program = Path(sys.executable).with_name("call-ledger")
    done = subprocess.run(
        ["sh", "-c", command.format(f"{program} --ledger-url={url} status")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert says in sentence


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("tap-iovox --config=ENV >&-", "Standard output is closed"),
        ("tap-iovox --discover >&-", "Standard output is closed"),
        ("target-invoca-calls --about >&-", "Standard output is closed"),
        (f"{GONE} tap-iovox --discover --config=ENV", "was removed"),
        ("printf '\\377' > .env; tap-iovox --discover --config=ENV", ".env"),
        # Whoever reads it has seen enough.
        ("target-invoca-calls --about --format=markdown | head -c 1; true", "reader"),
    ],
)
def test_what_is_wrong_before_a_run_begins_is_one_sentence(tmp_path, command, says):
    """Also where the catalog is asked for."""
    programs = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=os.environ | programs,
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "report it" not in done.stderr
    if says != "reader" or done.stderr:  # it may have been quick enough
        (sentence,) = [line for line in done.stderr.splitlines() if "ERROR" in line]
        assert says in sentence


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize(
    "asked",
    [
        *("call-ledger --help", "tap-iovox --version", "target-invoca-calls --help"),
        *("target-invoca-calls --about", "tap-iovox --about"),
        "tap-iovox --discover",
    ],
)  # fmt: skip
def test_what_a_program_says_of_itself_and_finds_no_place_is_one_sentence(asked):
    """Exit code 1: a catalog that is cut must not pass for one."""
    program, what = asked.split(" ")
    done = subprocess.run(
        ["sh", "-c", f"{Path(sys.executable).with_name(program)} {what} > /dev/full"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "No space left" in line]
    assert "Traceback" not in done.stderr
    assert "report it" not in done.stderr


def test_a_signal_is_heard_or_not_as_the_parent_meant_it(bench, until):
    """One that ``nohup`` had ignored stays so; one that a careless parent blocks ends the run."""

    def parent():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def launch(command, **streams):
        program = [installed_at(bench), *command[1:]]
        return subprocess.Popen(program, preexec_fn=parent, **streams)  # noqa: PLW1509 - no threads yet

    run = bench.start(launch=launch).feed(bench.calls(5))
    until(lambda: len(bench.books) == 5, "it runs")
    run.send(signal.SIGHUP).feed(bench.calls(10, first=5))
    until(lambda: len(bench.books) == 10, "it goes on")
    assert run.send(signal.SIGTERM).wait() == 128 + signal.SIGTERM


def test_a_closed_terminal_ends_a_run_as_sigterm_does(bench, until):
    """SIGHUP: what is in flight is answered, and nothing is held for it."""
    bench.faults("latency 300")
    run = bench.start(max_in_flight=4).feed(bench.calls(CALLS))
    until(lambda: len(bench.journal()) >= 4, "calls are in flight")
    assert run.send(signal.SIGHUP).wait() == 128 + signal.SIGHUP
    assert not bench.held
    assert not bench.in_ledger("sending", "unknown")
    bench.note(run)
    bench.resume(CALLS)
    bench.nothing_lost_or_doubled(CALLS)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_log_that_nobody_reads_does_not_keep_a_signal_away(bench, until, unbuffered):
    """The run stalls at what it says in the end, and one SIGTERM ends it."""
    calls = b"".join(lines(bench.calls(CALLS)))
    with pipe() as ((_, write_end), _open):
        os.write(write_end, b"x" * (PIPE_SIZE - 900))
        config = bench.file("c.json", bench.settings)
        with subprocess.Popen(
            [installed_at(bench), "--config", config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=write_end,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        ) as process:
            process.stdin.write(calls)
            process.stdin.close()
            wchan = Path(f"/proc/{process.pid}/wchan")
            until(lambda: "pipe_write" in wchan.read_text(), "it waits at its log")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
            assert b'"done":20' in process.stdout.read()
