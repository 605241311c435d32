"""A sandbox per test, and how its two first vendors are asked."""

from __future__ import annotations

from base64 import b64encode

import pytest
import requests

from call_sandbox import Sandbox, credentials

CALL = {
    "CampaignId": "1000", "MediaId": "10000", "EventDate": "2025-09-10T22:55:32-08:00",
    "ActionTrackerId": "4000", "CallProvider": "INVOX", "CallSessionId": "a-1",
    "CallerId": "+447700900123", "CalledPhoneNumber": "8051234567",
    "CallDuration": "180", "TalkDuration": "120",
}  # fmt: skip
"""A call with nothing but the required parameters."""

IMPACT_AUTH = (credentials.IMPACT_USERNAME, credentials.IMPACT_PASSWORD)
IMPACT_HEADER = "Basic " + b64encode(":".join(IMPACT_AUTH).encode()).decode()


@pytest.fixture
def sandbox():
    with Sandbox(calls=300, seed=7) as running:
        yield running


@pytest.fixture
def invox(sandbox):
    """Ask INVOX for calls; the answer, whatever it is."""

    def ask(key=credentials.INVOX_API_KEY, method="GET", **parameters):
        return requests.request(
            method,
            f"{sandbox.url}/invox/api/v2/calls",
            params=parameters,
            headers={"X-API-Key": key} if key else {},
            timeout=30,
        )

    return ask


@pytest.fixture
def impact(sandbox):
    """Deliver a call to impact; the changes go over the required parameters, None removes one."""

    def deliver(how="form", auth=IMPACT_AUTH, accept="application/json", timeout=30, **changes):
        call = {k: v for k, v in {**CALL, **changes}.items() if v is not None}
        return requests.request(
            "GET" if how == "get" else "POST",
            f"{sandbox.url}/impact/calldata/logCallData",
            **{"data" if how == "form" else "params": call},
            auth=auth,
            headers={"Accept": accept},
            timeout=timeout,
            allow_redirects=False,
        )

    return deliver
