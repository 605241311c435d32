"""The ledger's databases: a SQLite file, and a PostgreSQL server of the test's own."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa


@pytest.fixture(scope="session")
def shared_database(postgres):
    """A database for many tests, each in a schema of its own: a database costs 0.3 s."""
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE ledgers")
    return postgres.set(database="ledgers")


@pytest.fixture
def schema(shared_database):
    """The URL of a new schema."""
    name = f"calls_{uuid.uuid4().hex}"
    engine = sa.create_engine(shared_database, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    url = shared_database.update_query_dict({"options": f"-csearch_path={name}"})
    return url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """A fresh ledger's URL, once for each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/calls.ledger.db"
    return request.getfixturevalue("schema")
