"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import demo

HOUSE = Path(__file__).parents[2]


def test_the_demo_accounts_for_every_call_and_frees_its_port(installed, tmp_path):
    """Every pipeline delivers in both runs, nothing is lost or doubled, a taken port is left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [
                sys.executable, HOUSE / "scripts" / "demo.py",
                f"--port={port}", f"--folder={tmp_path / 'demo'}",
            ],
            env=os.environ | {demo.PLUGINS_FOLDER: str(installed), "TAP_INVOX_API_KEY": "mine"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Port {port} is taken" in done.stdout
    rows = re.findall(
        r"^([a-z]+-to-[a-z]+) +([12]) +(\d+) +(\d+) +(\d+)", done.stdout, re.MULTILINE
    )
    assert len(rows) >= 6
    assert all(int(accepted) > 0 for *_, accepted in rows)
    assert len(re.findall(r", 0 lost, 0 doubled, 0 that should not be there", done.stdout)) == 2
    used = int(re.findall(r"http://127.0.0.1:(\d+)/", done.stdout)[0])
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", used))
