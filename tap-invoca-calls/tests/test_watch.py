"""The watch as a pure state machine."""

from __future__ import annotations

import json
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from tap_invoca_calls.watch import Poll, from_state, step, to_state

# One poll: which of five calls it shows, in which version each, and whether all regions answered.
polls = st.lists(
    st.tuples(st.dictionaries(st.sampled_from("ABCDE"), st.integers(1, 2)), st.booleans()),
    max_size=12,
)


def fingerprint(record):
    return sha256(str(record).encode()).hexdigest()


def call(key, version=1):
    return {"transaction_id": key, "calling_phone_number": "+15550001111", "version": version}


def watch(polls, *, restart_before=-1):
    """Play the polls; return what was emitted, by poll, and the calls that are still open."""
    open_calls, told = {}, []
    for number, (shown, complete) in enumerate(polls):
        if number == restart_before:
            open_calls = from_state(json.loads(json.dumps(to_state(open_calls))))
        answer = Poll([call(key, version) for key, version in shown.items()], complete)
        emitted, open_calls = step(open_calls, answer, f"{number:03}", fingerprint)
        told.append(emitted)
    return told, open_calls


def test_a_call_is_told_at_first_sight_on_change_and_at_its_end():
    """Nothing is told of a poll that shows what the one before showed."""
    shown = [{"A": 1}, {"A": 1}, {"A": 2}, {}, {}]
    told, still_open = watch([(calls, True) for calls in shown])
    assert [len(emitted) for emitted in told] == [1, 0, 1, 1, 0]
    first, change, end = told[0] + told[2] + told[3]
    assert first == call("A") | {
        "observed_at": "000",
        "first_seen_at": "000",
        "last_seen_at": "000",
        "ended_at": None,
        "ended_while_stopped": None,
    }
    assert (change["version"], change["first_seen_at"], change["observed_at"]) == (2, "000", "002")
    assert end == change | {
        "observed_at": "003",
        "last_seen_at": "002",
        "ended_at": "003",
        "ended_while_stopped": False,
    }
    assert not still_open


def test_a_partial_answer_ends_nothing():
    """A call that it lacks stays open, as it was last seen."""
    told, still_open = watch([({"A": 1}, True), ({}, False), ({}, False)])
    assert told[1:] == [[], []]
    assert still_open["A"].last_seen_at == "000"


def test_after_a_restart_an_unchanged_call_is_not_told_again_and_ends_whole():
    """The state knows what was told; the next answer brings back what the state may not hold."""
    told, _ = watch([({"A": 1}, True), ({"A": 1}, True), ({}, True)], restart_before=1)
    assert told[1] == []
    assert told[2][0].items() >= {**call("A"), "first_seen_at": "000", "ended_at": "002"}.items()
    assert told[2][0]["ended_while_stopped"] is False


def test_what_ended_while_the_watch_was_stopped_is_ended_and_marked():
    """Such a record has the key and the times: nothing else survives in the state."""
    told, still_open = watch([({"A": 1}, True), ({}, False), ({}, True)], restart_before=1)
    assert told[2] == [
        {
            "transaction_id": "A",
            "observed_at": "002",
            "first_seen_at": "000",
            "last_seen_at": "000",
            "ended_at": "002",
            "ended_while_stopped": True,
        }
    ]
    assert not still_open


def test_the_state_holds_nothing_of_the_call():
    """Keys, times and fingerprints only, and no number that JSON would make a float."""
    _, still_open = watch([({"A": 1}, True)])
    (row,) = to_state(still_open)
    assert row.keys() == {"transaction_id", "first_seen_at", "last_seen_at", "fingerprint"}
    assert "5550001111" not in str(row)


@settings(deadline=None)  # the machine may be busy
@given(polls, st.integers(-1, 12))
def test_one_first_sight_and_one_end_for_each_time_on_the_line(polls, restart_before):
    """Whatever is shown and whenever it restarts, first sights and ends alternate, call by call."""
    told, still_open = watch(polls, restart_before=restart_before)
    for key in "ABCDE":
        story = "".join(
            "E" if row["ended_at"] else "F" if row["first_seen_at"] == row["observed_at"] else "c"
            for emitted in told
            for row in emitted
            if row["transaction_id"] == key
        )
        visits = story.split("E")
        assert all(visit and visit == "F" + "c" * (len(visit) - 1) for visit in visits[:-1])
        assert bool(visits[-1]) == (key in still_open)


@settings(deadline=None)  # the machine may be busy
@given(polls, st.integers(-1, 12))
def test_an_end_is_told_by_complete_answers_only(polls, restart_before):
    """And a call that is shown is never ended by that answer."""
    told, _ = watch(polls, restart_before=restart_before)
    for (shown, complete), emitted in zip(polls, told, strict=True):
        ended = {row["transaction_id"] for row in emitted if row["ended_at"]}
        assert not ended & shown.keys()
        assert complete or not ended
