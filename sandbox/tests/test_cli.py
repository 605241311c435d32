"""The command, as a Makefile and a person use it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from time import monotonic, time

import pytest
import requests

from call_sandbox import Sandbox
from call_sandbox.cli import main, moment


@pytest.fixture
def serve(tmp_path):
    """Start `call-sandbox serve`; returns the process and its address."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "call_sandbox.cli", "serve", "--port", "0",
             "--port-file", str(tmp_path / "port"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process, process.stdout.readline().split()[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(serve, tmp_path, number):
    """Address on stdout, port in the file, journal in its file; a signal ends it with 0."""
    journal = tmp_path / "journal.jsonl"
    process, url = serve("--calls", "20", "--seed", "5", "--journal", str(journal))
    port = (tmp_path / "port").read_text().strip()
    assert url == f"http://127.0.0.1:{port}"
    assert main(["wait", "--port", port]) == 0
    requests.get(f"{url}/invox/api/v2/calls", timeout=30)
    deadline = monotonic() + 10
    while not journal.read_text():
        assert monotonic() < deadline, "no line, though the request is answered"
    assert [json.loads(line)["status"] for line in journal.read_text().splitlines()] == [401]
    process.send_signal(number)
    assert process.wait(10) == 0
    assert process.stderr.read() == ""
    assert main(["wait", "--port", port, "--timeout", "0.1"]) == 1


def test_without_a_file_the_port_is_on_stdout_and_is_free_again_after_the_end(monkeypatch):
    """In this process: the command leaves nothing open behind it."""
    read, write = os.pipe()
    told = []

    def stop():
        told.append(reading.readline())
        if told[0]:  # it serves, and hears signals
            os.kill(os.getpid(), signal.SIGINT)

    with os.fdopen(read) as reading, os.fdopen(write, "w") as writing, monkeypatch.context() as at:
        at.setattr(sys, "stdout", writing)
        stopper = threading.Thread(target=stop)
        stopper.start()
        assert main(["serve", "--port", "0", "--calls", "1"]) == 0
        stopper.join()
    (port,) = re.fullmatch(r"call-sandbox serves on http://127.0.0.1:(\d+)\n", *told).groups()
    with Sandbox(calls=1, port=int(port)) as again:
        assert again.port == int(port)


def test_an_address_of_another_machine_is_told_in_one_sentence(capsys):
    """192.0.2.1 is nobody's (RFC 5737)."""
    assert main(["serve", "--host", "192.0.2.1", "--port", "0"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("call-sandbox: 192.0.2.1:0 cannot be used (")
    assert error.endswith("): choose another with --host and --port.\n")
    assert error.count("\n") == 1


def test_a_taken_port_is_told_in_one_sentence(serve, capsys):
    """No traceback; what to do instead."""
    _, url = serve()
    port = url.rpartition(":")[2]
    assert main(["serve", "--port", port]) == 1
    assert capsys.readouterr().err == (
        f"call-sandbox: 127.0.0.1:{port} is taken: stop what uses it, "
        "or choose another with --port.\n"
    )


@pytest.mark.parametrize("option", ["--journal", "--port-file"])
def test_a_file_that_cannot_be_written_is_told_in_one_sentence(tmp_path, capsys, option):
    """The file is named."""
    path = str(tmp_path / "missing" / "file")
    assert main(["serve", "--port", "0", option, path]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"call-sandbox: {path} cannot be written (")
    assert error.count("\n") == 1


def test_waiting_for_nobody_ends_in_one_sentence(capsys):
    """With the command that starts one."""
    assert main(["wait", "--port", "1", "--timeout", "0.1"]) == 1
    assert "start it with `call-sandbox serve`" in capsys.readouterr().err


def test_now_can_be_told_in_three_ways(capsys):
    """ISO-8601 (bare times are UTC), `now`, and so long ago."""
    noon = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())
    assert moment("2026-01-31T12:00:00Z") == moment("2026-01-31T12:00:00") == noon
    assert moment("2026-01-31T14:00:00+02:00") == noon
    assert abs(moment("now") - time()) < 5
    assert abs(moment("2h-ago") - time() + 7200) < 5
    with pytest.raises(SystemExit):
        main(["serve", "--now", "yesterday"])
    assert "'yesterday' is no time" in capsys.readouterr().err
