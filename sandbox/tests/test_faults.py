"""Every fault word does what the table says, and is counted."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import pytest
import requests

from call_sandbox import Sandbox
from call_sandbox.faults import WORDS, Fault, Faults, UnknownFaultError

ERROR = {"Status": "ERROR", "Message": "Injected by the sandbox"}
OK = {"Status": "OK"}

# urllib3 drops the error of a reset that meets it while it still sends, and then finds the end.
RESET = "Connection reset by peer|Remote end closed connection without response|IncompleteRead"


class Row(NamedTuple):
    """What a client sees, and whether the call was booked."""

    word: str
    status: int | None
    json: object
    booked: int
    header: tuple[str, str] | None = None


TABLE = [
    Row("ok", 200, OK, 1),
    *[Row(str(status), status, ERROR, 0) for status in (400, 401, 403, 429, 500, 503)],
    *[Row(str(status), status, ERROR, 0) for status in (600, 999)],
    Row("204", 204, None, 0),
    Row(
        "refuse Campaign 1 is closed",
        400,
        {"Status": "ERROR", "Message": "Campaign 1 is closed"},
        0,
    ),
    Row("processed 500", 500, ERROR, 1),
    Row("cut 503", None, None, 0),
    Row("302", 302, ERROR, 0, ("Location", "/impact/calldata/logCallData/redirected")),
    *[
        Row(f"503 retry-after {value}", 503, ERROR, 0, ("Retry-After", value))
        for value in ("1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "1000000000")
    ],
    Row("429 x-ratelimit-reset 5", 429, ERROR, 0, ("X-RateLimit-Reset", "5")),
    Row("reset_before_read", None, None, 0),
    Row("reset_half_body", None, None, 0),
    Row("reset_before_processing", None, None, 0),
    Row("reset_after_body", None, None, 1),
    Row("reset_mid_headers", None, None, 1),
    Row("reset_half_answer", None, None, 1),
    Row("reset_after_answer", 200, OK, 1),
    Row("reset_next", 200, OK, 1),
    Row("close_after", 200, OK, 1),
    Row("stray 503", 200, OK, 1),
    Row("stray 200 20", 200, OK, 1),
    Row("twice", 200, OK, 1),
    Row("late 0.2", 200, OK, 1),
    Row("slow_drip 0.2", 200, OK, 1),
    Row("latency 200", 200, OK, 1),
    Row("latency 200-300", 200, OK, 1),
    Row("200-with-error", 200, ERROR, 0),
    Row("cut_json", 200, None, 1),
    Row("html", 200, None, 0),
    Row("empty", 200, None, 0),
    Row("huge", 200, None, 0),
    Row("binary", 200, None, 0),
]


def json_of(answer):
    """The body as JSON, None when it is none."""
    try:
        return answer.json()
    except ValueError:
        return None


def test_every_word_of_the_table_has_a_row_here():
    """A new word comes with its test; `early` needs a client that stays, and has its own."""
    early = Fault.parse("early 503").word
    assert {Fault.parse(row.word).word for row in TABLE} | {early} == set(WORDS)


@pytest.mark.parametrize("by", ["script", "rule"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.word)
def test_a_fault_is_seen_booked_and_counted_as_the_table_says(sandbox, impact, row, by):
    """From a script and from a rule; afterwards all is normal."""
    if by == "script":
        sandbox.script("impact", {"a-1": [row.word]})
    else:
        sandbox.faults("impact", {"fault": row.word, "times": 1})
    began = monotonic()
    if row.status is None:
        with pytest.raises(requests.RequestException, match=RESET):
            impact()
    else:
        answer = impact()
        assert answer.status_code == row.status
        assert row.header is None or answer.headers[row.header[0]] == row.header[1]
        assert json_of(answer) == row.json
    slow = row.word.partition(" ")[0] in {"late", "slow_drip", "latency"}
    assert monotonic() - began > 0.15 or not slow
    assert sandbox.books("impact") == ({"a-1": 1} if row.booked else {})
    assert sandbox.fired("impact") == {row.word: 1}
    entry = sandbox.journal("impact")[0]
    assert (entry["fault"], entry["processed"]) == (row.word, bool(row.booked))
    assert impact().json() == OK
    assert sandbox.fired("impact") == {row.word: 1}


def test_what_stands_in_the_body_of_broken_answers(sandbox, impact):
    """Half a JSON text, a page, nothing, five megabytes, bytes that are no text."""
    sandbox.script("impact", {"a-1": ["cut_json", "html", "empty", "huge", "binary"]})
    bodies = [impact().content for _ in range(5)]
    assert bodies[0] == b'{"Status'
    assert bodies[1].startswith(b"<!doctype html>")
    assert bodies[2] == b""
    assert len(bodies[3]) == 5_000_000
    with pytest.raises(UnicodeDecodeError):
        bodies[4].decode()


def test_a_script_gives_each_try_its_answer_and_then_normal_ones(sandbox, impact):
    """Only the scripted call is touched."""
    sandbox.script("impact", {"a-1": ["503", "ok", "500"]})
    assert impact(CallSessionId="b").status_code == 200
    assert [impact().status_code for _ in range(5)] == [503, 200, 500, 200, 200]
    assert sandbox.books("impact") == {"b": 1, "a-1": 3}


def test_a_late_call_is_booked_before_its_answer(sandbox, impact):
    """A client that gives up leaves a processed call behind; the journal knows it."""
    sandbox.script("impact", {"a-1": ["late 30"]})
    with pytest.raises(requests.ReadTimeout):
        impact(timeout=0.3)
    assert sandbox.books("impact") == {"a-1": 1}
    (entry,) = sandbox.journal("impact")
    assert (entry["processed"], entry["status"], entry["key"]) == (True, None, "a-1")
    deadline = monotonic() + 10
    while sandbox.journal("impact")[0]["duration"] is None:
        assert monotonic() < deadline, "the request outlives its client"


@pytest.mark.parametrize("word", ["reset_before_read", "reset_half_body"])
def test_an_early_reset_leaves_the_body_unread(sandbox, word):
    """The client is cut off while it still sends."""
    sandbox.faults("impact", word)
    size = 50_000_000
    with socket.create_connection(("127.0.0.1", sandbox.port)) as client:
        client.sendall(
            b"POST /impact/calldata/logCallData HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n" % size
        )
        with pytest.raises(ConnectionError):
            client.sendall(b"x" * size)
    (entry,) = sandbox.journal("impact")
    assert (entry["fault"], entry["key"], entry["bytes_in"]) == (word, None, 0)


def test_no_fault_leaves_a_word_on_stderr(tmp_path):
    """Resets and cancelled answers are no errors of the sandbox: no warning, no traceback."""
    forms = (word.form.partition(" | ")[0] for word in WORDS)
    samples = {"<status>": "500", "<seconds>": "0.01", "<ms>": "1", "<words>": "no"}
    words = [re.sub("<.*>", lambda found: samples[found[0]], form) for form in forms]
    port = tmp_path / "port"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "call_sandbox.cli", "serve",
         "--port", "0", "--port-file", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        url = process.stdout.readline().split()[-1]
        script = {"vendor": "impact", "calls": {"a": [*words, "late 60"]}}
        assert requests.post(f"{url}/_script", json=script, timeout=30).status_code == 200
        for method in ("GET", "POST") * (len(words) // 2 + 1):
            with suppress(requests.RequestException):
                requests.request(
                    method,
                    f"{url}/impact/calldata/logCallData",
                    params={"CallSessionId": "a"},
                    timeout=0.5,
                )
        fired = requests.get(f"{url}/_faults", timeout=30).json()["fired"]["impact"]
        process.terminate()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert fired.keys() >= set(words)


def test_a_kept_connection_is_closed_without_a_word(sandbox, impact):
    """`close_after` does not announce itself: the client learns it at the next request."""
    sandbox.faults("impact", {"fault": "close_after", "times": 1})
    answer = impact()
    assert "close" not in answer.headers.get("Connection", "").lower()
    with socket.create_connection(("127.0.0.1", sandbox.port)) as client:
        sandbox.faults("invox", "close_after")
        client.sendall(b"GET /invox/api/v2/calls HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("word", "answers"),
    [
        ("stray 503", [200, 503, 200]), ("stray 200 20", [200, 200, 200]),
        ("twice 20", [200, 200, 200]), ("early 503", [503, 200, 200]),
    ],
)  # fmt: skip
def test_an_answer_to_nobody_stands_on_the_line_before_the_next(sandbox, line, word, answers):
    """Who trusts a kept connection takes it for the next call's: two sent, three answers."""
    sandbox.faults("impact", {"fault": word, "times": 1})
    line.send()
    found = [line.status(), line.status()]
    line.send()
    assert [*found, line.status()] == answers
    assert sandbox.books("impact") == {"a-1": 2}


