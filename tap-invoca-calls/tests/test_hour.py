"""Half an hour of a busy network, with failed and partial polls and a restart."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
from collections import defaultdict
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

import pytest

from singer_calls.extract import SchemaDrift
from tap_invoca_calls.records import FIELDS, record
from tap_invoca_calls.streams import CallsInProgress, Clock
from tap_invoca_calls.tap import TapInvocaCalls

PAUSE = 100


class Poll(NamedTuple):
    """What one answered poll showed: its time, the calls by key, and whether none was missing."""

    at: str
    shown: dict
    complete: bool


class Hour:
    """Drives the sandbox's clock by the tap's own sleeping, and keeps what the tap said."""

    def __init__(self, sandbox, settings):
        self.sandbox, self.settings = sandbox, settings
        self.answered, self.stop_at = [], None
        # A call's row is the same for many polls.
        self.record = cache(lambda row: record(json.loads(row), SchemaDrift()))
        self.clock = Clock(self._now, lambda: sandbox.now, self._sleep)

    def _now(self):
        self.answered.append(self.sandbox.now)
        return datetime.fromtimestamp(self.sandbox.now, UTC)

    def _sleep(self, seconds):
        self.sandbox.advance(seconds)
        if self.stop_at and self.sandbox.now >= self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def watch(self, seconds, state=None, every=10):
        """Run the tap, a poll ``every`` so many seconds; what it said."""
        hour = self

        class Driven(TapInvocaCalls):
            def discover_streams(self):
                return [CallsInProgress(self, hour.clock)]

        out = io.TextIOWrapper(io.BytesIO(), write_through=True)
        config = self.settings | {"watch_seconds": seconds, "poll_seconds": every}
        try:
            with redirect_stdout(out):
                Driven(config=config, state=state).sync_all()
        finally:
            out.seek(0)
            self.said = [json.loads(line) for line in out]
        return self.said

    def truth(self):
        """What each answered poll showed, from the sandbox's own calls."""
        live, world = self.sandbox.state.vendor("invoca-live"), self.sandbox.state.world
        after, every = world.now, live.switch["partial_every"]
        polls = []
        for number, at in enumerate(self.answered, 1):
            world.now = at
            complete = bool(number % every)
            rows = [live.render(call) for call in live.on_the_line()][:: 1 if complete else 2]
            calls = [self.record(json.dumps(row)) for row in rows]
            time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            polls.append(Poll(time, {call["transaction_id"]: call for call in calls}, complete))
        world.now = after
        return polls


@pytest.fixture(scope="module", params=[1800, pytest.param(3600, marks=pytest.mark.long)])
def hour(request, busy):
    """Both halves, the second resumed from the state of the first."""
    busy.reset()
    busy.switches("invoca-live", partial_every=7)
    busy.faults("invoca-live", {"fault": "503", "probability": 0.05})
    settings = {
        "api_url": f"{busy.url}/invoca",
        "oauth_token": "sandbox-invoca-token",
        "organization_type": "Network",
        "organization_id": 1,
        "backoff_max_tries": 1,
    }
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    hour, half = Hour(busy, settings), request.param // 2
    hour.seconds = request.param
    hour.stop_at = busy.now + half
    with pytest.raises(SystemExit) as stopped:
        hour.watch(7200)
    hour.code, first = stopped.value.code, hour.said
    hour.stop_at = None
    hour.before_restart = len(hour.answered)
    busy.advance(PAUSE)
    hour.said = first + hour.watch(half - PAUSE, _states(first)[-1])
    for number, handler in handlers.items():
        signal.signal(number, handler)
    hour.polls = hour.truth()
    hour.stories = defaultdict(list)
    for message in hour.said:
        if message["type"] == "RECORD":
            hour.stories[message["record"]["transaction_id"]].append(message["record"])
    return hour


def _states(messages):
    return [message["value"] for message in messages if message["type"] == "STATE"]


def _open(state):
    return {row["transaction_id"] for row in state["bookmarks"]["calls_in_progress"]["open_calls"]}


def _fields(row):
    """The call itself, without what the watch adds and what was not asked for."""
    return {name: row[name] for name in FIELDS if name != "demographics_data"}


def _seen(hour, key):
    return [(n, poll.shown[key]) for n, poll in enumerate(hour.polls) if key in poll.shown]


def test_the_hour_was_as_it_should_be(hour):
    """500 calls an hour, 5 % failed polls, partial ones, and a stop by SIGTERM."""
    journal = hour.sandbox.journal("invoca-live")
    failed = [entry for entry in journal if entry["fault"]]
    assert hour.code == 128 + signal.SIGTERM
    assert len(hour.stories) >= hour.seconds / 7.5
    assert 0.03 < len(failed) / len(journal) < 0.08
    assert len(journal) - len(failed) == len(hour.polls) > hour.seconds / 12
    assert sum(not poll.complete for poll in hour.polls) > hour.seconds / 90


