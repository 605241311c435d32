"""The memory of ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from singer_calls.extract import Seen


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 12), st.booleans())))
def test_a_call_is_new_unless_it_is_among_the_last_ones_as_it_is(keep, calls):
    """Those remembered are the newest distinct ids, in the order in which they came."""
    seen, last = Seen(keep=keep), {}
    for identity, ended in calls:
        assert seen.is_new(identity, {"ended": ended}) == (last.get(identity) is not ended)
        last[identity] = ended
        last = dict([*last.items()][-keep:])


def test_of_two_answers_the_first_counts_and_of_two_fields_the_emitted_one():
    """Windows are read side by side: the later in order may have been asked for earlier."""
    seen = Seen(without=["agent"])
    assert seen.is_new(1, {"ended": True, "agent": "a"}, "monday")
    assert not seen.is_new(1, {"ended": True, "agent": "b"}, "monday")
    assert not seen.is_new(1, {"ended": False}, "tuesday")
    assert seen.is_new(2, {"ended": False}, "tuesday")
    assert seen.is_new(2, {"ended": True}, "tuesday")