def test_an_answer_to_nobody_for_a_client_that_has_gone_is_dropped(sandbox, line, impact, caplog):
    """No error of the sandbox: what it logs stands between the lines of a test."""
    sandbox.faults("impact", {"fault": "stray 503 50", "times": 1}, "late 0.1")
    line.send()
    assert line.status() == 200
    line.answers.close()
    line.socket.close()
    assert impact().status_code == 200  # later than the stray one
    assert caplog.text == ""


def test_an_answer_to_nobody_is_the_vendors_own(sandbox):
    """Below 300 it says that a call was taken, in the words of who was asked."""
    for path, vendor, taken in (
        ("invoca/api/2022-03-01/calls.json", "invoca", '{"cuid": "'),
        (
            "invoca/api/2018-02-01/transactions.json",
            "invoca-signals",
            '{"signals": [], "call": {}}',
        ),
        ("invox/api/v2/calls", "invox", "[]"),
    ):
        sandbox.faults(vendor, "stray 201")
        with socket.create_connection(("127.0.0.1", sandbox.port)) as client:
            head = f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            client.sendall(f"{head}\r\n{head}Connection: close\r\n\r\n".encode())
            received = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        strays = re.findall(r"HTTP/1.1 201 Answer\r\n(?:.+\r\n)*\r\n(.*?)(?=HTTP|$)", received)
        assert strays, received
        assert all(stray.startswith(taken) for stray in strays), received


