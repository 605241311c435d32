"""Windowed streams: nothing lost, nothing doubled, bookmarks that never go back."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigValidationError

from singer_calls import settings
from singer_calls.errors import PluginError
from singer_calls.extract import CallTap, ResponseTooLargeError, WindowedStream
from singer_calls.extract.call_stream import how_far
from singer_calls.values.clock import asked_from, asked_to, from_utc_text, to_utc, utc_text

DAY = timedelta(days=1)
T0 = datetime(2026, 3, 1, tzinfo=UTC)
ZONES = ["Europe/Bucharest", "Europe/London", "America/New_York", "Australia/Lord_Howe"]


class Vendor:
    """A vendor's table of calls, in memory, with bare local times.

    Args:
        calls: Id -> the moment it really began.
        zone: Of its bare times.
        bounds: How it compares: bare texts, or moments with either reading of a bare bound.
        inclusive: Whether the last second asked for is part of the answer, and the first is.
        lasting: How long each call is, where its dates mean the end of a call.
    """

    def __init__(
        self,
        calls: dict[int, datetime],
        zone: str = "UTC",
        bounds: str = "text",
        inclusive: tuple[bool, bool] = (True, False),
        lasting: timedelta = timedelta(),
    ) -> None:
        self.lasting = lasting
        self.calls = calls
        self.zone = ZoneInfo(zone)
        self.bounds = bounds
        self.inclusive = inclusive
        self.now = max(calls.values(), default=T0)
        self.asked: list[tuple[datetime | None, datetime]] = []
        self.too_much: timedelta | None = None
        self.extra: list[dict[str, Any]] = []

    def answer(self, window) -> list[dict[str, Any]]:
        """Newest first, as no one said it would be otherwise."""
        self.asked.append((window.start, window.end))
        if self.too_much and window.length > self.too_much:
            raise ResponseTooLargeError("answered HTTP 504")
        low = window.start and asked_from(window.start, self.zone) - timedelta(seconds=1)
        high = asked_to(window.end, self.zone)
        rows = [
            {"id": identity, "date": to_utc(f"{self.local(real):%Y-%m-%d %H:%M:%S}", self.zone)}
            for identity, real in self.calls.items()
            if real + self.lasting <= self.now and self.within(real + self.lasting, low, high)
        ]
        return rows[::-1] + self.extra

    def local(self, real: datetime) -> datetime:
        return real.astimezone(self.zone).replace(tzinfo=None)

    def within(self, real: datetime, low: datetime | None, high: datetime) -> bool:
        if self.bounds == "text":
            at = self.local(real)
        else:
            fold, at = int(self.bounds), real
            high = high.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
            low = low and low.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        from_too, to_too = self.inclusive
        return (low is None or at > low or (from_too and at == low)) and (
            at < high or (to_too and at == high)
        )


class Calls(WindowedStream):
    name = "calls"
    primary_keys: ClassVar[list[str]] = ["id"]
    replication_key = "date"
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "date": {"type": ["string", "null"], "format": "date-time"},
        },
    }

    def read(self, window, *, divisible):
        assert divisible == (window.start is not None and window.length >= 2 * self.FLOOR)
        return self.tap.exchange.answer(window)


class ExchangeTap(CallTap):
    name = "tap-exchange"
    vendor = "Exchange"
    config_jsonschema: ClassVar[dict[str, Any]] = settings.schema(
        settings.common(api_url="https://exchange.example", docs="https://exchange.example"),
        settings.taps(timezone="UTC", window_days=7, lookback_days=2),
    )

    def discover_streams(self):
        return [Calls(self)]


class Run:
    """What one run of the tap wrote."""

    def __init__(self, vendor: Vendor, state: dict | None = None, **config: object) -> None:
        self.messages: list[dict[str, Any]] = []
        self.error: str | None = None
        config = {k: utc_text(v) if isinstance(v, datetime) else v for k, v in config.items()}
        catalog = config.pop("catalog", None)
        self.tap = ExchangeTap(config=config, state=state, catalog=catalog, message_writer=self)
        self.tap.exchange = vendor
        try:
            self.tap.sync_all()
        except PluginError as error:
            self.error = str(error)

    def write_message(self, message) -> None:
        self.messages.append(json.loads(json.dumps(message.to_dict(), default=str)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def ids(self) -> list[int]:
        return [message["record"]["id"] for message in self.of("RECORD")]

    @property
    def bookmarks(self) -> list[str]:
        return [
            message["value"]["bookmarks"]["calls"]["replication_key_value"]
            for message in self.of("STATE")
            if message["value"]["bookmarks"]["calls"]
        ]

    @property
    def state(self) -> dict[str, Any]:
        return self.of("STATE")[-1]["value"]


def state_of(value: object, key: str = "date") -> dict[str, Any]:
    return {"bookmarks": {"calls": {"replication_key": key, "replication_key_value": value}}}


def hourly(hours: int, start: datetime = T0) -> dict[int, datetime]:
    return {n: start + timedelta(hours=n) for n in range(hours)}


@cache
def changes(zone: str) -> list[datetime]:
    """When a zone's clocks change in 2025 and 2026."""
    first, half, tz = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=30), ZoneInfo(zone)
    moments = [first + half * n for n in range(2 * 365 * 48)]
    return [
        m for m in moments if m.astimezone(tz).utcoffset() != (m - half).astimezone(tz).utcoffset()
    ]


