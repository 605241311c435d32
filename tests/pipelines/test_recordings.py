"""iovox to Invoca as shipped: each call with a recording that Invoca could fetch."""

from __future__ import annotations

import pytest

from call_sandbox.testing import wait_until


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_invoca_fetches_each_recording_that_the_tap_stored(pipeline, sandbox, tmp_path):
    """Once; and a later run asks iovox for none of them again."""
    job = pipeline("iovox-to-invoca", select=True)
    assert job.run().code == 0
    taken = sandbox.books("invoca")
    assert len(taken) > 5
    assert set(taken.values()) == {1}
    wait_until(
        lambda: sandbox.books("invoca-recordings").keys() == taken.keys(),
        "Invoca has fetched all recordings",
    )
    told = {entry["recording"] for entry in sandbox.journal("invoca-recordings")}
    assert told == {"stereo, mp3"}
    asked = len(sandbox.journal("iovox-recordings"))
    assert asked == len([*(tmp_path / "recordings").rglob("*.mp3")])
    assert job.run(full_refresh=True).code == 0
    assert len(sandbox.journal("iovox-recordings")) == asked
    assert sandbox.books("invoca") == taken
