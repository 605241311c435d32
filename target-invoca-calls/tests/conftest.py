"""The target, its settings and its vendor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.vendors.invoca_ingestion import InvocaIngestion

SETTINGS = {
    "oauth_token": INVOCA_TOKEN,
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "call_prefix": "invox:",
}


@pytest.fixture(scope="session")
def served():
    with Sandbox(calls=10) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served):
    served.reset()
    defaults = {word: switch.default for word, switch in InvocaIngestion.switches.items()}
    served.switches("invoca", **defaults)
    return served


@pytest.fixture
def command():
    return Path(sys.executable).with_name("target-invoca-calls")


@pytest.fixture
def settings(sandbox):
    return SETTINGS | {"api_url": f"{sandbox.url}/invoca"}
