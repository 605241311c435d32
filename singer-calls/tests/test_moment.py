"""Moments are read in every documented form."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.values import moment

_BUCHAREST = ZoneInfo("Europe/Bucharest")


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2024-03-14 10:22:31", "2024-03-14T10:22:31+02:00"),
        ("2024-07-14T10:22:31", "2024-07-14T10:22:31+03:00"),
        ("2024-07-14T10:22", "2024-07-14T10:22:00+03:00"),
        ("2026-09-10T22:55:32-08:00", "2026-09-10T22:55:32-08:00"),
        ("2026-10-25T00:30:00Z", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25 00:30:00.25 UTC", "2026-10-25T00:30:00.250000+00:00"),
        ("2026-08-02T14:35:28.000-0400", "2026-08-02T14:35:28-04:00"),
        (1460404800, "2016-04-11T20:00:00+00:00"),
        ("1460404800", "2016-04-11T20:00:00+00:00"),
        ("1460404800123", "2016-04-11T20:00:00.123000+00:00"),
        ("20160411130000000", "2016-04-11T13:00:00+00:00"),
        ("2016/04/11T23:00:00.000+03:00", "2016-04-11T23:00:00+03:00"),
        ("2016/04/11T20:00:00.000Z", "2016-04-11T20:00:00+00:00"),
        ("2016/04/11 13:00:00.000 PM", "2016-04-11T13:00:00+03:00"),
        ("2016/04/11 1:00:00 PM", "2016-04-11T13:00:00+03:00"),
        ("2016/04/11 12:00:00 AM", "2016-04-11T00:00:00+03:00"),
        ("2016-02-03 09:30:00 AM", "2016-02-03T09:30:00+02:00"),
        ("2016-08-08 11:03:31 -0700", "2016-08-08T11:03:31-07:00"),
        ("2026-01-31 09:30:00+00", "2026-01-31T09:30:00+00:00"),
        ("2026-01-31 09:30:00.123456+05:30", "2026-01-31T09:30:00.123456+05:30"),
        ("2026-01-31T09:30:00-08", "2026-01-31T09:30:00-08:00"),
        ("20260131T093000Z", "2026-01-31T09:30:00+00:00"),
        ("20260131T0930", "2026-01-31T09:30:00+02:00"),
        ("20260131T093000.250+0100", "2026-01-31T09:30:00.250000+01:00"),
        ("Sat, 31 Jan 2026 09:30:00 +0000", "2026-01-31T09:30:00+00:00"),
        ("Sat, 31 Jan 2026 09:30:00 GMT", "2026-01-31T09:30:00+00:00"),
        ("31 Jan 2026 09:30 -0800", "2026-01-31T09:30:00-08:00"),
        ("1 JUL 2026 9:30:00 pdt", "2026-07-01T09:30:00-07:00"),
        ("Thu, 1 Jan 2026 09:30:00", "2026-01-01T09:30:00+02:00"),
        ("2026-01-31 09:30:00 EST", "2026-01-31T09:30:00-05:00"),
        ("2026/01/31 06:27:28", "2026-01-31T06:27:28+02:00"),
        (1769852400.25, "2026-01-31T09:40:00.250000+00:00"),
        (Decimal("1769852400.5"), "2026-01-31T09:40:00.500000+00:00"),
        ("1769852400.123456789", "2026-01-31T09:40:00.123456+00:00"),
        (datetime(2026, 1, 31, 9, 30), "2026-01-31T09:30:00+02:00"),  # noqa: DTZ001
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00+00:00"),
        (1769852400.0, "2026-01-31T09:40:00+00:00"),
        ("1769852400123456", "2026-01-31T09:40:00.123456+00:00"),
    ],
)
def test_a_moment_is_read_as_written(value, iso):
    """The offset written is kept; a bare time takes the zone's, summer or winter."""
    parsed = moment.parse(value, _BUCHAREST)
    assert parsed is not None
    assert parsed.isoformat() == iso


def test_the_first_of_two_repeated_hours_is_meant():
    """03:30 comes twice on the last Sunday of October in Bucharest."""
    parsed = moment.parse("2026-10-25 03:30:00", _BUCHAREST)
    assert parsed is not None
    assert parsed.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2024-03-14",
        "2024-13-14 10:00:00",
        "2024-03-14 25:00:00",
        "10:22:31",
        "2024-03-14 10:00:00 +99:00",
        "12345",
        "9" * 5000,
        None,
        True,
        1.5,
        [],
        {},
        "14.03.2024 10:22:31",
        "2024-03-14T10:22:31+02:00[Europe/Bucharest]",
        "2024-03/14 10:22:31",
        "01/31/2026 09:30 AM",
        "2026/01/31 13:00 AM",
        "2026/01/31 25:00 PM",
        "2026-01-31 09:30:00 XYZ",
        "2026-01-31 09:30:00 AMPM",
        "31 Foo 2026 09:30:00",
        "46053.39583",
        "0000-00-00 00:00:00",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59-02:00",
        "٢٠٢٦-01-31 09:30:00",
        "1769852400_1",
        -1769852400,
        10**25,
        1e300,
        float("nan"),
        Decimal("sNaN"),
        Decimal("1e999999999"),
        46053.39583,
    ],
)
def test_what_is_no_moment_is_none(value):
    """A date alone, a form that two countries read differently, and garbage."""
    assert moment.parse(value, _BUCHAREST) is None


def test_a_bare_time_is_told_from_one_with_an_offset():
    """Who reads it says once which zone was taken."""
    assert getattr(moment.read("2024-03-14 10:22:31"), "tzinfo", 0) is None
    assert getattr(moment.read("2024-03-14 10:22:31Z"), "tzinfo", None) == UTC


@settings(deadline=None)
@given(st.text() | st.integers() | st.floats() | st.decimals())
def test_any_value_gives_an_aware_moment_or_none(value):
    """Whatever the source sends, reading it ends well."""
    parsed = moment.parse(value, _BUCHAREST)
    assert parsed is None or parsed.utcoffset() is not None


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_what_iso_writes_is_read_back(naive):
    """Every moment survives the way through its text."""
    written = naive.replace(tzinfo=UTC)
    assert moment.parse(written.isoformat(), _BUCHAREST) == written
