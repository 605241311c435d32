"""A line every so often, from a thread of its own."""

from __future__ import annotations

import logging
import threading

from singer_calls.progress import Progress


def test_a_line_is_told_again_and_again_until_it_is_closed(caplog):
    """Whatever the main thread waits for."""
    told, enough = [], threading.Event()

    def line():
        told.append(f"line {len(told)}")
        if len(told) == 3:
            enough.set()
        return told[-1]

    with (
        caplog.at_level(logging.INFO),
        Progress(line, logging.getLogger("told"), 0.001) as progress,
    ):
        assert enough.wait(5)
    progress.join(5)
    assert not progress.is_alive()
    assert caplog.messages[:3] == [f"Progress: line {n}" for n in range(3)]
