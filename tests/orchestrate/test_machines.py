"""Airflow, PostgreSQL and three machines: what becomes of calls when parts of it fail.

Each machine is an Edge worker with a folder and an environment of its own (scripts/machines.py).
"""

from __future__ import annotations

import json
import shutil
import time
from datetime import timedelta
from itertools import pairwise

import machines
import pytest
from scale_demo import DELIVERIES, books, sunday

from call_sandbox import Sandbox

pytestmark = [pytest.mark.scale, pytest.mark.usefixtures("uncovered")]

END = sunday()
FIRST, LAST = f"{END - timedelta(weeks=3):%Y-%m-%d}", f"{END - timedelta(days=1):%Y-%m-%d}"
ONE_AT_ONCE = {
    "TARGET_IMPACT_CALLS__IOVOX_MAX_IN_FLIGHT": "1",
    "TARGET_INVOCA_CALLS__INVOX_MAX_IN_FLIGHT": "1",
}


@pytest.fixture(scope="module")
def vendors():
    """Three weeks of calls."""
    with Sandbox(calls=90, days=21, now=int(END.timestamp())) as running:
        yield running


@pytest.fixture(scope="module")
def running(vendors, tmp_path_factory):
    """The engine, without a machine; it takes a minute to start, so all tests share it."""
    if not machines.AIRFLOW.exists():
        pytest.fail("Airflow is not installed: run `make test-scale`.")
    folder = tmp_path_factory.mktemp("scale")
    with machines.Engine(folder, vendors.url, settings=ONE_AT_ONCE) as engine:
        yield engine


@pytest.fixture
def engine(running, vendors):
    """The engine with three machines, a new ledger, and vendors that take half a second."""
    vendors.reset()
    for delivery in DELIVERIES:
        vendors.faults(delivery.destination, "latency 500")
    running.fresh()
    for name in "abc":
        if name not in running.machines:
            running.add(name)
    yield running
    shutil.rmtree(running.folder / "rejected", ignore_errors=True)


def past(engine, *jobs):
    """Ask for three weeks of each of these jobs."""
    for job in jobs:
        engine.backfill(job, FIRST, LAST)


def of(tasks, job):
    """The tasks of a job's past."""
    return [task for task in tasks if task["dag"] == f"{job}.past"]


def is_honest(task):
    """Whether a task is green exactly when nothing of it is set aside or waits."""
    counts = task["calls"] or {}
    open_ = sum(n for name, n in counts.items() if name in {"rejected", "held", "pending"})
    open_ += sum(n for name, n in counts.items() if name.startswith("still_"))
    return (task["state"] == "success") == (open_ == 0)


def said(engine, task):
    """The sentence with which a task ended, once its machine has handed in its log."""
    return machines.wait_for("a task's log", lambda: _sentences(engine, task), 60)[-1]


def _sentences(engine, task):
    folder = engine.folder / "engine" / "logs" / f"dag_id={task['dag']}"
    lines = [
        json.loads(line)
        for file in sorted((folder / f"run_id={task['run']}").rglob("attempt=*.log"))
        for line in file.read_text().splitlines()
        if line.startswith("{")
    ]
    return [line["error_detail"][0]["exc_value"] for line in lines if "error_detail" in line]


def test_a_past_is_shared_by_machines_and_each_call_is_sent_once(engine, vendors):
    """Two sources, six partitions: at least two machines take part, and nothing is lost."""
    past(engine, *(delivery.job for delivery in DELIVERIES))
    tasks = engine.ended()
    told = books(vendors.url, engine.folder)
    assert told.calls > 50
    assert (told.lost, told.doubled) == (set(), set())
    assert told.accepted + told.rejected == told.calls
    assert len(tasks) == 6
    assert len({task["host"] for task in tasks}) >= 2
    assert all(is_honest(task) for task in tasks)
    runs = engine.postgres.rows("airflow", "SELECT DISTINCT run_type FROM dag_run")
    assert runs == [("backfill",)]  # no past is read that nobody asked for


