"""The SDK's own suite, and what it does not check."""

from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from call_sandbox.credentials import INVOX_API_KEY
from tap_invox.tap import TapInvox

# The suite makes its taps from this dict; the address is known once the sandbox is served.
CONFIG: dict[str, Any] = {"api_key": INVOX_API_KEY, "api_url": "http://127.0.0.1:1/invox"}


@pytest.fixture(scope="module", autouse=True)
def _address(_served):
    CONFIG["api_url"] = f"{_served.url}/invox"


TestTapInvox = get_tap_test_class(
    TapInvox, config=CONFIG, suite_config=SuiteConfig(max_records_limit=None)
)
