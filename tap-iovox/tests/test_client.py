"""Pages, their size, and calls that move under them."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from zoneinfo import ZoneInfo

import pytest
import requests

from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME
from call_sandbox.testing import Plugin
from singer_calls.errors import PluginError
from singer_calls.extract import SchemaDrift, Spill
from singer_calls.values.clock import to_utc
from tap_iovox.client import Iovox
from tap_iovox.pages import Page
from tap_iovox.tap import TapIovox

FEW = {"calls": ["id", "call_result"]}


def listed(bench):
    """The ids that the vendor lists now, asked for without the tap."""
    ids, page = [], 1
    while True:
        rows = requests.get(
            f"{bench.sandbox.url}/iovox/rest/v1/calls/insights",
            headers={"username": IOVOX_USERNAME, "secureKey": IOVOX_SECURE_KEY},
            params={
                "start_date": "2025-01-01",
                "order": "call_start_ASC",
                "response_fields": "id",
                "limit": 20000,
                "page": page,
            },
            timeout=30,
        ).json()
        ids += [str(row["id"]) for row in rows if "id" in row]
        page += 1
        if len(rows) < 20000:
            return ids


@pytest.mark.parametrize(
    ("calls", "page"), [(10_000, 1400), pytest.param(50_000, 7000, marks=pytest.mark.long)]
)
def test_many_calls_over_8_pages_while_calls_arrive(bench_of, calls, page):
    """500 calls share each second, an hour passes with each page: every call once, none missed."""
    with bench_of(calls=calls, seed=11) as bench:
        bench.sandbox.switches("iovox", ties=500, tick=3600)
        before = len(listed(bench))
        bench.sandbox.reset()
        ids = bench.run(FEW, page_size=page).ids
        bench.sandbox.switches("iovox", tick=0)
        pages = bench.asked()
        vendor = listed(bench)
    assert len(pages) >= 8
    assert len(vendor) > before
    assert Counter(ids) == Counter(vendor)


def test_killed_and_resumed_no_call_is_missing(bench_of, launch, tmp_path):
    """SIGKILL at five random places; the next run takes the last STATE that came out."""
    seed = random.randrange(10**6)  # noqa: S311
    print(f"seed {seed}")  # noqa: T201 (shown when the test fails)
    chance = random.Random(seed)  # noqa: S311
    with (
        bench_of(calls=10_000, seed=12) as bench,
        Plugin("tap-iovox", tmp_path, launch=launch) as tap,
    ):
        bench.sandbox.switches("iovox", ties=500)
        tap.settings = bench.settings(page_size=2000, window_days=7, lookback_days=0)
        catalog, state = tap.file("catalog.json", bench.catalog(FEW)), tap.file("state.json", {})
        seen, bookmarks = set(), []
        for lines in [*(chance.randrange(1, 2_500) for _ in range(5)), None]:
            run = tap.start(f"--catalog={catalog}", f"--state={state}", eager=False)
            for _ in range(lines or 0):
                run.hear()
            code = run.wait() if lines is None else run.kill().wait()
            assert code == (0 if lines is None else -signal.SIGKILL)
            seen |= {record["id"] for record in run.output.records()}
            for value in run.output.states:
                state.write_text(json.dumps(value))
                bookmarks.append(value["bookmarks"]["calls"]["replication_key_value"])
        vendor = listed(bench)
    assert seen == set(vendor)
    assert bookmarks == sorted(bookmarks)


def test_calls_listed_late_shift_no_page(bench_of):
    """Whatever was listed when the reading began is emitted once; the rest comes with the next."""
    with bench_of(calls=5000, seed=13) as bench:
        bench.sandbox.switches("iovox", ties=3, arrivals=20)
        at_first = set(listed(bench))
        bench.sandbox.reset()
        first = bench.run(FEW, page_size=700)
        second = bench.run(FEW, page_size=700, state=first.states[-1], lookback_days=100)
        everything = set(listed(bench))
    assert len(first.ids) == len(set(first.ids))
    assert at_first <= set(first.ids)
    assert at_first < everything == set(second.ids)


@pytest.mark.parametrize(
    "switches",
    [
        {"end_date": "inclusive"},
        {"end_date": "exclusive"},
        {"past_end": "last"},
        {"tie_order": "shuffled", "ties": 7},
        {"ties": 250, "past_end": "last"},
        {"ties": 600, "past_end": "last"},
        {"timezone": "UTC"},
        {"timezone": "Europe/Bucharest"},
    ],
    ids=str,
)
def test_no_unknown_of_the_vendor_loses_or_doubles_a_call(bench, switches):
    """With small pages and windows, the days on which the clocks change among them."""
    bench.sandbox.switches("iovox", **switches)
    zone = switches.get("timezone", "Europe/London")
    output = bench.run(FEW, page_size=25, window_days=20, timezone=zone)
    assert len(bench.asked()) > 25
    assert Counter(output.ids) == Counter(listed(bench))


def test_a_second_larger_than_a_page_is_read_by_page_numbers(bench):
    """All 600 calls in two seconds, 100 at a time."""
    bench.sandbox.switches("iovox", ties=400)
    assert Counter(bench.run(FEW, page_size=100).ids) == Counter(listed(bench))
    assert max(int(query["page"]) for query in bench.asked()) > 3


@pytest.mark.parametrize(
    ("page_size", "row_cap", "fields"),
    [(800, 0, ["transcriptions"]), (300, 150, ["node_id"]), (800, 130, ["transcriptions"])],
)
def test_numbered_pages_keep_their_size(bench, page_size, row_cap, fields):
    """Though the page grows or shrinks meanwhile: else calls between two of them were skipped."""
    bench.sandbox.switches("iovox", ties=400)
    expected = listed(bench)
    bench.sandbox.switches("iovox", row_cap=row_cap)
    output = bench.run({"calls": fields}, page_size=page_size)
    assert Counter(output.ids) == Counter(expected)
    assert {query["page"] for query in bench.asked()} > {"1", "2"}


@pytest.mark.parametrize("most", [110, 250])
@pytest.mark.parametrize("order", ["obeyed", "newest first"])
@pytest.mark.parametrize("past_end", ["empty", "last"])
def test_a_service_that_gives_fewer_calls_than_asked_for_ends_no_window_early(
    bench, most, order, past_end
):
    """And says nothing of it: only a page after which nothing new comes is the last."""
    expected = listed(bench)
    bench.sandbox.switches("iovox", most=most, order=order, past_end=past_end)
    assert Counter(bench.run(FEW, page_size=800).ids) == Counter(expected)


@pytest.mark.parametrize("page_size", [1, 7, 100, 300, 10_000])
@pytest.mark.parametrize("nameless", [50, 599])
def test_a_page_with_calls_that_are_none_is_not_the_last(bench_of, page_size, nameless):
    """An element without an id costs itself, and no call behind it."""
    with bench_of(calls=600 if page_size > 1 else 60, seed=3) as bench:
        bench.sandbox.switches("iovox", nameless=nameless)
        expected = listed(bench)
        output = bench.run(FEW, page_size=page_size)
    assert Counter(output.ids) == Counter(expected)


def test_newest_first_is_noticed_on_the_day_of_a_change_of_clocks(bench_of):
    """Near it a page begins up to two hours earlier: those that span less seemed in order."""
    noon = 1761480000  # 2025-10-26, the end of summer time
    with bench_of(calls=300, seed=3, now=noon, days=1) as bench:
        bench.sandbox.switches("iovox", order="newest first")
        expected = listed(bench)
        assert Counter(bench.run(FEW, page_size=10).ids) == Counter(expected)


@pytest.mark.parametrize(
    ("ids", "shifted"),
    [
        ("fghij", True),  # nothing came again
        ("efghi", True),  # one was listed meanwhile, on an earlier page
        ("defgh", True),
        ("xefgh", True),  # two, one of them on this page
        ("exfgh", True),
        ("afghi", False),  # of another place
        ("edfgh", False),  # of another order
        ("xcdfg", False),
    ],
)
def test_what_calls_listed_meanwhile_do_to_the_next_page(ids, shifted):
    """Calls of the page before come again, its last ones."""
    before, page = Page(), Page()
    for of, names in ((before, "abcde"), (page, ids)):
        for name in names:
            of.add(name, None, str.__lt__)
    assert page.is_shifted(before, {*"abcde"}) is shifted


def test_pages_in_another_order_are_read_by_their_numbers(bench, caplog):
    """Newest first is iovox's default: the next page would begin at the newest call of all."""
    expected = listed(bench)
    bench.sandbox.switches("iovox", order="newest first")
    assert Counter(bench.run(FEW, page_size=100, window_days=20).ids) == Counter(expected)
    assert caplog.text.count("reading by page numbers") == 1
    assert max(int(query["page"]) for query in bench.asked()) > 1
    with pytest.raises(PluginError, match="first one of all is not found: set start_date"):
        bench.run(FEW, start_date=None)


