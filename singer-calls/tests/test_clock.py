"""Vendor local time <-> UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.values.clock import asked_from, asked_to, from_utc_text, to_utc, utc_text

ZONES = ["Europe/Bucharest", "Europe/London", "America/New_York", "Australia/Lord_Howe"]


@cache
def changes(zone: str) -> list[datetime]:
    """The minutes in 2025 and 2026 at which a zone's offset changes, UTC."""
    tz = ZoneInfo(zone)
    first, half = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=30)
    return [
        moment
        for moment in (first + half * n for n in range(2 * 365 * 48))
        if moment.astimezone(tz).utcoffset() != (moment - half).astimezone(tz).utcoffset()
    ]


def bare(moment: datetime, zone: str) -> str:
    """What a vendor in that zone writes."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize("zone", ZONES)
def test_each_zone_changes_its_clocks_four_times_in_two_years(zone):
    """The other tests are about days that exist."""
    assert len(changes(zone)) == 4


@pytest.mark.parametrize("zone", ZONES)
def test_a_call_is_never_dated_before_it_happened(zone):
    """Every minute around every change comes back as itself or, if repeated, as the later one."""
    repeated = 0
    for change in changes(zone):
        for minute in range(-26 * 60, 26 * 60):
            real = change + timedelta(minutes=minute)
            read = from_utc_text(to_utc(bare(real, zone), ZoneInfo(zone)))
            assert read >= real
            assert bare(read, zone) == bare(real, zone)
            repeated += read != real
    assert repeated == {"Australia/Lord_Howe": 60}.get(zone, 120)


@pytest.mark.parametrize("zone", ZONES)
def test_an_offset_beats_the_zone(zone):
    """A time with an offset has one reading."""
    assert to_utc("2026-10-25T03:30:00+03:00", ZoneInfo(zone)) == "2026-10-25T00:30:00Z"


def test_the_hour_that_never_comes_has_a_reading():
    """A vendor whose own clock is wrong must not stop the run."""
    assert to_utc("2026-03-29 03:30:00", ZoneInfo("Europe/Bucharest")) == "2026-03-29T01:30:00Z"


@pytest.mark.parametrize(
    "text", ["", "now", "0000-00-00 00:00:00", "2026-02-30 10:00:00", "x" * 99]
)
def test_what_is_no_time_is_a_value_error(text):
    """ValueError is what makes a field null."""
    with pytest.raises(ValueError, match=r"."):
        to_utc(text, ZoneInfo("UTC"))


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "UTC", "America/New_York"])
@pytest.mark.parametrize("at", ["", " 00:00:00", " 23:59:59", "T23:59:59-12:00", "T00:00:00+14:00"])
@pytest.mark.parametrize("day", ["0001-01-01", "0001-12-30", "9999-01-02", "9999-12-31"])
def test_the_ends_of_the_calendar_are_a_value_error(day, at, zone):
    """What vendors write for "never": no OverflowError escapes, now or when it is asked for."""
    with pytest.raises(ValueError, match="outside"):
        to_utc(f"{day}{at}", ZoneInfo(zone))


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "UTC", "America/New_York"])
@pytest.mark.parametrize("at", ["0002-01-02 00:00:00", "9998-12-30 23:59:59"])
def test_what_is_read_can_be_asked_for(at, zone):
    """From and to."""
    moment = from_utc_text(to_utc(at, ZoneInfo(zone)))
    assert asked_from(moment, ZoneInfo(zone)) <= asked_to(moment, ZoneInfo(zone))


moments = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))


@given(moments, moments)
def test_texts_compare_as_their_moments(one, other):
    """The SDK compares bookmarks as strings."""
    assert (utc_text(one) < utc_text(other)) == (one < other)
    assert from_utc_text(utc_text(one)) == one


@pytest.mark.parametrize(
    "text",
    ["2026-01-31", "2026-01-31T00:00:00", "2026-01-31T00:00:00+00:00", "2026-1-31T00:00:00Z"],
)
def test_only_the_one_form_is_read_back(text):
    """A bookmark of another form is not ours."""
    with pytest.raises(ValueError, match=r"."):
        from_utc_text(text)


@given(
    zone=st.sampled_from(ZONES),
    data=st.data(),
)
def test_what_is_asked_covers_the_window_however_the_vendor_reads_it(zone, data):
    """A vendor may compare bare texts, or turn the bounds into UTC with either reading."""
    tz = ZoneInfo(zone)
    change = data.draw(st.sampled_from(changes(zone)))
    near = st.integers(-27 * 3600, 27 * 3600).map(lambda s: change + timedelta(seconds=s))
    start, end = sorted([data.draw(near), data.draw(near)])
    real = data.draw(near)
    dated = from_utc_text(to_utc(bare(real, zone), tz))
    low, high = asked_from(start, tz), asked_to(end, tz)
    if start <= dated < end:
        local = real.astimezone(tz).replace(tzinfo=None)
        assert low <= local < high
        for fold in (0, 1):
            assert low.replace(tzinfo=tz, fold=fold).astimezone(UTC) <= real
            assert real < high.replace(tzinfo=tz, fold=fold).astimezone(UTC)


@given(moments)
def test_far_from_a_change_nothing_more_is_asked(moment):
    """On 361 days a year the request is exact."""
    zone = ZoneInfo("Etc/GMT-3")
    assert asked_from(moment, zone) == asked_to(moment, zone)
    assert asked_from(moment, zone) == moment.astimezone(zone).replace(tzinfo=None)
