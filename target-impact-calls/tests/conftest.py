"""The target, its settings and its vendor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import IMPACT_PASSWORD, IMPACT_USERNAME

SETTINGS = {
    "username": IMPACT_USERNAME,
    "password": IMPACT_PASSWORD,
    "campaign_id": 1000,
    "media_id": 10000,
    "action_tracker_id": 4000,
    "vendor_name": "INVOX",
}


@pytest.fixture(scope="session")
def served():
    with Sandbox(calls=10) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served):
    served.reset()
    served.switches("impact", called_number="US")
    return served


@pytest.fixture
def command():
    return Path(sys.executable).with_name("target-impact-calls")


@pytest.fixture
def settings(sandbox):
    return SETTINGS | {"api_url": f"{sandbox.url}/impact"}