@pytest.mark.parametrize("zone", ZONES)
@hypothesis.settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_no_call_of_a_day_with_a_clock_change_is_lost_or_doubled(zone, data):
    """Every ten minutes around the change, however the vendor compares, without any lookback.

    The runs come at random moments, also within the repeated hour, and see what had happened.
    """
    change = data.draw(st.sampled_from(changes(zone)))
    near = st.integers(-26 * 3600, 26 * 3600).map(lambda s: change + timedelta(seconds=s))
    moments = [change + timedelta(minutes=10 * n) for n in range(-26 * 6, 26 * 6)]
    moments += data.draw(st.lists(near, max_size=30))
    vendor = Vendor(
        dict(enumerate(moments)),
        zone,
        data.draw(st.sampled_from(["text", "0", "1"])),
        data.draw(st.tuples(st.booleans(), st.booleans())),
    )
    ends = [*sorted(data.draw(st.lists(near, max_size=8))), change + 3 * DAY]
    emitted, state, bookmarks = [], None, []
    for end in ends:
        vendor.now = end
        run = Run(
            vendor,
            state,
            start_date=change - 2 * DAY,
            end_date=end,
            timezone=zone,
            lookback_days=0,
            window_days=1,
        )
        assert run.error is None
        emitted += run.ids
        state = run.state
        bookmarks += run.bookmarks
    assert sorted(emitted) == sorted(vendor.calls)
    assert bookmarks == sorted(bookmarks)


@hypothesis.settings(max_examples=60, deadline=None)
@given(
    lasting=st.timedeltas(timedelta(), WindowedStream.LONGEST_CALL),
    window_days=st.integers(1, 5),
    minutes=st.lists(st.integers(0, 15 * 24 * 60), unique=True, max_size=40),
    too_much=st.none() | st.timedeltas(timedelta(hours=8), DAY),
)
def test_no_call_is_lost_or_doubled_where_dates_mean_its_end(
    lasting, window_days, minutes, too_much
):
    """Calls that cross the border of two windows, and of two runs, of a vendor that filters so."""
    vendor = Vendor({n: T0 + timedelta(minutes=n) for n in minutes}, lasting=lasting)
    vendor.now, vendor.too_much = T0 + 20 * DAY, too_much
    backfill = Run(vendor, start_date=T0 + DAY, end_date=T0 + 9 * DAY, window_days=window_days)
    assert sorted(backfill.ids) == sorted(n for n in minutes if 24 * 60 <= n < 9 * 24 * 60)
    live = Run(vendor, backfill.state, end_date=T0 + 16 * DAY, lookback_days=1)
    assert {*backfill.ids, *live.ids} == {n for n in minutes if n >= 24 * 60}
    assert len(live.ids) == len({*live.ids})


@pytest.mark.parametrize("in_flight", [1, 2, 8])
def test_windows_are_emitted_in_order_and_saved_one_by_one(in_flight):
    """A STATE follows the last call of its window, however many windows are in flight."""
    vendor = Vendor(hourly(24 * 30))
    run = Run(
        vendor, start_date=T0, end_date=T0 + 30 * DAY, window_days=4, windows_in_flight=in_flight
    )
    ends = [utc_text(min(T0 + 4 * DAY * n, T0 + 30 * DAY)) for n in range(1, 9)]
    assert run.bookmarks == ends
    assert sorted(run.ids) == list(vendor.calls)
    beyond = iter(ends)
    limit = next(beyond)
    for message in run.messages[1:]:
        if message["type"] == "STATE":
            assert message["value"]["bookmarks"]["calls"]["replication_key_value"] == limit
            limit = next(beyond, "")
        else:
            assert message["record"]["date"] < limit


