"""A sandbox to ask, and the settings that fit it."""

from __future__ import annotations

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOCA_TOKEN


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