def test_a_machine_that_dies_while_it_delivers_costs_nothing_but_named_calls(engine, vendors):
    """Its partition runs again elsewhere; PostgreSQL is away meanwhile, too.

    At impact.com, which does not tell calls apart, what was on its way is held and named. Invoca
    does, and lacks nothing.
    """
    past(engine, *(delivery.job for delivery in DELIVERIES))
    sent = lambda: sum(len(vendors.books(d.destination)) for d in DELIVERIES)  # noqa: E731
    machines.wait_for("some calls", lambda: sent() >= 10)
    dead = machines.wait_for(
        "a delivery", lambda: next(engine.delivering("target-impact-calls"), None)
    )
    engine.remove(dead)
    at = sent()
    machines.wait_for("more calls", lambda: sent() >= at + 5)
    engine.postgres.away(5)
    tasks = engine.ended()
    told = books(vendors.url, engine.folder)
    assert (told.lost, told.doubled) == (set(), set())
    assert told.held["invoca"] == set()
    lacking = told.lacking["impact"]
    assert told.accepted + told.rejected + len(lacking) == told.calls
    again = [task for task in tasks if task["tries"] > 1]
    assert again
    assert all(task["host"] != dead for task in again)
    assert all(is_honest(task) for task in tasks)


def test_a_pool_of_one_never_has_two_deliveries_at_once(engine, vendors):
    """Whatever number of machines is idle."""
    engine.airflow("pools", "set", "impact", "1", "one at once")
    try:
        past(engine, "iovox-to-impact")
        tasks = sorted(of(engine.ended(), "iovox-to-impact"), key=lambda task: task["start"])
    finally:
        engine.airflow("pools", "set", "impact", "4", "as before")
    assert len(tasks) == 3
    assert {task["pool"] for task in tasks} == {"impact"}
    assert all(one["end"] <= two["start"] for one, two in pairwise(tasks))
    assert set(vendors.books("impact").values()) == {1}


def test_a_task_that_is_stopped_ends_with_no_call_under_way(engine, vendors):
    """Its target takes no more calls, and has the time to wait for the answers it is owed."""
    vendors.faults("impact", "latency 8000")
    day = f"{END - timedelta(weeks=1):%Y-%m-%d}"
    engine.backfill("iovox-to-impact", day, day)
    machines.wait_for("a call", lambda: vendors.books("impact"))
    time.sleep(1)  # the next one is under way, for longer than the engine's patience
    engine.postgres.run("airflow", "UPDATE task_instance SET state = 'failed'")
    machines.wait_for("the end of the target", lambda: not engine.targets(), 60)
    books = vendors.books("impact")
    states = engine.postgres.rows("calls", "SELECT DISTINCT state FROM call_ledger_calls")
    assert len(books) < 10
    assert states == [("accepted",)]
    engine.ended()


def test_what_a_person_must_see_is_red_after_one_try_and_says_why(engine, vendors):
    """Held calls, wrong credentials, a pipeline without dates; and what the engine refuses."""
    engine.remove("b")
    engine.remove("c")
    engine.remove("a")
    engine.add("a", TAP_INVOX__INVOCA_API_KEY="wrong")
    vendors.faults("impact", {"fault": "reset_after_body", "times": 1}, {"fault": "latency 10"})
    jobs = ("iovox-to-impact", "invox-to-invoca", "invoca-live-to-postgres")
    day = f"{END - timedelta(weeks=1):%Y-%m-%d}"
    for job in jobs:
        engine.backfill(job, day, day)
    told = engine.backfill(jobs[0], day, day, check=False)
    assert "Another backfill is running" in told
    tasks = [task for task in engine.ended() if f"{task['date']:%Y-%m-%d}" == day]
    found = {task["dag"].removesuffix(".past"): task for task in tasks}
    assert {job: (found[job]["state"], found[job]["tries"]) for job in jobs} == dict.fromkeys(
        jobs, ("failed", 1)
    )
    assert "1 held" in said(engine, found[jobs[0]])
    assert "credentials" in said(engine, found[jobs[1]])
    assert said(engine, found[jobs[2]]) == (
        "tap-invoca-calls--postgres has no start_date and end_date: what it reads has no past."
    )
    future = engine.backfill(jobs[0], "2100-01-01", "2100-02-01", check=False)
    assert "future" in future
