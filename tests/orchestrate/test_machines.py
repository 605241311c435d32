"""Airflow, PostgreSQL, a bucket and three machines: what becomes of calls when parts of it fail.

Each machine is an Edge worker with a folder and an environment of its own (scripts/machines.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import timedelta
from itertools import pairwise

import machines
import pytest
import reconcile
from checkout import BIN
from click.testing import CliRunner
from programs import wait_for
from scale_demo import DELIVERIES, books, sunday

from call_sandbox import Sandbox
from singer_calls.ledger_cli.main import cli

pytestmark = [pytest.mark.scale, pytest.mark.usefixtures("uncovered")]

END = sunday()
FIRST, LAST = f"{END - timedelta(weeks=3):%Y-%m-%d}", f"{END - timedelta(days=1):%Y-%m-%d}"
DAY = f"{END - timedelta(weeks=1):%Y-%m-%d}"  # of one partition
ONE_AT_ONCE = {
    "TARGET_IMPACT_CALLS__IOVOX_MAX_IN_FLIGHT": "1",
    "TARGET_INVOCA_CALLS__INVOX_MAX_IN_FLIGHT": "1",
}
README = machines.ROOT / "orchestrate" / "airflow" / "README.md"
# The line breaks once, before the vendor's answer: impact.com has the call, and nobody knows.
HOLD_ONE = ({"fault": "reset_after_body", "times": 1}, {"fault": "latency 10"})


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
def idle(running, vendors):
    """The engine with a new ledger, an empty bucket, and vendors that take half a second."""
    vendors.reset()
    for delivery in DELIVERIES:
        vendors.faults(delivery.destination, "latency 500")
    running.fresh()
    return running


@pytest.fixture
def engine(idle):
    """The same with three machines."""
    for name in "abc":
        if name not in idle.machines:
            idle.add(name)
    return idle


def past(engine, *jobs):
    """Ask for three weeks of each of these jobs."""
    for job in jobs:
        engine.backfill(job, FIRST, LAST)


def call_ledger(engine, *arguments):
    """What a person sees and does at the desk, of the ledger and the bucket."""
    ledger = ("--ledger-url", engine.postgres.url("calls"))
    done = CliRunner(env=engine.bucket.settings).invoke(cli, [*ledger, *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def is_honest(task):
    """Whether a task is green exactly when nothing of it is set aside or waits."""
    counts = task["calls"] or {}
    open_ = sum(n for name, n in counts.items() if name in {"rejected", "held", "pending"})
    open_ += sum(n for name, n in counts.items() if name.startswith("still_"))
    return (task["state"] == "success") == (open_ == 0)


def said(engine, task):
    """The sentence with which a task ended, once its machine has handed in its log."""
    return wait_for("a task's log", lambda: _sentences(engine, task), 120)[-1]


def _sentences(engine, task):
    folder = engine.folder / "engine" / "logs" / f"dag_id={task['dag']}" / f"run_id={task['run']}"
    lines = [
        json.loads(line)
        for file in sorted((folder / f"task_id={task['task']}").glob("attempt=*.log"))
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


def test_machines_that_die_while_they_deliver_cost_nothing_but_named_calls(engine, vendors):
    """Their partitions run again elsewhere; PostgreSQL is away meanwhile, too.

    At impact.com, which does not tell calls apart, what was on its way is held and named. Invoca
    does, and lacks nothing.
    """
    past(engine, *(delivery.job for delivery in DELIVERIES))
    dead = []
    for delivery in DELIVERIES:
        target = f"target-{delivery.destination}-calls"
        at = len(vendors.books(delivery.destination))
        wait_for("calls", lambda d=delivery, at=at: len(vendors.books(d.destination)) > at)
        dead.append(wait_for("a delivery", lambda t=target: next(engine.delivering(t), None)))
        engine.remove(dead[-1])
    engine.add("d")
    sent = lambda: sum(len(vendors.books(d.destination)) for d in DELIVERIES)  # noqa: E731
    at = sent()
    wait_for("more calls", lambda: sent() >= at + 5)
    engine.postgres.away(5)
    tasks = engine.ended()
    told = books(vendors.url, engine.folder)
    assert (told.lost, told.doubled) == (set(), set())
    assert told.held["invoca"] == set()
    lacking = told.lacking["impact"]
    assert told.accepted + told.rejected + len(lacking) == told.calls
    again = [task for task in tasks if task["tries"] > 1]
    assert len(again) >= 2
    assert all(task["host"] not in dead for task in again)
    assert all(is_honest(task) for task in tasks)
    waiting = json.loads(call_ledger(engine, "list", "--format", "json", "--state", "held"))
    assert {call["key"] for call in waiting} == told.held["impact"]
    engine.remove("d")


def slots(engine, number):
    """Let so many deliveries use the account at impact.com at once."""
    pool = {"pool": "impact", "slots": number, "include_deferred": False}
    engine.ask("PATCH", "pools/impact", **pool)


def test_a_pool_of_one_never_has_two_deliveries_at_once(engine, vendors):
    """Whatever number of machines is idle."""
    slots(engine, 1)
    try:
        past(engine, "iovox-to-impact")
        tasks = sorted(engine.ended(), key=lambda task: task["start"])
    finally:
        slots(engine, 4)
    assert len(tasks) == 3
    assert {task["pool"] for task in tasks} == {"impact"}
    assert all(one["end"] <= two["start"] for one, two in pairwise(tasks))
    assert set(vendors.books("impact").values()) == {1}


def test_a_task_that_is_stopped_ends_with_no_call_under_way(engine, vendors):
    """Its target takes no more calls, and has the time to wait for the answers it is owed."""
    vendors.faults("impact", "latency 8000")
    engine.backfill("iovox-to-impact", DAY, DAY)
    wait_for("a call", lambda: vendors.books("impact"))
    time.sleep(1)  # the next one is under way, for longer than the engine's patience
    engine.postgres.run("airflow", "UPDATE task_instance SET state = 'failed'")
    wait_for("the end of the target", lambda: not engine.targets(), 60)
    books = vendors.books("impact")
    states = engine.postgres.rows("calls", "SELECT DISTINCT state FROM call_ledger_calls")
    assert len(books) < 10
    assert states == [("accepted",)]
    engine.ended()


def test_the_present_is_red_with_held_calls_and_green_once_all_are_at_the_vendor(engine, vendors):
    """On its schedule, then by hand; the call that was held is in the bucket."""
    delivery = next(one for one in DELIVERIES if one.destination == "impact")
    vendors.faults("impact", *HOLD_ONE)
    engine.pause(delivery.job, paused=False)
    try:
        wait_for("its time", lambda: engine.postgres.rows("airflow", "SELECT 1 FROM dag_run"))
        engine.ended()
        engine.ask("POST", f"dags/{delivery.job}/dagRuns", logical_date=None)
        red, *green = sorted(engine.ended(), key=lambda task: task["start"])
    finally:
        engine.pause(delivery.job)
    assert (red["state"], red["tries"], red["calls"]["held"]) == ("failed", 1, 1)
    assert f"in {engine.bucket.url}/target-impact-calls--iovox-" in said(engine, red)
    assert green
    assert all(task["state"] == "success" for task in green)
    calls = reconcile.at_sources(vendors.url)[delivery.source]
    rejected, _held = reconcile.set_aside(engine.folder)
    wanted = {delivery.key(call) for call in calls if delivery.final(call)}
    assert vendors.books("impact") == dict.fromkeys(wanted - rejected.keys(), 1)


def test_a_red_partition_is_green_once_its_held_call_is_decided(engine, vendors):
    """By the command of the README, which runs again only what is not green."""
    words = README.read_text().partition("\nairflow backfill create ")[2].partition("```")[0]
    backfill = ["backfill", "create", *words.replace("\\\n", " ").split()]
    job = "iovox-to-impact"
    for name, value in {"dag-id": f"{job}.past", "from-date": DAY, "to-date": DAY}.items():
        backfill[backfill.index(f"--{name}") + 1] = value
    vendors.faults("impact", *HOLD_ONE)
    engine.airflow(*backfill)
    [task] = engine.ended()
    assert (task["state"], task["tries"]) == ("failed", 1)
    assert f"1 held, in {engine.bucket.url}/" in said(engine, task)
    [call] = json.loads(call_ledger(engine, "list", "--format", "json", "--state", "held"))
    original = json.loads(call_ledger(engine, "replay", call["key"]).splitlines()[-1])
    assert call["key"] == f"iovox:{original['record']['id']}"
    assert vendors.books("impact")[call["key"]] == 1
    call_ledger(engine, "resolve", call["key"], "--delivered")
    if waiting := [
        one["key"] for one in json.loads(call_ledger(engine, "list", "--format", "json"))
    ]:
        call_ledger(engine, "resolve", *waiting, "--drop")
    engine.airflow(*backfill)
    [again] = engine.ended()
    assert (again["run"], again["state"]) == (task["run"], "success"), said(engine, again)


@pytest.fixture
def wrong(idle):
    """The engine with one machine, where much is wrong, and a pool without slots."""
    for name in list(idle.machines):
        idle.remove(name)
    pools = idle.folder / "orchestrate" / "pools.json"
    before = pools.read_text()
    told = json.loads(before)
    told["invox"]["slots"] = 0
    pools.write_text(json.dumps(told))
    yield idle
    pools.write_text(before)


def without_driver(project):
    """Install a loader anew, without the extra that brings the driver of PostgreSQL."""
    loaders = project / ".meltano" / "loaders"
    installed = loaders.resolve()
    loaders.unlink()
    venv = loaders / "target-impact-calls" / "venv"
    venv.parent.mkdir(parents=True)
    (loaders / "target-invoca-calls").symlink_to(installed / "target-invoca-calls")
    uv = (BIN / "uv", "--quiet")
    subprocess.run([*uv, "venv", venv], check=True)
    names = ("singer-calls[recordings]", "target-impact-calls")
    packages = [f"--editable={machines.ROOT / name}" for name in names]
    subprocess.run([*uv, "pip", "install", "--python", venv, *packages], check=True)


def test_what_a_person_must_correct_is_red_after_one_try_and_says_why(wrong):
    """The sentence is in the log of the task; what can't be asked for is refused at once."""
    sentences = {
        "invox-to-invoca tap-invox--invoca": "INVOX refuses the credentials",
        "invox-brands-to-impact tap-invox--brand-a": "'TAP_INVOX__BRAND_A_API_KEY' referenced but",
        "invox-brands-to-impact tap-invox--brand-b": "needs a database driver",
        "invox-to-postgres tap-invox--postgres": "The pool invox has no slots: give it at least 1",
        "iovox-to-invoca tap-iovox--invoca": "is not known to Meltano",
        "invoca-live-to-postgres tap-invoca-calls--postgres": (
            "tap-invoca-calls--postgres has no start_date and end_date: what it reads has no past."
        ),
    }
    jobs = sorted({told.split()[0] for told in sentences})
    for job in jobs:
        wrong.backfill(job, DAY, DAY)
    with pytest.raises(RuntimeError, match="already a running backfill"):
        wrong.backfill(jobs[0], DAY, DAY)
    with pytest.raises(RuntimeError, match="future"):
        wrong.backfill("invox-to-impact", "2100-01-01", "2100-02-01")
    project = wrong.project("wrong")
    settings = (project / "meltano.yml").read_text()
    assert "TAP_INVOX__BRAND_A_API_KEY:" in settings
    (project / "meltano.yml").write_text(re.sub(".*BRAND_A_API_KEY:.*", "", settings))
    (project / "pipelines" / "iovox-to-invoca.meltano.yml").unlink()
    without_driver(project)
    wrong.add("wrong", TAP_INVOX__INVOCA_API_KEY="wrong")
    tasks = wrong.ended()
    found = {f"{task['dag'].removesuffix('.past')} {task['task']}": task for task in tasks}
    assert {name: (task["state"], task["tries"]) for name, task in found.items()} == dict.fromkeys(
        sentences, ("failed", 1)
    )
    told = {name: said(wrong, task) for name, task in found.items()}
    assert {n: told[n] for n, sentence in sentences.items() if sentence not in told[n]} == {}


def test_a_file_that_is_missing_is_a_sentence_in_the_list_of_import_errors(idle, tmp_path):
    """Not a traceback."""
    dags = tmp_path / "dags"
    dags.mkdir()
    for file in (idle.folder / "orchestrate" / "dags").glob("*.py"):
        (dags / file.name).write_text(file.read_text())
    with pytest.raises(RuntimeError, match=r'"error": "schedules\.json is missing'):
        idle.airflow(
            *("dags", "list-import-errors", "--local", "--output", "json"),
            AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        )
