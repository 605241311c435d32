"""Windows of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from singer_calls.extract import Window
from singer_calls.extract.windows import cut

seconds = st.integers(0, 10**8).map(
    lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=n)
)
steps = st.integers(3600, 10**7).map(lambda n: timedelta(seconds=n))


@given(seconds, seconds, steps)
def test_windows_have_no_gap_and_no_overlap(start, end, step):
    """Together they are the time asked for, and none is longer than a step."""
    windows = cut(start, end, step)
    assert [(one.end, one.end) for one in windows[:-1]] == [
        (one.end, other.start) for one, other in pairwise(windows)
    ]
    assert all(timedelta() < window.length <= step for window in windows)
    assert bool(windows) == (start < end)
    if windows:
        assert (windows[0].start, windows[-1].end) == (start, end)


def test_without_a_start_there_is_one_open_window():
    """It can't be halved."""
    (window,) = cut(None, datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1))
    assert window.start is None
    assert window.halves(timedelta(hours=1)) is None
    assert window.bounds() == ("", "2026-01-01T00:00:00Z")


@given(seconds, steps, steps)
def test_halves_make_the_whole(start, length, floor):
    """And neither is shorter than the floor, to the second."""
    window = Window(start, start + length)
    if halves := window.halves(floor):
        first, second = halves
        assert (first.start, first.end, second.end) == (start, second.start, window.end)
        assert min(first.length, second.length) >= floor - timedelta(seconds=1)
        assert first.end.microsecond == 0
    else:
        assert length / 2 < floor
