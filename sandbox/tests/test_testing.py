"""The test bench: what a forked program is, what a run tells, and when the bench itself fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from urllib.parse import quote

import pytest

from call_sandbox.testing import (
    ForkServer,
    Output,
    Planted,
    Plugin,
    installed,
    judge,
    lines,
    record,
    schema,
    state,
    wait_until,
)
from call_sandbox.testing.verdict import Place

PROGRAMS = {
    "says what it was told": """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["GIVEN"], sys.stdin.read(), flush=True)
sys.stderr.write("aside\\n")
""",
    "ends with a code": "import sys; sys.exit(3)",
    "ends with a sentence": "import sys; sys.exit('wrong')",
    "ends with a traceback": "1 / 0",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "is interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "does something at its end": "import atexit; atexit.register(print, 'bye')",
    "waits for its threads": """
import threading, time
threading.Thread(target=lambda: (time.sleep(0.1), print("done"))).start()
""",
    "leaves at once": "import os; print('unsaid'); os._exit(4)",
    "ends with a long code": "import sys; sys.exit(256 + 7)",
    "ends without output": "import sys; sys.stdout.close(); sys.stderr = None; sys.exit(2)",
    "can't say its last words": """
import os
print("unsaid")
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
""",
    "forks": "import os; os.waitpid(os.fork() or os._exit(0), 0); print(1)",
}


@pytest.fixture(scope="module")
def forked():
    with ForkServer() as forked:
        yield forked


@pytest.fixture
def program(tmp_path, forked):
    """``program(text)``: a plugin that is this Python program."""
    made = []

    def make(text, launch=forked, **options):
        file = tmp_path / f"program_{len(made)}.py"
        file.write_text(text)
        made.append(Plugin(str(file), tmp_path, launch=launch, **options))
        return made[-1]

    yield make
    for plugin in made:
        plugin.close()


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_forked_program_is_what_an_installed_one_is(program, forked, what):
    """Arguments, folder, environment, streams, exit code and last words."""
    told = []
    for launch in (installed, forked):
        run = program(PROGRAMS[what]).start(
            "--state=x", launch=launch, environment={"GIVEN": "this"}
        )
        code = run.feed([b"input\n"]).end_input().wait(20)
        # A traceback also shows who has called the program.
        errors = [line for line in run.errors.splitlines() if not line.startswith("  ")]
        told.append((code, run.out, errors))
    assert told[0] == told[1]


def test_a_run_can_be_fed_asked_and_killed_while_it_runs(program):
    """Each line is heard as it comes; the exit code names the signal."""
    run = program("import sys\nfor line in sys.stdin: print(line.strip() * 2, flush=True)").start()
    run.feed([b"ab\n"])
    wait_until(lambda: run.out == b"abab\n", "it answers", 20)
    assert run.running
    assert run.kill().wait(20) == -signal.SIGKILL
    assert not run.running
    run.feed([b"x" * 10**6]).end_input()  # nobody reads: no error of the feeder


def test_a_run_that_does_not_end_is_killed_and_fails(program):
    """What it said is in the message."""
    run = program("import sys, time; print('here', file=sys.stderr); time.sleep(600)")
    run = run.start()
    wait_until(lambda: run.errors, "it has started", 20)
    with pytest.raises(TimeoutError, match="here"):
        run.wait(0.1)
    assert not run.running
    with pytest.raises(TimeoutError, match="pigs fly"):
        wait_until(lambda: False, "pigs fly", 0.01)


def test_a_reader_by_hand_holds_a_program_up(program):
    """As a slow target holds up its tap; `wait` reads the rest."""
    run = program("for n in range(100_000): print(n)").start(eager=False)
    assert [run.hear() for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
    time.sleep(0.2)
    assert run.running
    assert len(run.heard) == 3
    assert run.wait(20) == 0
    assert len(run.heard) == 100_000
    assert run.hear() == b""


def test_output_that_goes_to_a_file_is_not_heard(program, tmp_path):
    """It is all in the file, whatever is asked of the run."""
    with (tmp_path / "out").open("wb") as file:
        run = program("print('said')").start(stdout=os.dup(file.fileno()))
        assert (run.hear(), run.deafen().wait(20), run.out) == (b"", 0, b"")
    assert (tmp_path / "out").read_text() == "said\n"


def test_a_program_learns_that_nobody_reads(program):
    """By the error of a closed pipe."""
    run = program("for n in range(100_000): print(n)").start(eager=False)
    run.hear()
    assert run.deafen().wait(20) != 0
    assert "BrokenPipeError" in run.errors


def test_what_a_server_has_started_ends_with_it(tmp_path):
    """Also when nobody has time to say so: its parent is killed."""
    parent = (
        "import sys, time; from pathlib import Path; from call_sandbox.testing import *\n"
        "file = Path(sys.argv[1]); file.write_text('import time; time.sleep(600)')\n"
        "with ForkServer() as launch:\n"
        "    run = Plugin(str(file), file.parent, launch=launch).start()\n"
        "    print(launch._server.pid, run.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", parent, str(tmp_path / "sleeper.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pids = [int(word) for word in process.stdout.readline().split()]
        process.kill()

    def gone(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - nobody may be there to bury it
            return stat.read().rpartition(")")[2].split()[0] == "Z"

    wait_until(lambda: all(map(gone, pids)), "both have ended", 20)


def test_a_server_has_imported_what_it_was_told_with_all_that_is_in_it(program):
    """A package as a module; what it has not imported a fork imports for itself."""
    names = ("concurrent.futures.thread", "wave", "colorsys")
    with ForkServer(packages=("concurrent", "wave")) as launch:
        run = program(f"import sys; print([n in sys.modules for n in {names}])", launch)
        assert run.run(()).out == b"[True, True, False]\n"


def test_a_server_that_is_gone_is_told(program):
    """To whoever waits for a fork, and to whoever asks for one."""
    with ForkServer() as launch:
        plugin = program("import time; time.sleep(600)", launch)
        run = plugin.start()
        os.kill(launch._server.pid, signal.SIGKILL)
        with pytest.raises(ChildProcessError, match="has ended"):
            run.process.wait(20)
        os.kill(run.pid, signal.SIGKILL)
        with pytest.raises(ConnectionResetError, match="has ended"):
            plugin.start()
        run.process.returncode = -signal.SIGKILL


def test_messages_are_read_as_they_were_written():
    """One line each; what a kill has cut is no message."""
    written = [
        schema("calls", {"id": {}}, keys=["id"]),
        record("calls", {"id": "ă"}),
        state({"n": 1}),
    ]
    text = b"".join(lines([*written, b'{"type": "STATE", "va']))
    output = Output(text)
    assert output.messages == written
    assert output.records() == output.records("calls") == [{"id": "ă"}]
    assert output.records("others") == []
    assert output.schemas["calls"]["key_properties"] == ["id"]
    assert output.states == [{"n": 1}]


def test_the_verdict_says_where_each_call_is():
    """By what was sent, answered, processed and set aside."""

    def seen(key, status=200, *, processed=True):
        return {"key": key, "status": status, "processed": processed}

    journal = [
        seen("once"),
        seen("twice"),
        seen("twice"),
        seen("again", 503, processed=False),
        seen("again"),
        seen("refused", 400, processed=False),
        seen("kept", 400, processed=False),
        seen("unheard", None),
        seen("silent", None, processed=False),
        seen("foreign"),
        seen(None, 401, processed=False),
    ]
    keys = ["once", "twice", "again", "refused", "kept", "unheard", "silent", "unsent"]
    verdict = judge(keys, journal, {"kept", "once"})
    assert verdict.places == {
        "once": Place.PROCESSED,
        "twice": Place.PROCESSED,
        "again": Place.PROCESSED,
        "refused": Place.REFUSED,
        "kept": Place.SET_ASIDE,
        "unheard": Place.PROCESSED,
        "silent": Place.UNANSWERED,
        "unsent": Place.NEVER_SENT,
    }
    assert verdict.lost == {"refused", "silent", "unsent"}
    assert verdict.doubled == {"twice"}
    assert verdict.repeated == {"twice", "again"}
    assert verdict.foreign == {"foreign"}


SECRET, NUMBER, LOGIN = "top secret/word+1", "+1 415 555 0123", ("user", "pass word")
HEADER = b64encode(":".join(LOGIN).encode()).decode()


@pytest.mark.parametrize(
    "line",
    [
        SECRET, quote(SECRET), quote(SECRET, safe=""), "top+secret%2Fword%2B1",
        "+14155550123", "4155550123", "(415) 555-0123", "415.555.0123", "1-415-555-0123",
        "%2B1%20415%20555%200123", f"Authorization: Basic {HEADER}",
        "Traceback (most recent call last):",
    ],
)  # fmt: skip
def test_a_planted_value_is_found_in_every_form(line):
    """As it is, in the form of a URL, as a person writes it, as a header."""
    planted = Planted(secrets=[SECRET], numbers=["415555"], logins=[LOGIN])
    assert planted.shown_in(["nothing", f"before {line} after"]) == [f"before {line} after"]


@pytest.mark.parametrize(
    "line", ["2026-11-27 04:15:55,512 | INFO | it began", '"value":0.41555501234567', "415 555", ""]
)
def test_what_only_looks_like_a_number_is_none(line):
    """The time of day, a measured duration, the beginning of a number."""
    assert Planted(numbers=["415555"]).shown_in([line]) == []


def test_a_plugin_whose_output_shows_a_planted_value_fails_its_block(program):
    """On standard error, and on standard output outside of records."""
    planted = Planted(secrets=["hush"])
    said = """print('{"type":"RECORD","stream":"s","record":{"a":"hush"}}')"""
    with program(said, planted=planted) as plugin:
        plugin.run()
    for text in ('print("hush")', 'import sys; sys.stderr.write("hush")'):
        with pytest.raises(AssertionError, match="hush"), program(text, planted=planted) as plugin:
            plugin.run()
    # What has failed already is told as it is.
    with pytest.raises(KeyError), program(text, planted=planted) as plugin:
        {}[plugin.run().out]
