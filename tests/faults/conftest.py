"""The bench of the fault tests: the real target, as its command line, before the sandbox.

The sandbox's journal and books are the oracle: what the vendor saw, and what it processed.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from call_sandbox import Sandbox
from call_sandbox.credentials import IMPACT_PASSWORD, IMPACT_USERNAME, INVOCA_TOKEN
from call_sandbox.testing import (
    Planted,
    Plugin,
    judge,
    record,
    schema,
    state,
    wait_until,
)
from singer_calls.ledger_cli.main import cli

HERE = Path(__file__).parent
NAME = "Zebulon Quackenbush"
CALLS_IN_LEDGER = """
    SELECT key, state FROM call_ledger_calls
    JOIN call_ledger_accounts ON call_ledger_accounts.id = call_ledger_calls.account
    WHERE vendor <> 'record'
"""
WRONG_PASSWORD = "planted-token-5d1f"

# Every caller's number begins with 415 555, every called one with 212 555.
PLANTED = Planted(
    secrets=[*NAME.split(), IMPACT_PASSWORD, INVOCA_TOKEN, WRONG_PASSWORD],
    numbers=["415555", "212555"],
    logins=[(IMPACT_USERNAME, word) for word in (IMPACT_PASSWORD, WRONG_PASSWORD)],
)


class Bench(Plugin):
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

    def __init__(self, folder, sandbox, launch):
        super().__init__(self.program, folder, launch=launch, planted=PLANTED)
        self.sandbox = sandbox
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
    def key(number):
        """The key of a call."""
        return f"call-{number:06}"

    def keys(self, first, last=None):
        """The keys of calls."""
        return {self.key(n) for n in (range(first) if last is None else range(first, last))}

    def schema(self, **properties):
        """The tap's SCHEMA."""
        types = {name: {"type": "string"} for name in (self.key_field, "CallerId")}
        return schema("calls", types | properties, keys=[self.key_field])

    def record(self, number, **fields):
        """A call as the tap gives it."""
        return record("calls", self.call(number) | fields)

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
        return state({"bookmarks": {"calls": {"done": done}}})

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

    def run(self, lines, *arguments, **settings):
        """Run it on this input to its end."""
        run = super().run(lines, *arguments, **settings)
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
        for at, value in run.states:
            for key in self.keys(value["bookmarks"]["calls"]["done"]) - aside:
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
        lines = [
            json.loads(line) for path in self.files(kind) for line in path.read_bytes().splitlines()
        ]
        return {
            line["record"][self.key_field]: line["set_aside"]
            for line in lines
            if line["type"] == "RECORD"
        }

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
                    rows = connection.execute(sa.text(CALLS_IN_LEDGER))
                    return {key for key, state in rows if state in states}
            except sa.exc.OperationalError:  # killed before there was a table
                pass
            finally:
                engine.dispose()
        return set()

    def ledger(self, *arguments):
        """Run call-ledger on its ledger and files."""
        where = ("--ledger-url", self.settings["ledger_url"], "--rejected-path", str(self.rejected))
        return CliRunner().invoke(cli, [*where, *arguments])

    def verdict(self, last, first=0):
        """Where each call is, by the vendor's journal and the files."""
        aside = self.held | self.set_aside("rejected").keys()
        return judge(self.keys(first, last), self.journal(), aside)

    def nothing_lost_or_doubled(self, last):
        """Each call was processed once, or is held; none was sent twice."""
        verdict = self.verdict(last)
        assert (verdict.lost, verdict.doubled, verdict.repeated) == (set(), set(), set())
        assert not self.set_aside("rejected")


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


class LateBench(InvocaBench):
    """Calls of two days ago, and what was known of them when their source was read."""

    now = datetime.now(UTC).replace(microsecond=0)

    def call(self, number):
        """What the tap knows of a call."""
        start = self.now - timedelta(days=2, seconds=61 * number)
        return super().call(number) | {"start_time": start.isoformat()}

    def read(self, second, *known):
        """Records of the first calls, as they were known at that second of an hour ago."""
        at = (self.now - timedelta(hours=1) + timedelta(seconds=second)).isoformat()
        records = [
            self.record(number, **one) | {"time_extracted": at} for number, one in enumerate(known)
        ]
        return [self.schema(), *records, self.state(len(known))]

    def requests(self):
        """Requests to either API so far."""
        return [*self.journal(), *self.told()]

    def change_ledger(self, statement):
        """Change its tables."""
        with closing(sqlite3.connect(self.ledger_file)) as connection, connection:
            connection.execute(statement)

    def told(self):
        """Requests to the Signal API so far."""
        return self.sandbox.journal("invoca-signals")

    def signals(self):
        """Call -> signal -> whether Invoca takes it for true."""
        return {key: known["signals"] for key, known in self.sandbox.signals().items()}

    def true(self):
        """Call -> its true signals."""
        return {
            key: {name for name, true in known.items() if true}
            for key, known in self.signals().items()
        }


@pytest.fixture
def sandbox():
    """A vendor."""
    with Sandbox(calls=10, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def bench(sandbox, tmp_path, launch):
    """target-impact-calls before its vendor."""
    with Bench(tmp_path, sandbox, launch) as bench:
        yield bench


@pytest.fixture
def invoca_bench(sandbox, tmp_path, launch):
    """target-invoca-calls before its vendor."""
    with InvocaBench(tmp_path, sandbox, launch) as bench:
        yield bench


@pytest.fixture
def late_bench(sandbox, tmp_path, launch):
    """The same, and what is told later."""
    with LateBench(tmp_path, sandbox, launch) as bench:
        yield bench


@pytest.fixture
def invoca_bench_in(sandbox, launch):
    """``invoca_bench_in(folder)``: target-invoca-calls in a folder of its own, beside another."""
    return lambda folder: InvocaBench(folder, sandbox, launch)


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
