"""The memory of ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from singer_calls.extract import Seen


@given(st.integers(1, 5), st.lists(st.integers(0, 12)))
def test_an_id_is_new_unless_it_is_among_the_last_ones(keep, ids):
    """Those remembered are the newest distinct ids, in the order in which they came."""
    seen, last = Seen(keep), []
    for identity in ids:
        assert seen.first_time(identity) == (identity not in last)
        if identity not in last:
            last = [*last, identity][-keep:]