def test_a_record_was_extracted_when_its_answer_was_asked_for():
    """And not when it was its turn to be written: who asked later knows better."""
    vendor, asked = Vendor(hourly(24 * 6)), []
    inner = vendor.answer

    def answer(window):
        asked.append(datetime.now(UTC))
        return inner(window)

    vendor.answer = answer
    run = Run(vendor, start_date=T0, end_date=T0 + 6 * DAY, window_days=2, windows_in_flight=1)
    stamps = {record["time_extracted"]: None for record in run.of("RECORD")}
    assert len(stamps) == len(asked) == 3
    for stamp, at in zip(stamps, asked, strict=True):
        assert datetime.fromisoformat(stamp) <= at


def test_as_many_windows_are_in_flight_as_the_setting_says():
    """Neither fewer nor more are asked for at once."""
    vendor, at_once, lock = Vendor({}), [], threading.Lock()
    barrier = threading.Barrier(3, timeout=10)
    inner, count = vendor.answer, [0]

    def answer(window):
        with lock:
            count[0] += 1
            at_once.append(count[0])
        if len(at_once) <= 3:
            barrier.wait()
        time.sleep(0.005)
        with lock:
            count[0] -= 1
        return inner(window)

    vendor.answer = answer
    Run(vendor, start_date=T0, end_date=T0 + 20 * DAY, window_days=1, windows_in_flight=3)
    assert len(at_once) == 20
    assert max(at_once) == 3


def test_what_threads_share_is_made_once_and_before_they_begin(monkeypatch):
    """Two that make a client each have a rate limit each."""
    made = []

    def prepare(self):
        assert not self.tap.exchange.asked
        made.append(threading.current_thread())

    monkeypatch.setattr(Calls, "prepare", prepare)
    vendor = Vendor(hourly(5))
    Run(vendor, start_date=T0, end_date=T0 + 5 * DAY, window_days=1, windows_in_flight=3)
    assert made == [threading.main_thread()]
    assert len(vendor.asked) == 5


def test_a_failure_keeps_what_came_before_it():
    """The windows before the failing one are emitted and saved; the next run resumes there."""
    vendor = Vendor(hourly(24 * 20))
    inner = vendor.answer

    def answer(window):
        if window.start and window.start >= T0 + 10 * DAY:
            raise PluginError("Exchange is down.")
        return inner(window)

    vendor.answer = answer
    config = {"start_date": T0, "end_date": T0 + 20 * DAY, "window_days": 5}
    first = Run(vendor, **config, windows_in_flight=4)
    assert first.error == "Exchange is down."
    assert sorted(first.ids) == list(range(240))
    assert first.bookmarks[-1] == utc_text(T0 + 10 * DAY)
    vendor.answer, vendor.asked = inner, []
    second = Run(vendor, first.state, **config)
    assert vendor.asked[0][0] == T0 + 8 * DAY
    assert {*first.ids, *second.ids} == {*vendor.calls}


def test_the_lookback_is_asked_for_and_never_stored():
    """A late change is emitted again; the bookmark does not move back for it."""
    vendor = Vendor(hourly(24 * 10))
    saved = T0 + 8 * DAY
    run = Run(vendor, state_of(utc_text(saved)), start_date=T0, end_date=T0 + 10 * DAY)
    assert vendor.asked[0][0] == saved - 2 * DAY
    assert min(run.ids) == 6 * 24
    assert run.bookmarks[0] == utc_text(saved)
    assert run.bookmarks == sorted(run.bookmarks)
    assert run.bookmarks[-1] == utc_text(T0 + 10 * DAY)


@pytest.mark.parametrize(
    ("start", "end", "first", "bookmark"),
    [
        (None, None, 6, None),
        (0, None, 6, None),
        (7, None, 7, None),
        (9, None, 9, None),
        (0, 4, 0, 8),
        (0, 8, 6, 8),
        (0, 9, 6, 9),
        (9, 10, 9, 10),
    ],
)
def test_where_a_run_begins_and_where_its_bookmark_ends(start, end, first, bookmark):
    """Days after T0; the live bookmark is at 8, the lookback is 2.

    A later start_date wins; a run with an end_date behind the bookmark is a backfill and leaves
    it alone; without end_date the bookmark is the start of the run.
    """
    vendor = Vendor({})
    dates = {"start_date": start, "end_date": end}
    began = datetime.now(UTC) - timedelta(seconds=1)
    run = Run(
        vendor,
        state_of(utc_text(T0 + 8 * DAY)),
        **{name: T0 + day * DAY for name, day in dates.items() if day is not None},
    )
    assert vendor.asked[0][0] == T0 + first * DAY
    saved = from_utc_text(run.bookmarks[-1])
    if bookmark is None:
        assert began.replace(microsecond=0) <= saved <= datetime.now(UTC)
    else:
        assert saved == T0 + bookmark * DAY