def test_the_next_request_on_a_doomed_connection_is_reset_unread(sandbox, line, impact):
    """The vendor never sees it; another connection is served."""
    sandbox.faults("impact", {"fault": "reset_next", "times": 1})
    line.send()
    assert line.status() == 200
    line.send()
    with pytest.raises(ConnectionResetError):
        line.status()
    assert sandbox.books("impact") == {"a-1": 1}
    assert [entry["processed"] for entry in sandbox.journal("impact")] == [True, False]
    assert impact().status_code == 200


@pytest.mark.parametrize("status", ["000", "099"])
def test_a_status_below_all_of_http_is_sent_as_it_is(sandbox, line, status):
    """No server library writes one, and then the connection ends."""
    sandbox.faults("impact", status)
    line.send()
    assert (line.status(), line.status()) == (int(status), None)
    assert sandbox.books("impact") == {}


def test_a_vendor_refuses_in_words_of_its_own(sandbox, impact):
    """Fields where there are some, and Invoca's classes."""
    sandbox.script("impact", {"a-1": ["refuse MediaId: not active; CampaignId: no contract"]})
    assert impact().json() == {
        "Status": "ERROR",
        "Message": "Validation Failed",
        "Errors": [
            {"Field": "MediaId", "Message": "not active"},
            {"Field": "CampaignId", "Message": "no contract"},
        ],
    }
    sandbox.faults("invoca", "refuse UnauthorizedAdvertiser: Closed", "409")
    answer = requests.post(f"{sandbox.url}/invoca/api/2022-03-01/calls.json", timeout=30)
    assert (answer.status_code, answer.json()) == (
        403,
        {"errors": {"class": "UnauthorizedAdvertiser", "invalid_data": "Closed"}},
    )
    # Who has no words for it says it in the form of its errors.
    sandbox.faults("iovox", "refuse Not today")
    answer = requests.get(f"{sandbox.url}/iovox/rest/v1/calls/insights", timeout=30)
    assert (answer.status_code, ">Not today</error>" in answer.text) == (400, True)
    sandbox.faults("invoca", "409")
    answer = requests.post(f"{sandbox.url}/invoca/api/2022-03-01/calls.json", timeout=30)
    assert (answer.status_code, answer.content) == (409, b"")


