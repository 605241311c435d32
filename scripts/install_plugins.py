"""Have Meltano install every plugin of the project in .venv-plugins, from nothing, for the tests.

Each is started once: one that can't start is a failure here, and its bytecode is there afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import checkout

PLACE = checkout.ROOT / ".venv-plugins"


def main() -> None:
    """Install them; exit 1 with Meltano's own words when it fails."""
    shutil.rmtree(PLACE, ignore_errors=True)
    project = checkout.Project(PLACE / "project", "http://127.0.0.1:1")
    project.environment[checkout.PLUGINS_FOLDER] = str(PLACE)
    done = project.meltano("install")
    if done.returncode:
        sys.exit(done.stdout)
    for venv in sorted(PLACE.glob("*/*/venv")):
        name = venv.parent.name
        subprocess.run([venv / "bin" / name, "--help"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
