"""Somebody who receives calls, and the target as its users run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from call_sandbox import Response, Sandbox, Switch, Vendor
from call_sandbox.testing import ForkServer, Planted, Plugin

SECRET = "webhook-secret-4711"
README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
SHOWN: dict = {}
exec(README.split("```python\n")[1].split("```")[0], SHOWN)  # noqa: S102 - our own
is_genuine = SHOWN["is_genuine"]


class Receiver(Vendor):
    """Checks the signature and books each call; with ``dedupes``, once for an idempotency key."""

    name, title, prefix, serves = "webhook", "Webhook", "/hook", False
    switches: ClassVar = {
        "dedupes": Switch("who repeats a key", "no", ("no", "200", "409")),
    }

    def reset(self):
        super().reset()
        self.keys = set()

    def paths(self):
        return {"/calls": self.take, "/others": self.take}

    def refuse(self, request, status, message):
        del request
        return Response(status, json.dumps({"error": message}).encode())

    def key(self, request):
        return request.json.get("call_id") if isinstance(request.json, dict) else None

    def take(self, request):
        headers = request.headers
        if "X-Signature" not in headers or not is_genuine(headers, request.body, SECRET):
            return self.refuse(request, 401, "wrong signature")
        if not request.json.get("caller"):
            return self.refuse(request, 422, "a caller is needed")
        if self.switch["dedupes"] != "no" and headers["Idempotency-Key"] in self.keys:
            return Response(int(self.switch["dedupes"]))
        self.keys.add(headers["Idempotency-Key"])
        self.books[request.json["call_id"]] += 1
        return Response(processed=True)


@pytest.fixture(scope="session")
def served():
    with Sandbox(calls=0, vendors=[Receiver]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served):
    served.reset()
    served.switches("webhook", dedupes="no")
    return served


@pytest.fixture(scope="session")
def programs():
    with ForkServer("target-webhook") as programs:
        yield programs


@pytest.fixture
def settings(sandbox, tmp_path):
    return {
        "api_url": f"{sandbox.url}/hook/calls",
        "signing_secret": SECRET,
        "max_rejected_percent": 100,
        "ledger_url": f"sqlite:///{tmp_path}/calls.ledger.db",
        "rejected_path": f"{tmp_path}/rejected",
    }


@pytest.fixture
def target(settings, programs, tmp_path):
    """The target in a folder of its own; no output may show what is planted."""
    planted = Planted(secrets=[SECRET, "/hook/calls", "PLANTED"], numbers=["415555", "212555"])
    with Plugin("target-webhook", tmp_path, settings, programs, planted) as target:
        yield target