def test_a_beginning_that_can_not_be_dated_is_no_empty_account(bench, monkeypatch):
    """Without a start_date nothing would be read, in every run."""
    undated = [{"id": "1", "call_start": None}, {"id": "2", "call_start": None}]
    monkeypatch.setattr(Iovox, "_page", lambda *_: Spill(undated))
    with pytest.raises(PluginError, match=r"call_start that can be read.*set start_date"):
        bench.run(start_date=None)


@pytest.mark.parametrize(("page_size", "ties"), [(1, 0), (2, 0), (20, 40), (50, 60)])
def test_pages_that_show_no_order_move_on_by_their_numbers(bench_of, page_size, ties):
    """All calls of a page are of one second, the newest: there may be others before it."""
    with bench_of(calls=130, seed=3) as bench:
        bench.sandbox.switches("iovox", order="newest first", ties=ties)
        expected = listed(bench)
        assert Counter(bench.run(FEW, page_size=page_size).ids) == Counter(expected)
        with pytest.raises(PluginError, match="first one of all is not found: set start_date"):
            bench.run(FEW, start_date=None, page_size=page_size)


@pytest.mark.parametrize("page_size", [3, 10, 25])
def test_an_order_that_changes_ends_the_run(bench_of, page_size):
    """Calls between two pages would be passed over, in whichever way they are asked for."""
    with bench_of(calls=60, seed=3) as bench:
        bench.sandbox.switches("iovox", order="in turns")
        with pytest.raises(PluginError, match="in another order from page to page"):
            bench.run(FEW, page_size=page_size)
        assert Counter(bench.run(FEW, page_size=100).ids) == Counter(listed(bench))


