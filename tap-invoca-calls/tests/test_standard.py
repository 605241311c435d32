"""The SDK's own suite, for a snapshot and for a watch."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from call_sandbox.credentials import INVOCA_TOKEN
from tap_invoca_calls.tap import TapInvocaCalls

# What only a watch fills is null in a snapshot, and nothing ends within a second.
pytestmark = pytest.mark.filterwarnings("ignore:No records were available to test:UserWarning")

# The suite makes its taps from these; the address is known once the sandbox is served.
SNAPSHOT: dict[str, Any] = {
    "api_url": "http://127.0.0.1:1/invoca",
    "oauth_token": INVOCA_TOKEN,
    "organization_type": "Network",
    "organization_id": 1,
}
WATCH = SNAPSHOT | {"watch_seconds": 1, "poll_seconds": 1, "include_demographics": True}


@pytest.fixture(scope="module", autouse=True)
def _address(busy):
    busy.switches("invoca-live", profiles="all")
    for config in (SNAPSHOT, WATCH):
        config["api_url"] = f"{busy.url}/invoca"


suite = SuiteConfig(max_records_limit=None)
TestSnapshot = get_tap_test_class(TapInvocaCalls, config=SNAPSHOT, suite_config=suite)
TestWatch = get_tap_test_class(TapInvocaCalls, config=WATCH, suite_config=suite)
