"""What is said while something silent runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "aloud.py"
# Ends with 7 when its input does.
COMMAND = (sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(7)")


def test_it_speaks_until_the_command_ends_and_has_its_exit_code():
    """At the start, and again for as long as it lasts; without any package."""
    code = (
        "import sys, runpy\n"
        "main = runpy.run_path(sys.argv[1])['main']\n"
        "sys.exit(main(*sys.argv[2:], silence=0.01))"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code, SCRIPT, "installing", *COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout.readline() == "installing ...\n"
        for _ in range(2):
            assert process.stdout.readline().endswith(" s  ... installing\n")
        process.stdin.close()
        process.stdout.read()
    assert process.returncode == 7
