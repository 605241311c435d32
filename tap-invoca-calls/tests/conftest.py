"""A sandbox to ask, and the settings that fit it."""

from __future__ import annotations

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.testing import Plugin


@pytest.fixture(scope="module")
def busy():
    """A network with some 500 calls an hour, at noon on a Monday."""
    with Sandbox(calls=480_000, seed=2) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(busy):
    """The same, with nothing left of the test before but its time."""
    busy.reset()
    live = busy.state.vendor("invoca-live")
    busy.switches("invoca-live", **{name: switch.default for name, switch in live.switches.items()})
    return busy


@pytest.fixture
def settings(sandbox):
    """Settings for that network."""
    return {
        "api_url": f"{sandbox.url}/invoca",
        "oauth_token": INVOCA_TOKEN,
        "organization_type": "Network",
        "organization_id": 1,
        "backoff_max_tries": 1,
    }


@pytest.fixture
def tap(settings, launch, tmp_path):
    """The tap as a process, with those settings."""
    with Plugin("tap-invoca-calls", tmp_path, settings, launch) as tap:
        yield tap


@pytest.fixture
def run(tap):
    """``run(settings, *options)``: to its end; its messages, its exit code and what it logged."""

    def run(settings, *options):
        tap.settings = settings
        done = tap.run((), *map(str, options))
        return done.output.messages, done.code, done.errors

    return run
