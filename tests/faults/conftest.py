"""The bench of the fault tests: the real target, as its command line, before the sandbox.

The sandbox's journal and books are the oracle: what the vendor saw, and what it processed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa

from call_sandbox import Sandbox
from call_sandbox.credentials import IMPACT_PASSWORD, IMPACT_USERNAME, INVOCA_TOKEN

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
NAME = "Zebulon Quackenbush"
WRONG_PASSWORD = "planted-token-5d1f"
PATIENCE = 120.0  # seconds until a run that does not end is a failed test

# Every caller's number begins with 415 555, every called one with 212 555.
PLANTED = re.compile(
    "|".join(
        [
            r"(?:415|212)\W{0,2}555\W?\d{4}",
            *NAME.split(),
            IMPACT_PASSWORD,
            INVOCA_TOKEN,
            WRONG_PASSWORD,
            *(
                b64encode(f"{IMPACT_USERNAME}:{word}".encode()).decode()[:24]
                for word in (IMPACT_PASSWORD, WRONG_PASSWORD)
            ),
            "Traceback",
            "Fatal Python error",
        ]
    )
)


def wait_until(condition, what, seconds=PATIENCE):
    """Poll until the condition holds, and give what it gave."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what}: not within {seconds} s")


class Run:
    """One process of the target; its outputs are read while it runs, with their times."""

    def __init__(self, command, folder, outputs, *, stdout=subprocess.PIPE):
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        self.pid = self.process.pid
        self.states = []  # (monotonic seconds, STATE) as they arrive
        self.lines = []  # every line of stdout
        self._errors = []
        self._outputs = outputs
        self._threads = [threading.Thread(target=self._read_errors, daemon=True)]
        if self.process.stdout is not None:
            self._threads.append(threading.Thread(target=self._read_states, daemon=True))
        for thread in self._threads:
            thread.start()

    def _read_states(self):
        for line in self.process.stdout:
            self.lines.append(line.decode())
            self._outputs.append(line.decode())
            if line.startswith(b"{") and line.endswith(b"}\n"):  # one cut by a kill is none
                self.states.append((time.monotonic(), json.loads(line)))

    def _read_errors(self):
        for line in self.process.stderr:
            self._errors.append(line.decode(errors="replace"))
            self._outputs.append(self._errors[-1])

    @property
    def errors(self):
        """All of stderr so far."""
        return "".join(self._errors)

    @property
    def sentences(self):
        """What was logged as an error."""
        return [line.split("| ")[-1].strip() for line in self._errors if "| ERROR" in line]

    def feed(self, lines):
        """Hand it input; a target that reads no more is no fault of the feeder."""
        try:
            for line in lines:
                self.process.stdin.write(line)
            self.process.stdin.flush()
        except (BrokenPipeError, ConnectionResetError, ValueError):
            pass
        return self

    def feed_aside(self, lines):
        """The same, while the caller goes on; then the end of the input."""
        self._threads.append(
            threading.Thread(target=lambda: self.feed(lines).end_input(), daemon=True)
        )
        self._threads[-1].start()
        return self

    def end_input(self):
        """Close its standard input."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.process.stdin.close()
        return self

    def send(self, number):
        """A signal, when it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self

    def wait(self, seconds=PATIENCE):
        """Its exit code; negative for the signal that killed it."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"still running after {seconds} s:\n{self.errors}")
        for thread in self._threads:
            thread.join(PATIENCE)
        return code

    def close(self):
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        self.end_input()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Bench:
    """A folder with the target's settings, its ledger and its files, before a sandbox."""

    program = "target-impact-calls"
    vendor = "impact"
    key_field = "CallSessionId"
    credentials: ClassVar = {
        "username": IMPACT_USERNAME,
        "password": IMPACT_PASSWORD,
        "campaign_id": 1000,
        "media_id": 2000,
        "action_tracker_id": 3000,
        "vendor_name": "Example",
    }

    def __init__(self, folder, sandbox):
        self.folder = folder
        self.sandbox = sandbox
        self.outputs = []
        self.runs = []
        self.bookmark = 0  # calls that the newest STATE stands for, as Meltano would keep it
        self.ledger_file = folder / "calls.ledger.db"
        self.rejected = folder / "rejected"
        self.settings = {
            "api_url": f"{sandbox.url}/{self.vendor}",
            **self.credentials,
            "ledger_url": f"sqlite:///{self.ledger_file}",
            "rejected_path": str(self.rejected),
            "request_timeout": 5,
            "backoff_max_tries": 3,
            "max_rejected_percent": 100,
        }

    # Input

    @staticmethod
    def line(message):
        """A message as a line of input."""
        return json.dumps(message).encode() + b"\n"

    @staticmethod
    def key(number):
        """The key of a call."""
        return f"call-{number:06}"

    def keys(self, first, last=None):
        """The keys of calls."""
        return {self.key(n) for n in (range(first) if last is None else range(first, last))}

    def schema(self, **properties):
        """The tap's SCHEMA."""
        types = {name: {"type": "string"} for name in (self.key_field, "CallerId")}
        schema = {"type": "object", "properties": types | properties}
        return self.line(
            {
                "type": "SCHEMA",
                "stream": "calls",
                "schema": schema,
                "key_properties": [self.key_field],
            }
        )

    def record(self, number, **fields):
        """A call as the tap gives it."""
        record = self.call(number) | fields
        return self.line({"type": "RECORD", "stream": "calls", "record": record})

    def call(self, number):
        """What the tap knows of a call."""
        return {
            "CallSessionId": self.key(number),
            "CallerId": f"+1415555{number % 10000:04}",
            "CalledPhoneNumber": f"+1212555{number % 10000:04}",
            "EventDate": "2025-11-02T10:00:00Z",
            "CallDuration": 60,
            "TalkDuration": 50,
            "CallStatus": "Answered",
            "DispositionName": NAME,
        }

    def state(self, done):
        """STATE after so many calls."""
        return self.line({"type": "STATE", "value": {"bookmarks": {"calls": {"done": done}}}})

    def calls(self, last, first=0, every=5, **fields):
        """SCHEMA, the calls from `first` to before `last`, a STATE after each `every`."""
        yield self.schema()
        for number in range(first, last):
            yield self.record(number, **fields)
            if (number + 1) % every == 0 or number + 1 == last:
                yield self.state(number + 1)

    # Faults

    def script(self, keys, *words):
        """What the vendor answers to these calls, try by try; then all is well."""
        self.sandbox.script(self.vendor, {key: [*words] for key in keys})

    def faults(self, *rules):
        """What goes wrong with any call."""
        self.sandbox.faults(self.vendor, *rules)

    def fired(self, word):
        """How often this fault fired."""
        return self.sandbox.fired(self.vendor).get(word, 0)

    # Runs

    def config(self, **settings):
        """Write the settings."""
        path = self.folder / f"config-{len(self.runs)}.json"
        path.write_text(json.dumps(self.settings | settings))
        return path

    def start(self, *arguments, driver=(), stdout=subprocess.PIPE, **settings):
        """Start the target; with a driver, in its process."""
        program = (
            [sys.executable, HERE / driver[0], *driver[1:]] if driver else [BIN / self.program]
        )
        command = [*program, "--config", self.config(**settings), *arguments]
        run = Run([str(word) for word in command], self.folder, self.outputs, stdout=stdout)
        self.runs.append(run)
        return run

    def run(self, lines, *arguments, **settings):
        """Run it on this input to its end; its exit code is in `run.code`."""
        run = self.start(*arguments, **settings).feed(lines).end_input()
        run.code = run.wait()
        self.note(run)
        return run

    def note(self, run):
        """Remember the last STATE, as Meltano does, also of a run that failed."""
        if run.states:
            self.bookmark = run.states[-1][1]["bookmarks"]["calls"]["done"]

    def resume(self, last, **settings):
        """Run again from the last STATE, to the end of the calls."""
        run = self.run(self.calls(last, self.bookmark), **settings)
        assert run.code == 0, run.errors
        assert self.bookmark == last
        return run

    def settled_before(self, run):
        """Every call before each STATE of this run was answered, by the journal, or set aside."""
        ended = {
            entry["key"]: entry["at_monotonic"] + entry["duration"]
            for entry in self.journal()
            if entry["status"] and entry["duration"]
        }
        aside = self.set_aside("rejected").keys() | self.held
        for at, state in run.states:
            for key in self.keys(state["bookmarks"]["calls"]["done"]) - aside:
                # The vendor may be slow to close its own line after it has answered.
                assert ended[key] <= at + 0.2

    # What became of the calls

    def journal(self, since=0):
        """What reached the vendor, after so many requests."""
        return self.sandbox.journal(self.vendor, since)

    @property
    def sent(self):
        """Key -> how many requests; one cut off before it said its key is not in it."""
        return Counter(entry["key"] for entry in self.journal() if entry["key"])

    @property
    def books(self):
        """Key -> how often the vendor processed it."""
        return self.sandbox.books(self.vendor)

    def files(self, kind):
        """The files of `rejected` or `held` calls."""
        return [
            path
            for path in sorted(self.rejected.glob("*.singer.jsonl"))
            if (".held." in path.name) is (kind == "held")
        ]

    def set_aside(self, kind):
        """Key -> the mark, of the calls in the `rejected` or the `held` files."""
        messages = [
            json.loads(line) for path in self.files(kind) for line in path.read_bytes().splitlines()
        ]
        records = [message["record"] for message in messages if message["type"] == "RECORD"]
        return {record[self.key_field]: record["rejected"] for record in records}

    @property
    def held(self):
        """Keys in the held files."""
        return set(self.set_aside("held"))

    def in_ledger(self, *states):
        """Keys that the ledger has in these states."""
        if self.ledger_file.exists() or "postgresql" in self.settings["ledger_url"]:
            engine = sa.create_engine(self.settings["ledger_url"])
            try:
                with engine.connect() as connection:
                    rows = connection.execute(sa.text("SELECT key, state FROM call_ledger"))
                    return {key for key, state in rows if state in states}
            except sa.exc.OperationalError:  # killed before there was a table
                pass
            finally:
                engine.dispose()
        return set()

    def nothing_lost_or_doubled(self, last):
        """Each call was processed once, or is held; none was sent twice."""
        assert self.books.keys() | self.held >= self.keys(last)
        assert set(self.books.values()) <= {1}
        assert set(self.sent.values()) <= {1}


