"""How messages leave a tap."""

from __future__ import annotations

import io
import json
import sys
from select import PIPE_BUF
from types import SimpleNamespace

import pytest
from singer_sdk.singerlib import StateMessage

from singer_calls.extract.writer import CallMessage, CallWriter


class Pipe(io.RawIOBase):
    """Keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.writes.append(bytes(data))
        return len(data)


def test_a_write_that_a_signal_cuts_goes_on(monkeypatch):
    """With PYTHONUNBUFFERED nothing stands between a message and the pipe."""
    pipe = Pipe()
    pipe.write = lambda data: Pipe.write(pipe, data[:1000])
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
    CallWriter().write_message(CallMessage("calls", {"text": "x" * 9000}))
    assert json.loads(b"".join(pipe.writes))["record"] == {"text": "x" * 9000}


def test_no_nul_leaves_a_tap(monkeypatch):
    """PostgreSQL refuses a text that holds one: each load would end at the same call."""
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
    record = {"text": "a\0b", "parts": [{"c\0": "d\\u0000"}], "number": 1, "none": None}
    CallWriter().write_message(CallMessage("calls", record))
    told = json.loads(b"".join(pipe.writes))["record"]
    assert told == record | {"text": "a\ufffdb", "parts": [{"c\ufffd": "d\\u0000"}]}


@pytest.mark.parametrize("size", [1, 100, 1300, PIPE_BUF, 3 * PIPE_BUF])
def test_a_killed_tap_leaves_whole_lines_and_no_call_waits_behind_its_state(monkeypatch, size):
    """Each write holds whole lines, and more than one only if a pipe takes all of it or nothing."""
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(pipe)))
    writer = CallWriter()
    for number in range(50):
        writer.write_message(CallMessage("calls", {"id": number, "text": "x" * size}))
        if number % 20 == 19:
            writer.write_message(StateMessage({"saved": number}))
            last = json.loads(pipe.writes[-1].splitlines()[-1])
            assert last == {"type": "STATE", "value": {"saved": number}}
    sys.stdout.flush()
    assert all(write.endswith(b"\n") for write in pipe.writes)
    assert all(len(write) <= PIPE_BUF or write.count(b"\n") == 1 for write in pipe.writes)
    messages = [json.loads(line) for line in b"".join(pipe.writes).splitlines()]
    told = [m["record"]["id"] for m in messages if m["type"] == "RECORD"]
    assert told == [*range(50)]
    assert [n for n, m in enumerate(messages) if m["type"] == "STATE"] == [20, 41]
