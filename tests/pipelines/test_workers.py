"""Several workers: state and ledger in PostgreSQL, and a past that is read side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

ROOT = Path(__file__).parents[2]
DAY = 86400
JOB = "invox-to-impact"


@pytest.fixture
def worker(project, database):
    """``worker("a")``: a machine with its own folder, that shares state and ledger with others."""

    def make(name):
        made = project(name, LEDGER_URL=database)
        made.environment["MELTANO_DATABASE_URI"] = database
        return made

    return make


@pytest.mark.long  # several runs of Meltano: `.ci/run` has them after `make test`
def test_a_worker_goes_on_where_another_stopped(worker, sandbox):
    """State and ledger are shared: the second worker sends what is new, and nothing again."""
    worker("a").run("run", JOB)
    first = sandbox.books("impact")
    sandbox.advance(DAY)
    log = worker("b").run("run", JOB)
    assert "No state was found" not in log
    assert "unchanged=0" not in log
    books = sandbox.books("impact")
    assert len(books) > len(first)
    assert set(books.values()) == {1}


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_two_workers_at_once_send_each_call_once(pipeline, sandbox, database):
    """The same calls in two pipelines at the same moment: the ledger lets one of them send."""
    job = pipeline(JOB)
    sandbox.faults("impact", "latency 50")
    calls = job.tap.run().output.messages
    runs = [job.target.start(ledger_url=database).feed_aside(calls) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0], [run.sentences for run in runs]
    books = sandbox.books("impact")
    assert len(books) > 100
    assert set(books.values()) == {1}
    assert all("Summary: " in run.errors for run in runs)


@pytest.mark.long  # several runs of Meltano: `.ci/run` has them after `make test`
def test_a_past_is_read_by_days_side_by_side(worker, sandbox, database):
    """The command of docs/scaling.md: each day is a run with a state of its own, no day is lost."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    script = text.split("<!-- backfill -->\n```bash\n")[1].split("```")[0]
    mine = worker("a")
    mine.run("state", "list")  # two that make its tables at the same moment are in each other's way
    now = datetime.fromtimestamp(sandbox.now, UTC)
    days = [(now - timedelta(days=back)).date().isoformat() for back in range(3, 0, -1)]
    script = script.replace("2026-01-01", days[0]).replace("2026-02-01", days[-1])
    script = script.replace("meltano --environment=prod", f"meltano --env-file={mine.folder}/env")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=mine.environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    sent = Counter(entry["form"]["EventDate"][:10] for entry in sandbox.journal("impact"))
    assert set(sent) == set(days[:-1])
    assert set(sandbox.books("impact").values()) == {1}
    asked = sandbox.journal("invox")
    assert len(asked) == len(days) - 1

    engine = sa.create_engine(database)
    with engine.connect() as connection:
        states = connection.exec_driver_sql("SELECT state_id FROM state").scalars().all()
    engine.dispose()
    assert sorted(states) == [f"backfill-invox-{day}" for day in days[:-1]]
