"""Meltano in this checkout against the sandbox, and a real PostgreSQL."""

from __future__ import annotations

import time

import demo
import pytest

from call_sandbox import Sandbox

DAY = 86400


@pytest.fixture(autouse=True)
def _uncovered(uncovered):
    """Meltano and the plugins in environments of their own have nothing to be measured."""


@pytest.fixture
def sandbox():
    """The vendors as they were a day ago; ``advance(DAY)`` brings them to the present."""
    with Sandbox(calls=120, days=10, now=int(time.time()) - DAY) as running:
        yield running


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where Meltano keeps its plugins: a folder for each test file, as files run side by side."""
    return tmp_path_factory.mktemp("meltano")


@pytest.fixture
def project(sandbox, installed, tmp_path):
    """``project(VARIABLE=value, ...)`` makes a project; ``project.run(...)`` must succeed."""

    def make(folder="project", **variables):
        made = demo.Project(tmp_path / folder, sandbox.url, **variables)
        made.environment[demo.PLUGINS_FOLDER] = str(installed)

        def run(*arguments, **environment):
            done = made.meltano(*arguments, **environment)
            assert done.returncode == 0, done.stdout[-4000:]
            return done.stdout

        made.run = run
        return made

    return make