class InvocaBench(Bench):
    """The same before a vendor that dedupes on our key."""

    program = "target-invoca-calls"
    vendor = "invoca"
    key_field = "external_call_unique_id"
    credentials: ClassVar = {
        "oauth_token": INVOCA_TOKEN,
        "advertiser_campaign_id_from_network": 85,
        "call_direction": "inbound",
    }

    def call(self, number):
        """What the tap knows of a call."""
        return {
            "external_call_unique_id": self.key(number),
            "start_time": "2025-11-02T10:00:00Z",
            "calling_phone_number": f"+1415555{number % 10000:04}",
            "destination_phone_number": f"+1212555{number % 10000:04}",
            "recording_url": f"https://recordings.example/{number}.wav",
        }


@pytest.fixture
def sandbox():
    """A vendor."""
    with Sandbox(calls=10, seed=1) as sandbox:
        yield sandbox


def _watched(bench):
    """The bench; at the end nothing that the target said may hold what is planted."""
    yield bench
    for run in bench.runs:
        run.close()
    leaks = [line for line in bench.outputs if PLANTED.search(line)]
    assert not leaks, "fault 8: values of calls, credentials or tracebacks were shown"


@pytest.fixture
def bench(sandbox, tmp_path):
    """target-impact-calls before its vendor."""
    yield from _watched(Bench(tmp_path, sandbox))


@pytest.fixture
def invoca_bench(sandbox, tmp_path):
    """target-invoca-calls before its vendor."""
    yield from _watched(InvocaBench(tmp_path, sandbox))


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_bench(request, bench):
    """The bench, once for each database of the ledger."""
    if request.param == "postgresql":
        bench.settings["ledger_url"] = request.getfixturevalue("database")
    return bench


@pytest.fixture
def until():
    """`until(condition, what)`: poll with a deadline."""
    return wait_until


@pytest.fixture
def say(capsys):
    """Print past pytest's capture: seeds and figures."""

    def say(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return say