def test_without_start_date_everything_is_asked_for_at_once():
    """One open window; its bookmark is the start of the run, and not a call's date."""
    vendor = Vendor(hourly(5))
    run = Run(vendor)
    assert [start for start, _ in vendor.asked] == [None]
    assert sorted(run.ids) == [0, 1, 2, 3, 4]
    assert run.bookmarks[-1] > utc_text(T0 + DAY)


def test_without_start_date_a_vendor_is_asked_for_what_it_keeps(monkeypatch):
    """In windows, and no earlier: it would refuse."""
    monkeypatch.setattr(Calls, "KEPT", 20 * DAY)
    now = datetime.now(UTC)
    vendor = Vendor({1: now - 30 * DAY, 2: now - 19 * DAY})
    run = Run(vendor)
    first = min(start for start, _ in vendor.asked)
    assert timedelta() <= first - (now - 20 * DAY).replace(microsecond=0) < timedelta(minutes=1)
    assert len(vendor.asked) == 3
    assert run.ids == [2]


def test_a_call_of_the_future_does_not_move_the_bookmark_past_now():
    """It is left for the run of its time."""
    future = datetime.now(UTC) + 30 * DAY
    vendor = Vendor({1: T0, 2: future})
    run = Run(vendor)
    assert run.ids == [1]
    assert run.bookmarks[-1] <= utc_text(datetime.now(UTC))


def test_state_holds_the_bookmark_and_nothing_else():
    """No floats, no markers, no dates of calls: one fixed form."""
    run = Run(Vendor(hourly(30)), start_date=T0, end_date=T0 + 2 * DAY)
    assert run.state == state_of(utc_text(T0 + 2 * DAY))


def test_a_call_is_emitted_once_a_run_as_it_is():
    """Repeated within an answer, and in the answers of all windows; what differs is told too."""
    vendor = Vendor(hourly(48))
    same = {"id": 7, "date": utc_text(vendor.calls[7])}
    vendor.extra = [same, {"id": 8, "date": same["date"]}, {"id": 99, "date": None}]
    run = Run(vendor, start_date=T0, end_date=T0 + 4 * DAY, window_days=1)
    assert sorted(run.ids) == sorted([*range(48), 8, 99])


def test_a_catalog_that_describes_no_field_leaves_none_out():
    """It selects, and that is all."""
    catalog = ExchangeTap().catalog_dict
    catalog["streams"][0]["schema"] = {}
    run = Run(Vendor(hourly(3)), start_date=T0, end_date=T0 + DAY, catalog=catalog)
    records = [m["record"] for m in run.messages if m["type"] == "RECORD"]
    assert [sorted(record) for record in records] == 3 * [["date", "id"]]


def test_an_end_that_is_still_to_come_makes_no_backfill():
    """Also where the bookmark, of a machine whose clock goes ahead, lies behind the run's start."""
    now = datetime.now(UTC)
    vendor = Vendor(hourly(3))
    Run(vendor, state_of(utc_text(now + timedelta(minutes=3))), end_date="2999-01-01T00:00:00Z")
    assert all(start and start > now - 3 * DAY for start, _ in vendor.asked)
    assert vendor.asked


def test_what_the_catalog_does_not_declare_is_not_emitted():
    """A loader has no column for it, and who took it out wants it nowhere."""
    catalog = ExchangeTap().catalog_dict
    del catalog["streams"][0]["schema"]["properties"]["date"]
    run = Run(Vendor(hourly(3)), start_date=T0, end_date=T0 + DAY, catalog=catalog)
    assert [m["record"] for m in run.messages if m["type"] == "RECORD"] == [
        {"id": identity} for identity in (2, 1, 0)
    ]


