"""Meltano in this checkout against the sandbox, a real PostgreSQL, and pipelines without Meltano.

Meltano runs where Meltano is the property. A start of it takes seconds, so the rest runs the
plugins with the configuration that Meltano compiles for them.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import checkout
import pytest
import yaml

from call_sandbox import Sandbox, testing

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv-plugins"
DAY = 86400
STARTING = {"run", "el", "invoke"}
# Stands for a sandbox and a database in what Meltano compiles, until a test has its own.
SOMEWHERE = "http://127.0.0.1:1"
DATABASE = "postgresql://somewhere"


@pytest.fixture(autouse=True)
def _uncovered(uncovered):
    """Meltano and the plugins in environments of their own have nothing to be measured."""


@pytest.fixture
def sandbox(tmp_path):
    """The vendors as they were a day ago; ``advance(DAY)`` brings them to the present."""
    now, recordings = int(time.time()) - DAY, tmp_path / "recordings"
    with Sandbox(calls=120, days=10, now=now, recordings=recordings) as running:
        yield running


@pytest.fixture(scope="session")
def environments(tmp_path_factory):
    """Where Meltano finds all plugins: what `make install` had it install, one link for each.

    Beside them Meltano keeps files of runs, which no other worker's Meltano may share.
    """
    if not (INSTALLED / ".ready").exists():
        pytest.skip("the plugins are not installed in .venv-plugins: make install")
    folder = tmp_path_factory.mktemp("environments")
    for place in INSTALLED.glob("*/*/venv"):
        link = folder / place.relative_to(INSTALLED)
        link.parent.mkdir(parents=True)
        link.symlink_to(place)
    return folder


@pytest.fixture
def project(sandbox, environments, meltano, tmp_path):
    """``project(VARIABLE=value, ...)`` makes a project; ``project.run(...)`` must succeed."""

    class Project(checkout.Project):
        def meltano(self, *arguments, **environment):
            """Run Meltano with the plugins that are there."""
            words = [
                more
                for word in arguments
                for more in ([word, "--no-install"] if word in STARTING else [word])
            ]
            file, env = f"--env-file={self.folder / 'env'}", self.environment | environment
            done = meltano(file, *words, cwd=checkout.ROOT, env=env)
            done.stdout += done.stderr
            return done

        def run(self, *arguments, **environment):
            done = self.meltano(*arguments, **environment)
            assert done.returncode == 0, done.stdout[-4000:]
            return done.stdout

    def make(folder="project", **variables):
        made = Project(tmp_path / folder, sandbox.url, **variables)
        made.environment[checkout.PLUGINS_FOLDER] = str(environments)
        return made

    return make


@pytest.fixture(scope="session")
def compiled(environments, meltano, tmp_path_factory):
    """``compiled("tap-iovox--impact", "catalog")``: what Meltano makes of the project's files."""
    folder = tmp_path_factory.mktemp("compiled")
    project = checkout.Project(folder, SOMEWHERE, TARGET_POSTGRES_SQLALCHEMY_URL=DATABASE)
    project.environment[checkout.PLUGINS_FOLDER] = str(environments)
    made = {}

    def compiled(plugin, what="config", **replaced):
        if (plugin, what) not in made:
            command = (f"--env-file={folder / 'env'}", "invoke", "--no-install")
            words = (*command, f"--dump={what}", plugin)
            done = meltano(*words, cwd=ROOT, env=project.environment)
            assert done.returncode == 0, done.stderr
            made[plugin, what] = done.stdout
        text = made[plugin, what]
        for old, new in {str(folder): replaced["folder"], SOMEWHERE: replaced["url"]}.items():
            text = text.replace(old, new)
        return json.loads(text.replace(DATABASE, replaced.get("database", DATABASE)))

    return compiled


class Pipeline:
    """The plugins of a job, one after the other, with the bookmark of the run before.

    ``settings`` are those of a run, by plugin, in addition to the compiled ones.
    """

    def __init__(self, tap, target, environment, catalog=None):
        self.tap = tap
        self.target = target
        self.environment = environment  # of the target
        self.catalog = () if catalog is None else (f"--catalog={catalog}",)
        self.state = None

    def run(self, *, full_refresh=False, tap=None, target=None):
        """One run; the target's, when both have succeeded."""
        state = () if self.state is None or full_refresh else (f"--state={self.state}",)
        read = self.tap.run((), *self.catalog, *state, **(tap or {}))
        assert read.code == 0, read.errors
        options = {"environment": self.environment} | (target or {})
        run = self.target.run(read.output.messages, **options)
        if run.states:
            self.state = self.tap.file("state.json", run.states[-1][1])
        return run


@pytest.fixture
def pipeline(sandbox, compiled, programs, tmp_path):
    """``pipeline("iovox-to-impact")``: the job's plugins, as Meltano would configure them."""
    with ExitStack() as stack:

        def make(job, *, select=False, **replaced):
            files = (ROOT / "pipelines").glob("*.meltano.yml")
            jobs = {
                job["name"]: job["tasks"]
                for file in files
                for job in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]
            }
            ((tap, target),) = (task.split() for task in jobs[job])
            replaced |= {"folder": str(tmp_path), "url": sandbox.url}
            catalog = compiled(tap, "catalog", **replaced) if select else None
            plugins = []
            for name in (tap, target):
                command, launch = name.partition("--")[0], programs
                if not (ROOT / command).is_dir():
                    program = INSTALLED / "loaders" / command / "venv" / "bin" / command
                    command, launch = str(program), testing.installed
                config = compiled(name, **replaced)
                folder = tmp_path / name
                folder.mkdir()
                plugins.append(stack.enter_context(testing.Plugin(command, folder, config, launch)))
            file = plugins[0].file(f"{tap}.json", catalog) if select else None
            loaders = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))["plugins"][
                "loaders"
            ]
            environment = {
                name: value
                for one in loaders
                if one["name"] == target.partition("--")[0]
                for name, value in one.get("env", {}).items()
            }
            return Pipeline(*plugins, environment, file)

        yield make
