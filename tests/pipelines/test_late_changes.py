"""INVOX to Invoca as shipped: sentiments that INVOX tells up to two days after a call."""

from __future__ import annotations

import time

import pytest

from call_sandbox import Sandbox

DAY = 86400


@pytest.fixture
def sandbox():
    """Many calls of the last days, as they were known a day ago."""
    with Sandbox(calls=400, days=4, now=int(time.time()) - DAY) as running:
        yield running


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_a_call_goes_at_once_and_its_sentiment_follows(pipeline, sandbox):
    """One ingestion of each call, one request for each that changed, none for the same again."""
    job = pipeline("invox-to-invoca")
    assert job.run().code == 0
    early = sandbox.signals()
    assert sandbox.journal("invoca-signals") == []
    sandbox.advance(DAY)
    run = job.run(full_refresh=True)
    assert run.code == 0, run.errors
    late = sandbox.signals()
    changed = {key for key in early if late[key] != early[key]}
    assert changed
    assert {late[key]["updates"] for key in changed} == {1}
    assert sorted(entry["key"] for entry in sandbox.journal("invoca-signals")) == sorted(changed)
    assert any(any(late[key]["signals"].values()) for key in changed)
    assert set(sandbox.books("invoca").values()) == {1}
    assert job.run(full_refresh=True).code == 0
    assert {key: known for key, known in sandbox.signals().items() if key in late} == late
    assert len(sandbox.journal("invoca-signals")) == len(changed)
