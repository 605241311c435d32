"""Airflow, PostgreSQL and any number of "machines" on this one, for `make scale-demo` and tests.

A machine is an Edge worker with a project folder, a home and an environment of its own: all that it
shares with others is what machines share, the addresses of the engine, of PostgreSQL and of the
bucket. Only the plugins' environments are installed once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any, Self
from urllib.request import urlopen

import checkout
import psycopg
import requests
from programs import Program, command_of, descendants, wait_for
from servers import Bucket, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROOT = checkout.ROOT
AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"
PLUGINS = ("tap-invox", "tap-iovox", "target-impact-calls", "target-invoca-calls")
# After so long a silence of a machine, the engine runs its tasks elsewhere.
HEARTBEAT_TIMEOUT_SECONDS = 30


class Engine:
    """The engine's own part: API server, scheduler, reader of DAGs, and its database.

    Args:
        folder: For everything but the database.
        url: The sandbox.
        partition: The span of a partition.
        slots: Of each pool, instead of those of pools.json.
        settings: More variables of the machines.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        partition: str = "@weekly",
        slots: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.url = url
        self.settings = dict(settings or {})
        self.postgres = Postgres()
        self.bucket = Bucket(folder / "rejected", folder / "log" / "bucket.log")
        self.machines: dict[str, Program] = {}
        self._programs: list[Program] = []
        self._port = checkout.free_port(8380)
        self._secret = secrets.token_hex(32)
        self._installed = folder / "plugins"
        self._loaders = self._installed / "loaders"
        self._project = checkout.Project(folder / "project", url)
        self._project.environment[checkout.PLUGINS_FOLDER] = str(self._installed)
        self._orchestrate(partition, slots)

    def _orchestrate(self, partition: str, slots: int | None) -> None:
        """A copy of orchestrate/airflow, with schedules of its own."""
        ours = self.folder / "orchestrate"
        shutil.copytree(ROOT / "orchestrate" / "airflow", ours, dirs_exist_ok=True)
        self.meltano("install", *PLUGINS)
        schedules = json.loads(self.meltano("schedule", "list", "--format=json"))
        for plan in schedules["schedules"]["job"]:
            plan["env"]["PAST_PARTITION"] = partition
        (ours / "schedules.json").write_text(json.dumps(schedules), encoding="utf-8")
        if slots is not None:
            pools = json.loads((ours / "pools.json").read_text(encoding="utf-8"))
            pools = {name: pool | {"slots": slots} for name, pool in pools.items()}
            (ours / "pools.json").write_text(json.dumps(pools), encoding="utf-8")

    def meltano(self, *arguments: str, **environment: str) -> str:
        """Run Meltano in this checkout; returns what it prints.

        Raises:
            RuntimeError: It failed.
        """
        done = subprocess.run(
            [checkout.BIN / "meltano", f"--env-file={self._project.folder / 'env'}", *arguments],
            cwd=ROOT,
            env=self._project.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"meltano {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def _environment(self, home: Path, **more: str) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if n in {"PATH", "LANG", "TMPDIR"}}
        address = f"http://127.0.0.1:{self._port}"
        return {
            **kept,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "orchestrate" / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "airflow.providers.edge3.executors.EdgeExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__EDGE__API_ENABLED": "True",
            "AIRFLOW__EDGE__API_URL": f"{address}/edge_worker/v1/rpcapi",
            "AIRFLOW__EDGE__JOB_POLL_INTERVAL": "1",
            "AIRFLOW__EDGE__HEARTBEAT_INTERVAL": "5",
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret,
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "20",
            "MELTANO_PROJECT_ROOT": str(ROOT),
            **more,
        }

    def _central(self) -> dict[str, str]:
        return self._environment(
            self.folder / "engine",
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=self.postgres.url("airflow"),
            AIRFLOW__API__HOST="127.0.0.1",
            AIRFLOW__API__PORT=str(self._port),
            AIRFLOW__API__WORKERS="1",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
            AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS="False",
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=str(HEARTBEAT_TIMEOUT_SECONDS),
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL="5",
            AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL="30",
            AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL="3600",
            AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL="3600",
        )

    def airflow(self, *arguments: str, **environment: str) -> str:
        """Run a command of the engine; returns what it says.

        Raises:
            RuntimeError: It failed.
        """
        done = subprocess.run(
            [AIRFLOW, *arguments],
            cwd=self.folder,
            env=self._central() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} failed:\n{done.stdout[-3000:]}")
        return done.stdout

    def __enter__(self) -> Self:
        self.postgres.create("airflow", "meltano")
        # Meltano makes its tables when it first runs; several that begin at once would collide.
        self.meltano("state", "list", MELTANO_DATABASE_URI=self.postgres.url("meltano"))
        (self.folder / "engine").mkdir(parents=True, exist_ok=True)
        try:
            self.airflow("db", "migrate")
            self.airflow("pools", "import", str(self.folder / "orchestrate" / "pools.json"))
            for name in ("api-server", "dag-processor", "scheduler"):
                self._programs.append(self._start(name, [name], self._central()))
            wait_for("the engine's API", self._healthy)
            wait_for("the DAGs", lambda: self.postgres.rows("airflow", "SELECT 1 FROM dag LIMIT 1"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in list(self.machines):
            self.remove(machine)
        for target in self.targets():  # one that has outlived its task
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGKILL)
        for program in reversed(self._programs):
            program.stop()
        self.bucket.close()
        self.postgres.close()

    def _healthy(self) -> bool:
        with contextlib.suppress(OSError):
            address = f"http://127.0.0.1:{self._port}/api/v2/monitor/health"
            with urlopen(address, timeout=5) as answer:
                told = json.load(answer)
                return bool(told["scheduler"]["status"] == "healthy")
        return False

    def _start(self, name: str, arguments: list[str], env: Mapping[str, str]) -> Program:
        log = self.folder / "log" / f"{name}.log"
        return Program(log, [str(AIRFLOW), *arguments], env, self.folder)

    # Machines

    def project(self, name: str) -> Path:
        """The project folder of a machine, made if need be."""
        root = self.folder / "machines" / name / "project"
        if not root.exists():
            root.mkdir(parents=True)
            shutil.copy(ROOT / "meltano.yml", root)
            for folder in ("pipelines", "plugins"):
                shutil.copytree(ROOT / folder, root / folder)
            (root / ".venv").symlink_to(ROOT / ".venv")
            (root / ".meltano").mkdir()
            for kind in ("extractors", "loaders"):
                (root / ".meltano" / kind).symlink_to(self._installed / kind)
        return root

    def add(self, name: str, **settings: str) -> None:
        """A machine more, ready to work.

        Args:
            name: Its name.
            settings: Variables of its own.
        """
        root = self.project(name)
        home = root.parent
        example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        ours = dict(line.split("=", 1) for line in example if line and line[0] != "#") | {
            "SANDBOX_URL": self.url,
            "LEDGER_URL": self.postgres.url("calls"),
            "OUTPUT_PATH": str(home / "output"),
            "MELTANO_DATABASE_URI": self.postgres.url("meltano"),
            "MELTANO_ENVIRONMENT": "sandbox",
            **self.bucket.settings,
            **self.settings,
            **settings,
        }
        env = self._environment(home, **ours | {"MELTANO_PROJECT_ROOT": str(root)})
        arguments = ["edge", "worker", "--edge-hostname", name, "--concurrency", "1"]
        self.machines[name] = self._start(name, arguments, env)

    def remove(self, name: str) -> None:
        """Take a machine away: at once, as a failure does."""
        self.machines.pop(name).kill()

    def delivering(self, target: str) -> Iterator[str]:
        """The machines on which a target runs."""
        for name, program in self.machines.items():
            if any(f"bin/{target}" in command_of(pid) for pid in descendants(program.pid)):
                yield name

    def targets(self) -> list[int]:
        """The processes of all targets that run here, on machines and without one."""
        return [pid for pid in descendants(1) if command_of(pid).startswith(str(self._loaders))]

    # Work

    def fresh(self) -> None:
        """A new ledger, no bookmark, an empty bucket, and an engine that never ran anything."""
        self.postgres.create("calls")
        # Runs that are only cleared go on counting tries, and wait longer after each.
        for table in ("backfill_dag_run", "edge_job", "dag_run", "backfill"):
            self.postgres.run("airflow", f"DELETE FROM {table}")  # noqa: S608 - names of ours
        self.postgres.run("meltano", "DELETE FROM state")
        self.bucket.clear()
        for log in (*self.folder.glob("*/logs/dag_id=*"), *self.folder.glob("*/*/logs/dag_id=*")):
            shutil.rmtree(log)

    def ask(self, method: str, path: str, **body: object) -> None:
        """Ask the engine for something, as its page does.

        Raises:
            RuntimeError: It refuses; the sentence is the engine's.
        """
        address = f"http://127.0.0.1:{self._port}"
        token = requests.get(f"{address}/auth/token", timeout=60).json()["access_token"]
        answer = requests.request(
            method,
            f"{address}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        if not answer.ok:
            raise RuntimeError(answer.json()["detail"])

    def backfill(self, job: str, start: str, end: str) -> None:
        """Ask for the past of a job, by day inclusive.

        Raises:
            RuntimeError: The engine refuses.
        """
        self.ask(
            *("POST", "backfills"),
            dag_id=f"{job}.past",
            from_date=f"{start}T00:00:00Z",
            to_date=f"{end}T00:00:00Z",
            max_active_runs=16,
        )

    def pause(self, job: str, *, paused: bool = True) -> None:
        """Let the schedule of a job's present rest, or run."""
        self.ask("PATCH", f"dags/{job}", is_paused=paused)

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks of all DAGs: what they became, where, after how many tries."""
        rows = self.postgres.rows(
            "airflow",
            "SELECT t.dag_id, t.task_id, r.run_id, r.logical_date, t.state, t.try_number,"
            " t.hostname, t.pool,"
            " (SELECT x.value FROM xcom x WHERE x.dag_run_id = r.id AND x.key = 'calls'"
            "  AND x.task_id = t.task_id), t.start_date, t.end_date"
            " FROM task_instance t JOIN dag_run r ON r.dag_id = t.dag_id AND r.run_id = t.run_id"
            " ORDER BY 1, 4",
        )
        names: tuple[str, ...] = ("dag", "task", "run", "date", "state", "tries", "host", "pool")
        names += ("calls", "start", "end")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def ended(self, timeout: float = 900.0) -> list[dict[str, Any]]:
        """The tasks, once each run has ended.

        Raises:
            TimeoutError: They have not.
        """

        def found() -> list[dict[str, Any]] | None:
            with contextlib.suppress(psycopg.OperationalError):  # it may be away for a while
                open_runs = self.postgres.rows(
                    "airflow",
                    "SELECT 1 FROM dag_run WHERE state IN ('queued', 'running')"
                    " UNION ALL SELECT 1 FROM backfill WHERE completed_at IS NULL",
                )
                return None if open_runs else self.tasks()
            return None

        return wait_for("the end of all runs", found, timeout)