def test_windows_are_halved_until_the_vendor_can_answer():
    """And the windows to come begin at the size that worked."""
    vendor = Vendor(hourly(24 * 28))
    vendor.too_much = timedelta(hours=30)
    run = Run(vendor, start_date=T0, end_date=T0 + 28 * DAY, windows_in_flight=1)
    assert sorted(run.ids) == list(vendor.calls)
    assert run.bookmarks == [utc_text(T0 + 7 * DAY * n) for n in range(1, 5)]
    refused = [end - start for start, end in vendor.asked if end - start > vendor.too_much]
    assert refused == [7 * DAY, 7 * DAY / 2, 7 * DAY / 4]


@pytest.mark.parametrize(
    ("saved", "says"),
    [
        (state_of("2026-03-01"), "is not of the form"),
        (state_of("2026-03-01T00:00:00+00:00"), "is not of the form"),
        (state_of(1772323200), "is not of the form"),
        (state_of("2999-01-01T00:00:00Z"), "lies in the future"),
        (state_of(4711, key="call_id"), "is of another replication key"),
        ({"bookmarks": {"calls": {"start_time": "2026-03-01"}}}, "is of another form"),
        ({"bookmarks": {"calls": {"partitions": []}}}, "is of another form"),
    ],
)
def test_a_bookmark_that_is_not_ours_ends_the_run(saved, says):
    """In one sentence, before anything is asked."""
    vendor = Vendor({})
    run = Run(vendor, saved)
    assert says in run.error
    assert run.error.count(". ") == 0
    assert vendor.asked == []


def test_a_bookmark_of_null_is_none():
    """As the SDK saves it when there was nothing to save."""
    run = Run(Vendor(hourly(24)), state_of(None))
    assert (run.error, len(run.ids)) == (None, 24)
    assert run.bookmarks


@pytest.mark.parametrize("saved", [{"bookmarks": []}, {"bookmarks": {"calls": 7}}])
def test_a_state_of_another_form_ends_the_run(saved):
    """Not a traceback from within the SDK."""
    with pytest.raises(PluginError, match="not one of a Singer tap"):
        Run(Vendor({}), saved)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"start_date": "yesterday"}, "start_date is not a date"),
        ({"start_date": "2026-02-30"}, "start_date is not a date"),
        ({"end_date": "2026-01-01T25:00:00Z"}, "end_date is not a date"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "end_date must be later"),
        ({"start_date": "2026-02-01", "end_date": "2026-02-01"}, "end_date must be later"),
        ({"start_date": "2999-01-01"}, "lies in the future"),
        ({"start_date": "0001-01-01T00:00:00+14:00"}, "start_date is not a date"),
        ({"start_date": "1900-01-01"}, "before 1970"),
        ({"end_date": "0001-01-01"}, "end_date lies before 1970: nothing could be read"),
        ({"timezone": "Europe/Bukarest"}, "timezone is not a known IANA zone"),
        ({"window_days": 0}, "window_days must be at least 1"),
        ({"window_days": -1}, "window_days must be at least 1"),
        ({"lookback_days": -1}, "lookback_days must be at least 0"),
        ({"windows_in_flight": 0}, "windows_in_flight must be at least 1"),
        ({"window_days": 10**9}, "window_days must be at most 36500"),
        ({"lookback_days": 999_999}, "lookback_days must be at most 36500"),
        ({"request_timeout": 10**12}, "request_timeout must be at most 86400"),
    ],
)
def test_a_wrong_setting_gets_one_sentence(config, says):
    """What, where, and what to do."""
    with pytest.raises(ConfigValidationError) as error:
        ExchangeTap(config=config)
    (sentence,) = error.value.errors
    assert says in sentence


def test_a_bare_time_is_read_as_utc_and_told(caplog):
    """Meltano's "3 days ago" arrives like that."""
    with caplog.at_level(logging.WARNING):
        run = Run(Vendor({}), start_date="2026-03-01T05:00:00", end_date=T0 + DAY)
    assert run.tap.exchange.asked[0][0] == T0 + timedelta(hours=5)
    assert "Setting start_date has no offset: it is read as UTC." in caplog.messages


@pytest.mark.parametrize("keys", [[], ["id", "date"]])
def test_a_catalog_may_give_the_target_other_keys(keys):
    """Each call is known by its own all the same."""
    catalog = ExchangeTap().catalog_dict
    catalog["streams"][0]["key_properties"] = keys
    assert Run(Vendor(hourly(24)), catalog=catalog).ids == Run(Vendor(hourly(24))).ids


def test_a_catalog_that_selects_nothing_says_so(caplog):
    """An empty output is not an account without calls."""
    ExchangeTap(config={}, catalog={"streams": []})
    assert "The catalog selects no stream: nothing is read." in caplog.text


