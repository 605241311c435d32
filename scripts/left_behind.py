"""What a run of the tests left behind, processes and files: `.ci/run` asks this at its end.

A process of the run is known by CALL_PIPELINES_RUN in the environment that it was started with,
which those have too that nobody waits for any more. They are looked for in /proc: on Linux only.
"""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "CALL_PIPELINES_RUN"
GRACE_SECONDS = 10.0  # for what is ending


def processes(run: str) -> dict[int, str]:
    """Process id -> command line, of what was started in this run and has not ended."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ends while it is looked at, or is another user's
            variables = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if f"{VARIABLE}={run}".encode() in variables and int(folder.name) != os.getpid():
                found[int(folder.name)] = command
    return found


# Not ours to remove: locks, what Chromium never clears away, what pytest keeps of a failure.
KEPT = re.compile(
    r"/uv-[^/]*\.lock$|/call-pipelines-\d+\.lock$|/org\.chromium\.|/\.config/chromium/"
    r"|/\.cache/dconf/|/pytest-of-[^/]+/"
)


def files(folder: Path) -> list[Path]:
    """All that is below the folder and is the tests' own: files, sockets, pipes."""
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return sorted(path for path in found if not KEPT.search(str(path)))


def main() -> None:
    """Name what is left of the run whose folder is given; exit 1 if anything is."""
    place = Path(sys.argv[1])
    end = time.monotonic() + GRACE_SECONDS
    while (running := processes(str(place))) and time.monotonic() < end:
        time.sleep(0.2)
    left = [f"process {pid}: {command}" for pid, command in running.items()]
    left += [f"file {path}" for name in ("home", "tmp") for path in files(place / name)]
    for each in left:
        print(f"Left behind: {each}")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
