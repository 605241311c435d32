"""The wait a vendor asks for is read from whatever it sends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.http.retry_after import retry_after

_NOW = 1_760_000_000.0  # Thu, 09 Oct 2025 08:53:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "Thu, 09 Oct 2025 08:54:20 GMT"}, 60.0),
        ({"Retry-After": "Thu, 09 Oct 2025 08:54:20 -0000"}, 60.0),
        ({"Retry-After": "Thu, 09 Oct 2025 08:00:00 GMT"}, 0.0),
        ({"Retry-After": "1000000000"}, 1e9),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"X-RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Reset": str(int(_NOW) + 90)}, 90.0),
        ({"X-RateLimit-Reset": f"{int(_NOW) + 90}000"}, 90.0),
        ({"X-RateLimit-Reset": "1487332519"}, 0.0),
        ({"Retry-After": "7", "X-RateLimit-Reset": "30"}, 7.0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "30"}, 30.0),
        # The vendor's clock is an hour behind ours, or ahead: it set both.
        (
            {
                "Retry-After": "Thu, 09 Oct 2025 07:54:20 GMT",
                "Date": "Thu, 09 Oct 2025 07:53:20 GMT",
            },
            60.0,
        ),
        (
            {
                "Retry-After": "Thu, 09 Oct 2025 09:54:20 GMT",
                "Date": "Thu, 09 Oct 2025 09:53:20 GMT",
            },
            60.0,
        ),
        ({"Retry-After": "Thu, 09 Oct 2025 08:54:20 GMT", "Date": "today"}, 60.0),
        ({"X-RateLimit-Reset": "1487332519", "Date": "Fri, 17 Feb 2017 11:55:09 GMT"}, 10.0),
    ],
)
def test_the_wait_is_read_in_every_form(headers, seconds):
    """Seconds, a date, an epoch; past is now; garbage is no wish."""
    assert retry_after(headers, _NOW, limited=True) == seconds


@pytest.mark.parametrize("reset", ["1800", str(int(_NOW) + 1800)])
def test_where_no_limit_was_met_its_end_is_no_wish(reset):
    """A vendor that tells it with every answer may be asked again after a 502 all the same."""
    assert retry_after({"X-RateLimit-Reset": reset}, _NOW, limited=False) is None
    asked = {"X-RateLimit-Reset": reset, "Retry-After": "7"}
    assert retry_after(asked, _NOW, limited=False) == 7.0


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_header_gives_a_wait_or_none(wait, reset, date):
    """Nothing a vendor sends can raise."""
    headers = {"Retry-After": wait, "X-RateLimit-Reset": reset, "Date": date}
    seconds = retry_after(headers, _NOW, limited=True)
    assert seconds is None or seconds >= 0