@pytest.mark.parametrize("page_size", [1, 2, 3, 19, 20, 29])
@pytest.mark.parametrize("order", ["obeyed", "newest first"])
def test_pages_that_are_all_the_first_end_the_run(bench_of, page_size, order):
    """30 calls of one second, and as many of the next: those behind the first page can't be read.

    A last page that is repeated looks the same, and ends the window.
    """
    with bench_of(calls=60, seed=3) as bench:
        bench.sandbox.switches("iovox", ties=30, page="ignored", order=order)
        with pytest.raises(PluginError, match="the same calls whatever page is asked for"):
            bench.run(FEW, page_size=page_size)
        bench.sandbox.switches("iovox", page="obeyed", past_end="last")
        assert Counter(bench.run(FEW, page_size=page_size).ids) == Counter(listed(bench))


@pytest.mark.parametrize(
    ("zone", "day", "times"),
    [
        ("Europe/London", "2026-10-25", "00:55 01:05 01:55 01:05 01:55 02:05"),
        ("Australia/Lord_Howe", "2026-04-05", "01:05 01:35 01:55 01:35 01:55 02:05"),
    ],
)
def test_the_time_that_comes_twice_is_no_other_order(bench, zone, day, times):
    """In the order of the moments, its calls are asked for again with the next page."""
    iovox = Iovox(TapIovox(config=bench.settings(timezone=zone)).config, "", SchemaDrift(), ["id"])
    read = [to_utc(f"{day} {time}:00", ZoneInfo(zone)) for time in times.split()]
    assert not any(iovox._is_before(at, max(read[: n + 1])) for n, at in enumerate(read))
    assert all(iovox._is_before(read[0], at) for at in read[1:])
    assert all(iovox._is_before(at, read[-1]) for at in read[:-1])


def test_calls_taken_off_the_list_shift_no_page(bench_of):
    """Whatever was listed all the time is emitted."""
    with bench_of(calls=5000, seed=13) as bench:
        bench.sandbox.switches("iovox", removals=20)
        before = listed(bench)
        output = bench.run(FEW, page_size=700)
        after = listed(bench)
    assert set(after) < set(before)
    assert set(after) <= set(output.ids)
    assert len(output.ids) == len(set(output.ids))


def test_the_page_shrinks_until_it_is_answered_and_grows_back(bench):
    """HTTP 504 above 200 calls a page: halved, then a quarter more with each page."""
    bench.sandbox.switches("iovox", row_cap=200)
    output = bench.run(FEW, page_size=800)
    limits = [int(query["limit"]) for query in bench.asked()]
    bench.sandbox.switches("iovox", row_cap=0)
    assert limits[:4] == [800, 400, 200, 250]
    assert Counter(output.ids) == Counter(listed(bench))


