"""The sandbox as a whole: its control paths, its thread, its ports."""

from __future__ import annotations

import socket
import threading

import pytest
import requests

from call_sandbox import Sandbox
from call_sandbox.app import VENDORS
from call_sandbox.state import BadRequestError


@pytest.fixture
def control(sandbox):
    """Ask a control path; a body makes it a POST."""

    def ask(path, body=None):
        method = "GET" if body is None else "POST"
        return requests.request(method, f"{sandbox.url}/_{path}", json=body, timeout=30)

    return ask


def test_all_can_be_done_over_http_as_in_process(sandbox, control, impact):
    """Faults, scripts, switches, clock, books and reset have a path each."""
    assert control("ready").json() == {"ready": True}
    control("faults", {"impact": [{"fault": "503", "times": 1}]})
    assert impact().status_code == 503
    assert control("faults").json()["fired"] == {"impact": {"503": 1}}
    control("script", {"vendor": "impact", "calls": {"a-1": ["500"]}})
    assert [impact().status_code for _ in range(2)] == [500, 200]
    assert control("books?vendor=impact").json() == sandbox.books("impact") == {"a-1": 1}
    switched = control("switches", {"impact": {"accepted": "QUEUED"}}).json()
    assert switched["impact"]["accepted"] == impact().json()["Status"] == "QUEUED"
    assert control("switches").json() == switched
    now = control("clock").json()["now"]
    assert control("clock", {"advance": 60}).json()["now"] == sandbox.now == now + 60
    control("reset", {})
    assert (sandbox.books("impact"), sandbox.journal(), sandbox.fired("impact")) == ({}, [], {})
    assert control("switches").json() == switched


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"nobody": []}), ("faults", {"impact": [{"fault": "nonsense"}]}),
        ("faults", [1]), ("faults", {"impact": [1]}), ("script", {"vendor": "impact"}),
        ("script", {"vendor": "impact", "calls": {"a": ["nonsense"]}}),
        ("switches", {"invox": {"nothing": 1}}), ("switches", {"invox": {"order": "random"}}),
        ("switches", {"invox": {"row_cap": -1}}), ("switches", {"nobody": {}}),
        ("clock", {"advance": -1}), ("clock", {"advance": "soon"}), ("clock", {}),
        ("books?vendor=nobody", None), ("journal?vendor=nobody", None), ("journal?since=x", None),
    ],
)  # fmt: skip
def test_what_the_sandbox_does_not_have_is_refused(control, path, body):
    """A misspelt order changes nothing and says what there is."""
    before = control("switches").json()
    answer = control(path, body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 10
    assert control("switches").json() == before


def test_a_wrong_switch_stops_the_sandbox_before_it_starts():
    """Not in the middle of a test."""
    with pytest.raises(BadRequestError, match="invox has: id_key"):
        Sandbox(switches={"invox": {"nothing": "x"}})


def test_unknown_paths_are_refused_in_the_vendors_own_words(sandbox):
    """Each vendor answers for all below its prefix, and the journal has it."""
    for vendor in VENDORS:
        assert requests.get(f"{sandbox.url}{vendor.prefix}/nothing", timeout=30).status_code == 404
    assert [entry["status"] for entry in sandbox.journal()] == [404] * len(VENDORS)
    assert requests.get(f"{sandbox.url}/nothing", timeout=30).status_code == 404


def test_it_leaves_no_thread_and_no_port_behind():
    """After the block the port can be used again, also with a request under way."""
    before = threading.active_count()
    with Sandbox(calls=10) as other:
        other.faults("invox", "late 60")
        client = socket.create_connection(("127.0.0.1", other.port))
        client.sendall(b"GET /invox/api/v2/calls HTTP/1.1\r\nHost: x\r\n\r\n")
        while not other.journal():
            pass
    assert client.recv(1) == b""
    client.close()
    assert threading.active_count() == before
    with Sandbox(calls=10, port=other.port) as again:
        assert again.port == other.port
        with pytest.raises(OSError, match="in use"), Sandbox(port=other.port):
            pass


def test_the_summary_shows_no_whole_number(sandbox, impact):
    """What the page gets is masked already."""
    impact(CallerId="+447700900123")
    impact(CallerId="0722000111", CallSessionId="b")
    text = requests.get(f"{sandbox.url}/_summary", timeout=30).text
    for digits in ("447700900123", "0722000111", "7700900", "2200011"):
        assert digits not in text
    vendors = {vendor["name"]: vendor for vendor in sandbox.state.summary()["vendors"]}
    assert [call["key"] for call in vendors["impact"]["newest"]] == ["b", "a-1"]
    assert vendors["invox"]["total"] == 300
    for vendor in vendors.values():
        callers = {call["caller"] for call in vendor["newest"]}
        assert all("•••" in caller for caller in callers - {"withheld"})
