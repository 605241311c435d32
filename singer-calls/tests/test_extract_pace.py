"""The rate limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from singer_calls.extract.pace import Pace


class Vendor:
    """Virtual time, and requests that end in it; several may be in flight."""

    def __init__(self, limit: int | None) -> None:
        self.now = 0.0
        self.pace = Pace(limit, clock=lambda: self.now, sleep=self.sleep)
        self.flying: list[tuple[float, float]] = []
        self.seen: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Time passes, in small steps, and requests end."""
        until = self.now + seconds
        while self.flying and min(self.flying)[0] <= until:
            self.land()
        self.now = max(self.now, until)

    def land(self) -> None:
        """The request that ends first ends."""
        end, counted = min(self.flying)
        self.flying.remove((end, counted))
        self.now = max(self.now, end)
        self.pace.__exit__()
        self.seen.append(counted)

    def ask(self, takes: float, counted_at: float) -> None:
        """A request begins; the vendor counts it somewhere between its start and its end."""
        self.pace.__enter__()
        self.flying.append((self.now + takes, self.now + takes * counted_at))


@given(
    limit=st.integers(1, 5),
    workers=st.integers(1, 4),
    requests=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 1)), max_size=40),
)
def test_no_sixty_seconds_of_the_vendor_see_more_than_the_limit(limit, workers, requests):
    """Whenever within a request the vendor counts it, with several in flight."""
    vendor = Vendor(limit)
    for takes, counted_at in requests:
        while len(vendor.flying) >= workers:
            vendor.land()
        vendor.ask(takes, counted_at)
    while vendor.flying:
        vendor.land()
    counts = sorted(vendor.seen)
    assert len(counts) == len(requests)
    for first, later in zip(counts, counts[limit:], strict=False):
        assert later - first >= 60 - 1e-6  # of a sum of floats


def test_without_a_limit_nobody_waits():
    """A thousand requests in no time."""
    vendor = Vendor(None)
    for _ in range(1000):
        vendor.ask(0, 0)
    assert vendor.now == 0


def test_a_pause_holds_up_everybody():
    """What the vendor asks of one window is meant for all; a shorter wish changes nothing."""
    vendor = Vendor(None)
    vendor.pace.pause(30)
    vendor.pace.pause(5)
    vendor.ask(0, 0)
    assert vendor.now == 30