def test_the_size_that_works_is_kept_across_windows(bench):
    """A vendor that can't answer more than 3 calls is asked for less only now and then in vain."""
    bench.sandbox.switches("iovox", row_cap=3)
    output = bench.run(FEW, page_size=800, window_days=10)
    limits = [int(query["limit"]) for query in bench.asked()]
    bench.sandbox.switches("iovox", row_cap=0)
    assert Counter(output.ids) == Counter(listed(bench))
    assert sum(limit > 3 for limit in limits) < len(limits) / 10


@pytest.mark.parametrize("fault", ["late 3", "504 retry-after 0", "408", "slow_drip 40"])
def test_a_page_that_takes_too_long_is_asked_for_in_halves(bench, fault):
    """As a 504 is; the calls are all there."""
    expected = bench.run(FEW).ids
    bench.sandbox.reset()
    bench.sandbox.faults("iovox", {"fault": fault, "times": 1})
    output = bench.run(FEW, page_size=2000, request_timeout=1)
    assert [int(query["limit"]) for query in bench.asked()][:2] == [2000, 1000]
    assert output.ids == expected


def test_the_smallest_page_is_tried_again_and_then_ends_the_run(bench):
    """One sentence, with the tries that were made."""
    bench.sandbox.faults("iovox", "504 retry-after 0")
    with pytest.raises(PluginError, match="iovox answered HTTP 504, 2 times in a row"):
        bench.run(FEW, page_size=400, backoff_max_tries=2)
    limits = [int(query["limit"]) for query in bench.asked()]
    assert limits == [400, 200, 100, 50, 25, 12, 6, 3, 1, 1]


def test_what_tells_an_ignored_page_may_be_too_much_too(bench_of):
    """Then the run ends as when iovox answers nothing."""
    with bench_of(calls=9, seed=3) as bench:
        bench.sandbox.switches("iovox", page="ignored", row_cap=1)
        with pytest.raises(PluginError, match="iovox answered HTTP 504, 1 times in a row"):
            bench.run(FEW, page_size=2, backoff_max_tries=1)


def test_a_numbered_page_that_is_too_much_is_read_again_from_its_first(bench):
    """In halves, down to the smallest page; then the run ends."""
    bench.sandbox.switches("iovox", ties=400)
    bench.sandbox.faults("iovox", {"fault": "504 retry-after 0", "after": 2})
    with pytest.raises(PluginError, match="iovox answered HTTP 504, 2 times in a row"):
        bench.run(FEW, page_size=200, backoff_max_tries=2)
    turns = [(int(query["page"]), int(query["limit"])) for query in bench.asked()]
    smaller = [(1, size) for size in (100, 50, 25, 12, 6, 3, 1, 1)]
    assert turns == [(1, 200), (2, 200), (3, 200), *smaller]


def test_pages_with_transcriptions_begin_small(bench):
    """An eighth, and grow."""
    bench.run({"calls": ["transcriptions"]}, page_size=800)
    assert [int(query["limit"]) for query in bench.asked()][:4] == [100, 125, 156, 195]
    bench.sandbox.reset()
    bench.run({"calls": ["tags"]}, page_size=800)
    assert {int(query["limit"]) for query in bench.asked()} == {800}


def test_without_a_start_date_reading_begins_with_the_first_call(bench):
    """The vendor's own default is the current month; one small request finds the oldest call."""
    output = bench.run(FEW, start_date=None, window_days=7)
    first, second, *_ = bench.asked()
    assert (first["limit"], first["start_date"]) == ("2", "2000-01-01 00:00:00")
    assert "end_date" not in first
    assert second["start_date"] > "2025-09"
    assert Counter(output.ids) == Counter(listed(bench))


def test_no_calls_at_all_is_no_error(bench_of):
    """Nothing is emitted, with or without a start."""
    with bench_of(calls=0) as bench:
        assert bench.run(start_date=None).ids == []
        assert bench.run().ids == []


def test_the_rate_limit_holds_for_all_pages(bench):
    """Headers carry both credentials; nothing of them is in the query."""
    bench.run(FEW, page_size=300)
    for query in bench.asked():
        assert {*query} == {"order", "response_fields", "start_date", "end_date", "limit", "page"}
        assert query["order"] == "call_start_ASC"
        assert IOVOX_SECURE_KEY not in json.dumps(query)
