"""For the tests of all packages: a real PostgreSQL server, and a target as its users run it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import NamedTuple

import packages
import pytest
import sqlalchemy as sa

from call_sandbox.testing import (
    ForkServer,
    Plugin,
    record,
    schema,
    state,
)

# Users' output is buffered; the tests of buffers ask for both.
os.environ.pop("PYTHONUNBUFFERED", None)
# Python 3.11 ends in October 2027; the SDK says so half a year before, in each run.
os.environ.setdefault("PYTHONWARNINGS", "ignore:Python 3:FutureWarning")
# Programs hear Ctrl-C and a hangup, also where the tests run in the background of a script.
for _ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        signal.signal(_ignored, signal.SIG_DFL)
# What plugins import only once they need it, and what measures them.
LATE = (
    "singer_calls",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
    "coverage.control",
)
LATE_IN_MELTANO = ("alembic.command", "sqlalchemy.dialects.sqlite", "meltano.core.meltano_file")
MEASURED_SECONDS = 1.0  # of a test, for coverage
_AXE = """
const done = arguments[arguments.length - 1];
axe.run().then(({violations}) =>
  done(violations.filter((one) => ["serious", "critical"].includes(one.impact))), done);
"""


def pytest_addoption(parser):
    """For build servers, where all that the tests use is installed."""
    parser.addoption("--none-skipped", action="store_true", help="a skipped test is a failure")


def pytest_configure(config):
    """The same examples in each `make test`; `make test-long` looks for new ones."""
    if config.pluginmanager.hasplugin("hypothesispytest"):  # the suites of the SDK run without
        from hypothesis import settings  # noqa: PLC0415

        settings.register_profile("new", max_examples=1000)
        settings.register_profile("same", derandomize=True)
        settings.load_profile("same")


def pytest_sessionfinish(session):
    """Count the skipped where they may not be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("none_skipped") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@contextmanager
def _traced():
    """Yields what stops coverage, until the end of the block, for this thread and new ones.

    A thread that lives already, such as a module's sandbox, is measured on: none but itself could
    take its tracer back.
    """
    here, new = sys.gettrace(), threading.gettrace()

    def stop(*_):
        sys.settrace(None)
        threading.settrace(None)

    try:
        yield stop
    finally:
        threading.settrace(new)
        sys.settrace(here)


def _but_for_the_sandbox(trace):
    """A trace for new threads: its own tests measure the sandbox, all others would do it again."""

    def begin(*told):
        if threading.current_thread().name != "call-sandbox":
            return trace(*told)
        return sys.settrace(None)

    return begin


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection():
    """Measure the import of our modules, and not that of the tests, which takes as long again."""
    with _traced() as stop:
        if sys.gettrace():
            for package in packages.packages(examples=True).values():
                root = import_module(package["module"])
                for module in walk_packages(root.__path__, f"{root.__name__}."):
                    if not module.name.endswith(".__main__"):
                        import_module(module.name)
        stop()
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Measure coverage of a test's first second: what goes on longer does the same again.

    A second of this process, not of a clock, so that it is as long on a busy machine.
    """
    with _traced() as stop:
        if "uncovered" in item.fixturenames:
            stop()
        elif threading.gettrace() and not item.nodeid.startswith("sandbox/"):
            threading.settrace(_but_for_the_sandbox(threading.gettrace()))
        before = signal.signal(signal.SIGVTALRM, stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, MEASURED_SECONDS)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


@pytest.fixture(scope="session")
def program():
    """``program("pgbouncer")``: where it is, under the first of these names; else a skipped test.

    For what a wheel can't bring. Nothing is installed on the machine of whoever runs the tests.
    """

    def find(*names):
        found = next(filter(None, map(shutil.which, names)), None)
        return found or pytest.skip(f"{names[0]} is not on the PATH: install it to run this test")

    return find


@pytest.fixture(scope="session")
def _chromium(program):
    from screenshots import chromium  # noqa: PLC0415 - slow to import

    binary = program("chromium", "chromium-browser", "google-chrome")
    with chromium(binary, program("chromedriver")) as browser:
        yield browser


@pytest.fixture
def browser(_chromium):
    """A headless Chromium with an empty console."""
    yield _chromium
    _chromium.get("about:blank")  # a page would go on asking a server that is gone
    _chromium.get_log("browser")


@pytest.fixture(scope="session")
def axe(program):
    """``axe(browser)``: what axe-core finds seriously wrong for people who can't see the page."""
    root = [program("npm"), "root", "--global", "--logs-max=0"]
    npm = subprocess.run(root, capture_output=True, text=True, check=True)
    script = Path(npm.stdout.strip()) / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("axe-core is not installed: npm install --global axe-core")
    source = script.read_text(encoding="utf-8")

    def axe(browser):
        browser.execute_script(source)
        found = browser.execute_async_script(_AXE)
        return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]

    return axe


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A running PostgreSQL server; its URL without a database."""
    from servers import start_postgres  # noqa: PLC0415 - the suites of the SDK need no driver

    server = start_postgres(tmp_path_factory.mktemp("runtime"))
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


class S3(NamedTuple):
    """A place in a bucket of a server of S3 on this machine, which checks signatures.

    ``url`` and ``storage`` are the settings ``recordings_url`` and ``recordings_storage``; ``pid``
    is the server's.
    """

    folder: Path
    storage: dict[str, str]
    url: str
    pid: int

    @property
    def objects(self):
        """Path below the prefix -> content."""
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def _rclone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    (folder / "calls").mkdir()
    command = Path(sys.executable).parent / "rclone"
    key = secrets.token_hex(10), secrets.token_hex(20)
    with subprocess.Popen(
        [command, "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", ",".join(key), folder],
        stderr=subprocess.PIPE,
        text=True,
        env={"RCLONE_CONFIG": str(folder / "none"), "HOME": str(folder)},
    ) as server:
        address = next(
            found[1]
            for line in server.stderr
            if (found := re.search(r"(http://[\d.:]+)/?\]", line))
        )
        threading.Thread(target=server.stderr.read, daemon=True).start()
        yield folder, address, key, server.pid
        server.kill()


@pytest.fixture
def s3(_rclone):
    """An empty place at a running S3 server (rclone)."""
    folder, address, (key, secret), pid = _rclone
    prefix = secrets.token_hex(4)
    storage = {"endpoint": address, "region": "eu-west-1"}
    storage |= {"access_key_id": key, "secret_access_key": secret}
    return S3(folder / "calls" / prefix, storage, f"s3://calls/{prefix}", pid)


@pytest.fixture
def bucket(s3, monkeypatch):
    """The same, opened by the environment, as the cloud's own tools read it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.storage["endpoint"])
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", s3.storage["region"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.storage["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.storage["secret_access_key"])
    return s3


