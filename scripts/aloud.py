"""Run a command that is silent for long: aloud.py "what it does" command argument ...

Says what is done, and so every few seconds until the command ends; exits with its code. Needs
nothing but Python itself: it runs before anything is installed.
"""

from __future__ import annotations

import subprocess
import sys
import time

SILENCE_SECONDS = 2.5


def main(text: str, *command: str, silence: float = SILENCE_SECONDS) -> int:
    """Run the command; returns its exit code."""
    began = time.monotonic()
    print(f"{text} ...", flush=True)
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait(silence)
            except subprocess.TimeoutExpired:
                print(f"{time.monotonic() - began:4.0f} s  ... {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