def test_a_tap_sees_a_stream_break(sandbox, invox):
    """Streamed answers can be cut too: by a reset, or as a complete but broken body."""
    sandbox.faults(
        "invox", {"fault": "reset_half_answer", "times": 1}, {"fault": "cut_json", "times": 1}
    )
    with pytest.raises(requests.RequestException, match="Connection reset by peer"):
        invox()
    assert json_of(invox()) is None
    assert len(invox().json()) == 300
    assert sandbox.fired("invox") == {"reset_half_answer": 1, "cut_json": 1}


def test_rules_count_their_requests(sandbox, impact):
    """`after`, `times` and `per_call` mean what they say; the first rule that fires wins."""
    sandbox.faults("impact", {"fault": "503", "after": 2, "times": 1})
    assert [impact().status_code for _ in range(4)] == [200, 200, 503, 200]
    sandbox.faults("impact", {"fault": "429", "per_call": 1}, {"fault": "500", "times": 1})
    assert [impact(CallSessionId=key).status_code for key in "aabb"] == [429, 500, 429, 200]
    sandbox.faults("impact")
    assert impact().status_code == 200


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def told():
    """``told(rule)``: whether each request, at these seconds, meets the rule's fault."""

    def at(moments, **rule):
        clock = Clock()
        faults = Faults(1, clock)
        faults.set_rules("impact", [{"fault": "503", **rule}])
        found = []
        for moment in moments:
            clock.now = 100.0 + moment
            found.append(faults.draw("impact", "a", early=False) is not None)
        return found

    return at


def test_an_outage_lasts_so_many_seconds_from_its_first_request(told):
    """For everyone, and then never again."""
    assert told([0, 1, 1.9, 2, 9], seconds=2) == [True, True, True, False, False]
    assert told([0, 5, 6.9, 7, 9], seconds=2, after=1) == [False, True, True, False, False]


def test_a_rate_lets_so_many_through_and_refuses_the_rest(told):
    """A token bucket: a burst, then one for each part of a second that passed."""
    assert told([0, 0, 0, 0.5, 0.5, 9, 9, 9], per_second=2) == [
        *(False, False, True),
        *(False, True),
        *(False, False, True),
    ]
    assert told([0, 0, 0.5, 2], per_second=1, burst=1) == [False, True, True, False]


def test_chance_is_fixed_by_seed_and_call_not_by_order():
    """Equal seeds hit the same calls, in whatever order they come."""

    def hit(seed, keys):
        with Sandbox(calls=0, seed=seed) as sandbox:
            sandbox.faults("impact", {"fault": "503", "probability": 0.3})
            for key in keys:
                requests.get(
                    f"{sandbox.url}/impact/calldata/logCallData",
                    params={"CallSessionId": key},
                    timeout=30,
                )
            entries = sandbox.journal()
            assert sandbox.fired("impact")["503"] == sum(e["status"] == 503 for e in entries)
            return {entry["key"] for entry in entries if entry["status"] == 503}

    keys = [str(n) for n in range(200)]
    assert 30 < len(hit(1, keys)) < 90
    assert hit(1, keys) == hit(1, keys[::-1])
    assert hit(1, keys) != hit(2, keys)


@pytest.mark.parametrize(
    "rule",
    [
        "nonsense", "", "100", "99", "1000", "cut 200", "refuse", "late",
        "late soon", "503 retry-after", "latency -5",
        {"fault": "500", "probabilty": 1}, {"times": 1}, {"fault": 500},
        {"fault": "500", "times": "2"}, {"fault": "500", "clock": 1},
    ],
)  # fmt: skip
def test_an_unknown_fault_is_refused_at_once(sandbox, rule):
    """A misspelt fault would be a test that proves nothing."""
    with pytest.raises(UnknownFaultError, match=r"unknown"):
        sandbox.faults("impact", rule)
