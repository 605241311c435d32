"""The ledger's databases: a SQLite file, and a PostgreSQL server of the test's own."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """A fresh ledger's URL, once for each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/calls.ledger.db"
    return request.getfixturevalue("database")
