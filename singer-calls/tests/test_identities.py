"""Two calls under one key are told from one call that comes twice."""

from __future__ import annotations

import pytest

from singer_calls.deliver.identities import Identities
from singer_calls.deliver.outcome import InvalidCallError


def test_a_second_call_under_a_key_is_refused_by_field():
    """The reason has neither the key nor the call."""
    identities = Identities()
    identities.check("Id", "a", "10:00", "+40722000111")
    with pytest.raises(InvalidCallError, match="Id: another call") as refused:
        identities.check("Id", "a", "10:01", "+40722000111")
    assert "+40722000111" not in str(refused.value)


def test_a_call_that_comes_twice_is_itself():
    """Other keys don't matter."""
    identities = Identities()
    for _ in range(2):
        identities.check("Id", "a", "10:00")
        identities.check("Id", "b", "10:00")


def test_memory_is_flat():
    """What lies further back than the limit is forgotten."""
    identities = Identities(limit=2)
    for key in "abc":
        identities.check("Id", key, 1)
    identities.check("Id", "a", 2)
    with pytest.raises(InvalidCallError):
        identities.check("Id", "c", 2)
