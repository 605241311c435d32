"""Faults 3 and 4: no connection, a broken one, no answer, a late one."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

CALLS = 20
FAULTY = 7


@contextmanager
def refusing():
    """A port at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}/impact"


@contextmanager
def never_connecting():
    """A port whose queue of connections is full: the system drops what knocks."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    knocks = []
    for _ in range(4):
        knock = socket.socket()
        knock.setblocking(False)  # noqa: FBT003
        knock.connect_ex(server.getsockname())
        knocks.append(knock)
    yield f"http://127.0.0.1:{server.getsockname()[1]}/impact"
    for one in [*knocks, server]:
        one.close()


@contextmanager
def nowhere():
    """A host without an address (RFC 6761)."""
    yield "https://vendor.invalid/impact"


@pytest.mark.parametrize("place", [refusing, never_connecting, nowhere])
def test_without_a_connection_the_run_fails_and_no_call_is_rejected_or_held(bench, place):
    """Nothing left, so nothing is unknown: the next run delivers everything."""
    with place() as url:
        settings = {"backoff_max_tries": 2, "request_timeout": 2, "username": "u", "password": "p"}
        run = bench.run(bench.calls(CALLS), api_url=url, **settings)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "run again" in sentence
    assert not bench.journal()
    assert bench.bookmark == 0
    assert not bench.rejected.exists()
    assert not bench.in_ledger("unknown", "rejected", "accepted", "sending")

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)


BROKEN = pytest.mark.parametrize(
    ("word", "processed"),
    [
        ("reset_before_read", False),
        ("reset_half_body", False),
        ("reset_before_processing", False),
        ("reset_after_body", True),
        ("reset_mid_headers", True),
        ("reset_half_answer", True),
        ("cut_json", True),
        ("late 3", True),
        ("slow_drip 60", True),
        ("html", False),
        ("empty", False),
        ("huge", False),
        ("binary", False),
    ],
)


@BROKEN
def test_a_call_without_a_clear_answer_is_sent_once_and_held(bench, word, processed):
    """In ledger and file, whether the vendor has processed it or not; the rest is delivered."""
    bench.faults({"fault": word, "times": 1, "after": FAULTY})
    run = bench.run(bench.calls(CALLS), request_timeout=1)
    assert bench.fired(word) == 1
    assert run.code == 0
    assert bench.bookmark == CALLS
    (key,) = bench.held
    assert bench.in_ledger("unknown") == {key}
    assert (key in bench.books) is processed
    assert len(bench.journal()) == CALLS
    assert bench.set_aside("held")[key]["attempt"] == 1
    bench.nothing_lost_or_doubled(CALLS)


def test_replaying_the_held_file_is_the_decision_to_send_again(bench):
    """Once: a second replay finds the call delivered."""
    bench.script([bench.key(FAULTY)], "late 3")
    assert bench.run(bench.calls(CALLS), request_timeout=1).code == 0
    assert bench.fired("late 3") == 1
    assert bench.held == {bench.key(FAULTY)}
    (held,) = bench.files("held")
    for _ in range(2):
        assert bench.run([], "--input", str(held)).code == 0
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1) | {bench.key(FAULTY): 2}
    assert bench.in_ledger("accepted") == bench.keys(CALLS)


def test_a_held_call_that_is_read_again_stays_held(bench):
    """Neither sent nor filed a second time, nor in the way of STATE."""
    bench.script([bench.key(FAULTY)], "reset_after_body")
    for _ in range(3):
        run = bench.run(bench.calls(CALLS), max_in_flight=1)
        assert run.code == 0
        assert bench.bookmark == CALLS
    assert "still_held=1" in run.errors
    assert len(bench.files("held")) == 1
    bench.nothing_lost_or_doubled(CALLS)


def test_with_retry_a_late_answer_is_a_second_send(bench):
    """What the policy says, for vendors that dedupe on our key."""
    bench.script([bench.key(FAULTY)], "late 3")
    run = bench.run(bench.calls(CALLS), on_unknown_outcome="retry", request_timeout=1)
    assert run.code == 0
    assert bench.sent == dict.fromkeys(bench.keys(CALLS), 1) | {bench.key(FAULTY): 2}
    assert not bench.held
    assert bench.in_ledger("accepted") == bench.keys(CALLS)


def test_a_kept_connection_that_the_vendor_closed_is_no_fault_of_a_call(bench, until):
    """Closed while idle, it is noticed before it is used."""
    bench.faults("close_after")
    run = bench.start(max_in_flight=1).feed([bench.schema()])
    for number in range(5):
        run.feed([bench.record(number)])
        until(lambda: len(bench.in_ledger("accepted")) == number + 1, "it is delivered")  # noqa: B023
    assert run.end_input().wait() == 0
    assert bench.fired("close_after") == 5
    assert bench.books == dict.fromkeys(bench.keys(5), 1)
    assert not bench.held


@contextmanager
def endless(answer):
    """A vendor that never comes to the end of its answer."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    requests = []

    def serve():
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                requests.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                try:
                    while not stop.is_set():
                        connection.sendall(answer)
                        time.sleep(0.02)
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
    stop.set()
    thread.join()
    server.close()


@pytest.mark.parametrize("answer", [b"X-More: more\r\n", b"X-Long: " + b"x" * 3000, b"\r\n   "])
def test_an_answer_without_an_end_is_cut_at_the_timeout(bench, answer):
    """The call is held, the run goes on."""
    with endless(answer) as (url, requests):
        run = bench.run(bench.calls(1), api_url=url, request_timeout=1)
    assert len([request for request in requests if request]) == 1  # one more is opened ahead
    assert run.code == 0
    assert bench.held == bench.keys(1)


def test_a_redirect_is_not_followed(bench):
    """The call would go to an address that nobody has configured."""
    bench.script([bench.key(FAULTY)], "307")
    run = bench.run(bench.calls(CALLS))
    assert run.code == 1
    assert "redirects" in " ".join(run.sentences)
    assert {entry["path"] for entry in bench.journal()} == {"/impact/calldata/logCallData"}
    assert bench.key(FAULTY) not in bench.books

    bench.resume(CALLS)

    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
