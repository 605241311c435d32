"""The memory of ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from singer_calls.extract import Seen


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 12), st.booleans())))
def test_a_call_is_new_unless_it_is_among_the_last_ones_as_it_is(keep, calls):
    """Those remembered are the newest distinct ids, in the order in which they came."""
    seen, last = Seen(keep), {}
    for identity, ended in calls:
        assert seen.is_new(identity, {"ended": ended}) == (last.get(identity) is not ended)
        last[identity] = ended
        last = dict([*last.items()][-keep:])