def _unmeasured(environment):
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}


def _uncover(patch):
    for name in {*os.environ} - {*_unmeasured(os.environ)}:
        patch.delenv(name)


@pytest.fixture
def uncovered(monkeypatch):
    """Coverage of the test and of started programs is off: it needs memory, time, and a file.

    Of programs that are killed nothing would be left.
    """
    _uncover(monkeypatch)


@pytest.fixture(scope="session")
def covered_programs():
    """Starts any plugin by forking a process that has imported them all."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            _uncover(patch)
            programs = stack.enter_context(ForkServer(*packages.plugins(), packages=LATE))
        yield programs


@pytest.fixture(scope="session")
def programs(covered_programs):
    """The same without coverage, in half the time."""

    def start(command, *, env, **streams):
        return covered_programs(command, env=_unmeasured(env), **streams)

    return start


@pytest.fixture
def covered():
    """Coverage of forked plugins is on: they reach what no test in this process does."""


@pytest.fixture(scope="session")
def meltano():
    """``meltano("run", ..., cwd=..., env=...)``: its exit code, its output and its log.

    Forked from a process that has imported Meltano, which is half of what a short command costs.
    """
    stack = ExitStack()
    with pytest.MonkeyPatch.context() as patch:
        _uncover(patch)
        server = stack.enter_context(ForkServer("meltano", packages=LATE_IN_MELTANO))
    nothing = stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123, SIM115

    def meltano(*arguments, cwd, env):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
            process = server(
                ["meltano", *map(str, arguments)], cwd=cwd, env=env,
                stdin=nothing.fileno(), stdout=out.fileno(), stderr=log.fileno(),
            )  # fmt: skip
            code = process.wait()
            for file in (out, log):
                file.seek(0)
            return subprocess.CompletedProcess(
                arguments, code, out.read().decode(), log.read().decode()
            )

    with stack:
        yield meltano


@pytest.fixture
def launch(request):
    """How a test starts a plugin."""
    covered = {"covered", "uncovered"} & {*request.fixturenames} == {"covered"}
    return request.getfixturevalue("covered_programs" if covered else "programs")


@dataclass(frozen=True)
class Delivery:
    """What a target's run left behind."""

    code: int
    out: str
    err: str
    errors: list[str]
    states: list[int]
    folder: Path

    def set_aside(self, ending="singer.jsonl"):
        """The records in the files of calls not delivered, each with its mark as ``rejected``."""
        files = sorted(self.folder.glob(f"rejected/*.{ending}"))
        lines = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
        return [
            line["record"] | {"rejected": line["set_aside"]}
            for line in lines
            if line["type"] == "RECORD"
        ]


@pytest.fixture
def start(command, settings, launch, tmp_path):
    """Start a target on these records, each followed by a STATE; its folder stays the same.

    Which target, and its settings, is the package's to say: ``command`` and ``settings``.
    """
    ledger = {"ledger_url": f"sqlite:///{tmp_path}/{Path(command).name}.ledger.db"}
    with Plugin(Path(command).name, tmp_path, ledger | settings, launch) as plugin:

        def start(records, *arguments, types=None, first=1, **changes):
            messages = [schema("calls", types)]
            for n, each in enumerate(records, first):
                messages += [record("calls", each), state({"n": n})]
            return plugin.start(*arguments, **changes).feed_aside(messages)

        yield start


@pytest.fixture
def ended(tmp_path):
    """Wait for a run to end; what it left behind."""

    def ended(run):
        code, out = run.wait(60), run.out.decode()
        states = [value["n"] for _, value in run.states]
        return Delivery(code, out, run.errors, run.sentences, states, tmp_path)

    return ended


@pytest.fixture
def run(start, ended):
    """Run the command on these records to its end."""
    return lambda *arguments, **settings: ended(start(*arguments, **settings))
