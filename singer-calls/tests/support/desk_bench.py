"""A ledger with its files, and a person at the desk."""

from __future__ import annotations

import contextlib
import json

import sqlalchemy as sa
from click.testing import CliRunner

from singer_calls.deliver.dead_letters import DeadLetter, DeadLetters
from singer_calls.deliver.entries import REJECTED, UNKNOWN, records_of
from singer_calls.deliver.identity import Account
from singer_calls.deliver.ledger import Claim, Lookup, Note, Refuse, RunFacts
from singer_calls.deliver.outcome import Rejected, Unknown
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.ledger_cli.main import cli

TARGET = "target-impact-calls"
FACTS = RunFacts(TARGET, request_timeout=10)
HERE = Account("impact", "https://vendor.example", "7")
THERE = Account("impact", "https://vendor.example", "8")
RECORDS = records_of(TARGET)
SCHEMA = {"type": "SCHEMA", "stream": "calls", "schema": {"properties": {}}, "key_properties": []}
CALLER = "+14155550100"


class Kept:
    """A ledger and its folder of files, and what a person does there."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder
        self.ledger = SqlLedger(url, FACTS)
        self.letters = DeadLetters(str(folder), "20260105T000000Z", TARGET, {})

    def row(self, key, account=HERE):
        return self.ledger.apply([Lookup(account, key)])[0].row

    def note(self, key, state, account=HERE, reason="", **more):
        """One call with its outcome; with its original in a file when it is set aside."""
        self.ledger.apply([Claim(account, key, self.row(key, account), b"\1" * 16)])
        attempt, file = self.row(key, account).attempt, None
        if state in {REJECTED, UNKNOWN}:
            outcome = {REJECTED: Rejected, UNKNOWN: Unknown}[state](reason)
            letter = DeadLetter(source(key), outcome, attempt, account, key)
            self.letters.file(held=state == UNKNOWN).append([letter])
            file = self.letters.file(held=state == UNKNOWN).name
        self.ledger.apply([Note(account, key, attempt, state, reason=reason, file=file, **more)])

    def refuse(self, key, reason="no caller"):
        """A record that our own check refused, with its original in a file."""
        record, outcome = source(key), Rejected(reason)
        self.letters.rejected.append([DeadLetter(record, outcome, 0, HERE, key)])
        file = self.letters.rejected.name
        self.ledger.apply([Refuse(RECORDS, record.name, b"\1" * 16, reason, file=file)])
        return record.name

    def __call__(self, *arguments, code=0, text=None):
        """Run a command; its standard output."""
        options = ("--ledger-url", self.url, "--rejected-path", str(self.folder))
        done = CliRunner().invoke(cli, [*options, *arguments], input=text)
        assert done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)
        self.said = done.stderr
        return done.stdout

    def decisions(self):
        engine = sa.create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"))
        with contextlib.closing(engine.connect()) as connection:
            query = "SELECT key, attempt, decision, reference, note, who FROM call_ledger_decisions"
            found = sorted(tuple(row) for row in connection.exec_driver_sql(query))
        engine.dispose()
        return found


def source(key):
    message = {"type": "RECORD", "stream": "calls", "record": {"id": key, "caller": CALLER}}
    return SourceRecord(SCHEMA, message, json.dumps(message).encode())
