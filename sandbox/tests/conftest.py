"""A sandbox per test, and how its two first vendors are asked."""

from __future__ import annotations

import socket
from base64 import b64encode
from urllib.parse import urlencode

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


class Line:
    """A kept connection to impact, used as by a client that trusts it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.answers = self.socket.makefile("rb")

    def send(self):
        """Send the call once more."""
        self.socket.sendall(
            f"GET /impact/calldata/logCallData?{urlencode(CALL)} HTTP/1.1\r\nHost: x\r\n"
            f"Accept: application/json\r\nAuthorization: {IMPACT_HEADER}\r\n\r\n".encode()
        )

    def status(self):
        """The status of the next answer, its body read; None when the connection has ended."""
        head, length = self.answers.readline(), 0
        while line := self.answers.readline().strip():
            name, _, value = line.partition(b": ")
            length = int(value) if name.lower() == b"content-length" else length
        self.answers.read(length)
        return int(head.split()[1]) if head else None


@pytest.fixture
def line(sandbox):
    """One connection for several requests."""
    opened = Line(sandbox.port)
    yield opened
    opened.answers.close()
    opened.socket.close()
