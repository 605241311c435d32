# /// script
# requires-python = ">=3.11"
# dependencies = ["drt-core==1.2.1"]
# ///
"""drt with its REST destination: rows of a SQLite table, one request after the other."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

from calls import calls, settings


def main() -> None:
    """Lay out the project, and run it."""
    config = settings()
    found = list(calls())
    if not found:
        return
    pair = b64encode(f"{config['username']}:{config['password']}".encode()).decode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = sqlite3.connect(folder / "calls.sqlite")
        names = list(found[0])
        database.execute(f"CREATE TABLE calls ({', '.join(names)})")
        places = ", ".join(f":{one}" for one in names)
        database.executemany(f"INSERT INTO calls VALUES ({places})", found)
        database.commit()
        database.close()
        files = {
            ".drt/profiles.yml": {
                "local": {"type": "sqlite", "database": str(folder / "calls.sqlite")}
            },
            "drt_project.yml": {"name": "calls", "version": "0.1", "profile": "local"},
            "syncs/calls.yml": {
                "name": "calls",
                "model": "SELECT * FROM calls",
                "destination": {
                    "type": "rest_api",
                    "url": config["url"],
                    "method": "POST",
                    "headers": {"Authorization": f"Basic {pair}"},
                },
                "sync": {
                    "mode": "full",
                    "batch_size": 1000,
                    "rate_limit": {"requests_per_second": 1_000_000},
                    "on_error": "fail",
                },
            },
        }
        for path, content in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(json.dumps(content))  # JSON is YAML
        subprocess.run(
            [Path(sys.executable).with_name("drt"), "run"],
            cwd=folder, env={**os.environ, "HOME": name}, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
