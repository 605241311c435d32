"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import checkout
import pytest
from progress import Progress

ROOT = Path(__file__).parents[2]


@pytest.mark.long  # a minute of a processor; `.ci/run` runs it after `make test`
def test_the_demo_accounts_for_every_call_says_so_and_frees_its_port(tmp_path):
    """Every pipeline delivers in both runs, nothing is lost or doubled, a taken port is left.

    Somebody who watches is told what happens, in 80 columns.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with subprocess.Popen(
            [
                sys.executable, ROOT / "scripts" / "demo.py",
                f"--port={port}", f"--folder={tmp_path / 'demo'}",
            ],
            # From nothing, and without a network: `make install` has fetched all of it. What an
            # environment of a few starts never imports is not worth compiling.
            env=os.environ
            | {checkout.PLUGINS_FOLDER: str(tmp_path / "meltano"), "TAP_INVOX_API_KEY": "mine"}
            | {"UV_OFFLINE": "1", "UV_COMPILE_BYTECODE": "0"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            shown = process.stdout.read()
    assert process.returncode == 0, shown
    assert f"Port {port} is taken" in shown
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    rows = re.findall(r"^([a-z]+-to-[a-z]+) +([12]) +(\d+) +(\d+) +(\d+)", shown, re.MULTILINE)
    assert len(rows) >= 6
    assert all(int(accepted) > 0 for *_, accepted in rows)
    assert len(re.findall(r", 0 lost, 0 doubled, 0 that should not be there", shown)) == 2
    assert "a day passes" in shown
    for words in ("retried after it", "held, not sent again", "rejected, and kept", "had it"):
        assert words in shown
    used = int(re.findall(r"http://127.0.0.1:(\d+)/", shown)[0])
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", used))


def test_something_is_said_while_nothing_happens(capsys):
    """Again and again, with the time that is left; a step that is over makes it less."""
    twice = threading.Semaphore(0)

    def working():
        twice.release()
        return "... still at it"

    with Progress({"a": 30.0, "b": 30.0}, working, silence=0.01) as progress:
        assert twice.acquire(timeout=30)
        assert twice.acquire(timeout=30)
        progress.done("a", "a is over")
        progress.done("b", "b is over")
    shown = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +0 s  \.\.\. still at it +about 60 s left", shown[0])
    (first,) = (line for line in shown if "a is over" in line)
    (last,) = (line for line in shown if "b is over" in line)
    assert "left" in first
    assert "left" not in last
