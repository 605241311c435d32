"""The journal: what it holds, and what it never holds."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from time import monotonic, time

import requests

from call_sandbox import Sandbox, credentials
from call_sandbox.journal import Journal, readable

FIELDS = [
    "n", "at", "at_monotonic", "vendor", "method", "path", "query", "form", "json", "key",
    "status", "processed", "fault", "bytes_in", "bytes_out", "duration",
]  # fmt: skip


def test_an_entry_tells_all_about_a_request(sandbox, impact, invox):
    """Every field, with its meaning."""
    began, began_monotonic = time(), monotonic()
    impact()
    answer = invox(last_call_id="1284298")
    first, second = sandbox.journal()
    assert list(first) == list(second) == FIELDS
    assert (first["n"], second["n"]) == (1, 2)
    assert began <= first["at"] <= second["at"] <= time()
    assert began_monotonic <= first["at_monotonic"] <= second["at_monotonic"] <= monotonic()
    assert (first["vendor"], first["method"]) == ("impact", "POST")
    assert first["path"] == "/impact/calldata/logCallData"
    assert (first["form"]["CallSessionId"], first["key"], first["query"]) == ("a-1", "a-1", {})
    assert (first["status"], first["processed"], first["fault"]) == (200, True, None)
    assert 100 < first["bytes_in"] < 400
    assert (second["query"], second["form"]) == ({"last_call_id": "1284298"}, None)
    assert (second["bytes_out"], second["processed"]) == (len(answer.content), False)
    assert 0 < second["duration"] < 10


def test_no_credential_is_in_it(sandbox, impact, invox):
    """Headers stay out; nor can they be asked for."""
    impact()
    invox()
    text = requests.get(f"{sandbox.url}/_journal", timeout=30).text
    basic = b64encode(f"{credentials.IMPACT_USERNAME}:{credentials.IMPACT_PASSWORD}".encode())
    for secret in (
        credentials.INVOX_API_KEY, credentials.IMPACT_PASSWORD, credentials.IMPACT_USERNAME,
        basic.decode(),
    ):  # fmt: skip
        assert secret not in text


def test_secret_fields_are_hidden_and_repeated_ones_listed():
    """A vendor that takes its token as a parameter names it."""
    pairs = [("oauth_token", "x"), ("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")]
    shown = readable(pairs, frozenset({"oauth_token"}))
    assert shown == {"oauth_token": "***", "a": ["1", "3", "4"], "b": "2"}


def test_it_can_be_read_in_parts(sandbox, impact, invox):
    """By vendor, and from an entry on."""
    impact()
    invox()
    impact(CallSessionId="b")
    assert [entry["n"] for entry in sandbox.journal("impact")] == [1, 3]
    assert [entry["n"] for entry in sandbox.journal(since=1)] == [2, 3]
    answer = requests.get(f"{sandbox.url}/_journal?vendor=impact&since=1", timeout=30)
    assert answer.json() == sandbox.journal("impact", since=1)


def test_a_request_under_way_is_in_it(sandbox, impact):
    """What is not answered yet is there already, and only once afterwards."""
    journal = Journal()
    first, second = (journal.open("impact", "POST", "/") for _ in range(2))
    journal.close(second)
    assert [json.loads(line)["n"] for line in journal.lines()] == [1, 2]
    journal.close(first)
    journal.close(first)
    assert [json.loads(line)["n"] for line in journal.lines()] == [1, 2]
    sandbox.reset()
    impact()
    assert len(sandbox.journal()) == 1


def test_each_finished_request_is_a_line_of_the_file():
    """The file says what the memory says, at once."""
    file = io.StringIO()
    with Sandbox(calls=3, journal=file) as sandbox:
        for _ in range(3):
            requests.get(f"{sandbox.url}/invox/api/v2/calls", timeout=30)
        entries = sandbox.journal()
    assert [json.loads(line) for line in file.getvalue().splitlines()] == entries
    assert len(entries) == 3


def test_a_hundred_thousand_entries_stay_cheap():
    """Under a kilobyte of memory per entry, and under fifty microseconds."""
    journal = Journal()
    form = {f"Parameter{n}": "0123456789" for n in range(15)}
    began = monotonic()
    for _ in range(100_000):
        entry = journal.open("impact", "POST", "/impact/calldata/logCallData")
        entry |= {"form": form, "status": 200, "key": "a-1"}
        journal.close(entry)
    assert monotonic() - began < 15
    assert sum(map(len, journal.lines())) < 100_000_000
