"""Every number that a server may send as its status means something."""

from __future__ import annotations

import pytest

from singer_calls.http import faults
from singer_calls.http.statuses import Meaning, meaning


@pytest.mark.parametrize(
    ("word", "statuses"),
    [
        (Meaning.INTERIM, range(100, 200)),
        (Meaning.SUCCESS, {*range(200, 300)} - {204, 205}),
        (Meaning.REDIRECT, {*range(300, 400), 426}),
        (Meaning.RATE_LIMIT, {429}),
        (Meaning.UNAVAILABLE, {503}),
        (Meaning.PROXY, {407, 511}),
        (Meaning.GATEWAY, {502, 520}),
        (Meaning.GATEWAY_TIMEOUT, {504, 522, 524}),
        (Meaning.UNREACHED, {521, 523, 525, 526}),
        (Meaning.UNHEARD_OF, {*range(100), *range(600, 1000)}),
    ],
)
def test_a_word_stands_for_these_statuses(word, statuses):
    """And for no other."""
    assert {status for status in range(1000) if meaning(status) is word} == {*statuses}


def test_no_word_of_failure_is_told_twice_or_holds_a_name():
    """Each fault has a reason of its own; those that were not sent come with no doubt."""
    words = [fault for fault in vars(faults).values() if isinstance(fault, faults.Fault)]
    assert len({fault.reason for fault in words}) == len(words)
    assert {fault for fault in words if fault.sent} == {
        faults.NO_ANSWER, faults.BROKEN, faults.CUT, faults.NOT_HTTP
    }  # fmt: skip