def test_a_catalog_with_an_unknown_stream_is_refused():
    """By name, with what is known."""
    catalog = ExchangeTap().catalog_dict
    catalog["streams"][0]["tap_stream_id"] = "kalls"
    catalog["streams"][0]["stream"] = "kalls"
    with pytest.raises(PluginError, match="does not know: kalls; known: calls"):
        Run(Vendor({}), catalog=catalog)


@pytest.mark.parametrize("expression", ["1 / 0", "id + 'x'", "int(date)", "date.nothing()"])
def test_a_map_that_fails_on_a_call_is_told_as_that(expression):
    """Not as a fault of the program; nothing of the call is shown."""
    run = Run(Vendor(hourly(3)), stream_maps={"calls": {"more": expression}}, start_date=T0)
    assert run.error.startswith("The mapping in stream_maps fails on a call of stream calls (")
    assert "2026" not in run.error
    assert run.bookmarks == []


@pytest.mark.parametrize("name", ["call", "Calls", "orders*"])
def test_a_map_that_meets_no_stream_is_refused(name):
    """What it takes out, a phone number perhaps, would pass."""
    with pytest.raises(PluginError, match=r"stream_maps has a stream that .*; known: calls"):
        ExchangeTap(config={"stream_maps": {name: {"date": "__NULL__"}}})


@pytest.mark.parametrize("maps", [{"cal*": {}}, {"new": {"__source__": "calls"}}, {"calls": None}])
def test_a_map_may_name_its_stream_in_every_way(maps):
    """As the SDK has them."""
    ExchangeTap(config={"stream_maps": {**maps, "__else__": None}})


def test_a_deselected_field_is_left_out_and_a_stream_map_is_applied():
    """The fast path changes neither."""
    catalog = ExchangeTap().catalog_dict
    (stream,) = catalog["streams"]
    for entry in stream["metadata"]:
        if entry["breadcrumb"] == []:
            entry["metadata"]["selected"] = True
        if entry["breadcrumb"] == ["properties", "date"]:
            entry["metadata"] = {"inclusion": "available", "selected": False}
    stream["replication_method"] = "FULL_TABLE"
    stream["replication_key"] = None
    config = {"start_date": T0, "end_date": T0 + DAY}
    run = Run(Vendor({1: T0}), **config, catalog=catalog)
    assert [message["record"] for message in run.of("RECORD")] == [{"id": 1}]
    assert [*run.of("SCHEMA")[0]["schema"]["properties"]] == ["id"]
    assert run.bookmarks == []
    maps = {"calls": {"twice": "int(id * 2)", "__filter__": "id != 2"}}
    run = Run(Vendor(hourly(4)), **config, stream_maps=maps)
    assert sorted(m["record"]["twice"] for m in run.of("RECORD")) == [0, 2, 6]


def test_progress_tells_the_window_the_speed_and_the_time_left():
    """Without a guess before the first window is done."""
    assert how_far(0, 4, 50, 1) == "window 1 of 4, 50 calls so far, 50 calls/s, unknown time left"
    assert how_far(1, 4, 900, 9) == "window 2 of 4, 900 calls so far, 100 calls/s, about 27 s left"
    assert how_far(4, 4, 0, 0).startswith("window 4 of 4, 0 calls so far, 0 calls/s")


def test_the_last_window_is_asked_for_with_what_had_not_ended_but_never_with_the_future():
    """A run up to now asks up to now; one that ends in the past asks for a longest call more."""
    vendor = Vendor({})
    Run(vendor, start_date=T0, end_date=T0 + 14 * DAY)
    assert vendor.asked[-1] == (T0 + 7 * DAY, T0 + 14 * DAY + WindowedStream.LONGEST_CALL)
    vendor.asked = []
    began = datetime.now(UTC)
    Run(vendor, start_date=began - DAY)
    assert vendor.asked[-1][1] <= datetime.now(UTC)


def test_what_is_left_out_since_it_began_elsewhere_is_counted(caplog):
    """Once a run, with the number of calls."""
    vendor = Vendor(hourly(48))
    vendor.extra = [{"id": 1000 + n, "date": utc_text(T0 - DAY)} for n in range(3)]
    with caplog.at_level(logging.INFO):
        run = Run(vendor, start_date=T0, end_date=T0 + 2 * DAY)
    assert sorted(run.ids) == [*range(48)]
    assert "3 calls of the answers began outside" in caplog.text
