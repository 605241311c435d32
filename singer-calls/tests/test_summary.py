"""The end of a run: what is said of its calls."""

from __future__ import annotations

import logging

from singer_calls.deliver.outcome import Rejected
from singer_calls.deliver.summary import Summary


def test_the_most_frequent_reasons_are_said_and_the_others_counted(caplog):
    """Ten of them, and where the rest stands."""
    summary = Summary()
    for number in range(12):
        for _ in range(12 - number):
            summary.settle(Rejected(f"reason {number}"))
    with caplog.at_level(logging.INFO):
        summary.log(logging.getLogger("test"))
    line, *reasons, more = caplog.messages
    assert "rejected=78" in line
    assert [reason.rpartition(" ")[2] for reason in reasons] == [*map(str, range(10))]
    assert more == "2 more reasons: see the files of rejected calls."