def test_every_call_seen_has_one_first_sight(hour):
    """At the first poll that showed it, and no other call is told of."""
    assert hour.stories.keys() == {key for poll in hour.polls for key in poll.shown}
    for key, story in hour.stories.items():
        first = hour.polls[_seen(hour, key)[0][0]].at
        assert story[0]["observed_at"] == first
        assert {row["first_seen_at"] for row in story} == {first}
        assert sum(row["observed_at"] == first for row in story) == 1


def test_every_call_seen_has_one_end_or_is_still_open(hour):
    """At the first complete answer without it, the last of its records."""
    still_open = _open(_states(hour.said)[-1])
    for key, story in hour.stories.items():
        last = _seen(hour, key)[-1][0]
        misses = (poll.at for poll in hour.polls[last + 1 :] if poll.complete)
        expected = [at for at in [next(misses, None)] if at]
        assert [row["ended_at"] for row in story if row["ended_at"]] == expected
        assert bool(story[-1]["ended_at"]) == bool(expected) == (key not in still_open)
        if expected:
            assert story[-1]["last_seen_at"] == hour.polls[last].at


def test_changes_come_in_order_each_once(hour):
    """What was told of a call is what the polls showed of it, without repetitions."""
    changed = 0
    for key, story in hour.stories.items():
        versions = []
        for _, call in _seen(hour, key):
            if not versions or versions[-1] != _fields(call):
                versions.append(_fields(call))
        assert [_fields(row) for row in story if not row["ended_at"]] == versions
        changed += len(versions) > 1
    assert changed > hour.seconds / 36


def test_an_end_holds_the_call_as_it_was_seen_last(hour):
    """Unless it ended while nobody watched: then it is marked, and holds key and times only."""
    unwatched = 0
    for key, story in hour.stories.items():
        last, call = _seen(hour, key)[-1]
        end = story[-1]
        if not end["ended_at"]:
            continue
        stopped = (
            last < hour.before_restart and end["ended_at"] > hour.polls[hour.before_restart - 1].at
        )
        unwatched += stopped
        assert end["ended_while_stopped"] is stopped
        if stopped:
            assert end.keys().isdisjoint(FIELDS.keys() - {"transaction_id"})
        else:
            assert _fields(end) == _fields(call)
    assert unwatched > 5


@pytest.mark.parametrize(
    "shown",
    [
        lambda now: now // 2 * 2,
        lambda now: now - 7 * (int(now) // 10 % 2),  # set back by 7 s, and on again, and again
    ],
    ids=["even seconds", "set back"],
)
def test_no_two_polls_are_of_one_second(sandbox, settings, shown):
    """A table's key is a call and the second of the poll: none overwrites another's row."""

    class Late(Hour):
        def _now(self):
            return datetime.fromtimestamp(shown(self.sandbox.now), UTC)

    hour = Late(sandbox, settings)
    states = _states(hour.watch(20, every=1))
    states += _states(hour.watch(4, states[-1], every=1))  # in the second of the last poll
    times = [state["bookmarks"]["calls_in_progress"].get("polled_at") for state in states]
    polls = [at for at, _ in itertools.groupby(times) if at]
    assert sorted({*polls}) == polls
    assert len(polls) == len(sandbox.journal("invoca-live")) > 10


def test_a_clock_that_was_far_ahead_is_not_followed(sandbox, settings):
    """Set right, it is right at once; what was told in the future stays a row of its own."""
    state = {"polled_at": "2999-01-01T00:00:00Z", "open_calls": []}
    hour = Hour(sandbox, settings)
    (*_, last) = _states(hour.watch(2, {"bookmarks": {"calls_in_progress": state}}, every=1))
    assert last["bookmarks"]["calls_in_progress"]["polled_at"] < "2027"


def test_the_same_question_is_the_same_however_it_is_written(sandbox, settings):
    """Else the calls that are open would be forgotten, and their ends never told."""
    hour = Hour(sandbox, settings | {"lookup": {"call_record_id": "none"}})
    (*_, state) = _states(hour.watch(1, every=1))
    mark = state["bookmarks"]["calls_in_progress"]
    at = dict.fromkeys(("first_seen_at", "last_seen_at"), mark["polled_at"])
    mark["open_calls"] = [{"transaction_id": "A", "fingerprint": "x"} | at]
    url = settings["api_url"].replace("http", "HTTP") + "/"
    hour.settings |= {"api_url": url, "lookup": {"call_record_id": "none", "transaction_id": None}}
    ended = [m["record"] for m in hour.watch(1, state, every=1) if m["type"] == "RECORD"]
    assert [(row["transaction_id"], bool(row["ended_at"])) for row in ended] == [("A", True)]


def test_state_follows_every_answered_poll(hour):
    """With just the calls that were told and are not ended."""
    open_calls, number, states = set(), 0, []
    for message in hour.said:
        if message["type"] == "RECORD":
            key, ended = (message["record"][name] for name in ("transaction_id", "ended_at"))
            (open_calls.discard if ended else open_calls.add)(key)
        elif message["type"] == "STATE" and "open_calls" in str(message):
            number += 1
            assert _open(message["value"]) == open_calls
            states.append(message)
    assert number >= len(hour.polls)
