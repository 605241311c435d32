"""STATE never precedes its calls."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from singer_calls.deliver.watermark import StateWriter, Watermark

EVENTS = st.lists(st.sampled_from(["call", "state", "settle", "take"]), max_size=200)


@given(events=EVENTS, data=st.data())
def test_a_state_is_true_only_when_all_calls_before_it_are_settled(events, data):
    """Whatever the order of settling; and the newest true one is never withheld."""
    mark = Watermark()
    open_calls, opened, states, out = set(), 0, [], []
    for event in events:
        if event == "call":
            number = mark.open()
            open_calls.add(number)
            opened += 1
        elif event == "state":
            mark.state({"n": opened})
            states.append(opened)
        elif event == "settle" and open_calls:
            number = data.draw(st.sampled_from(sorted(open_calls)))
            open_calls.discard(number)
            mark.settle(number)
        elif event == "take" and (value := mark.take()):
            out.append(value["n"])
            assert all(number >= value["n"] for number in open_calls)
    assert out == sorted(out)
    for number in open_calls:
        mark.settle(number)
    last = mark.take()
    if states:
        assert (last["n"] if last else out[-1]) == states[-1]


@given(order=st.permutations(range(8)), stop=st.integers(0, 7))
def test_no_state_behind_a_call_that_is_not_settled_is_ever_true(order, stop):
    """Pending calls hold the bookmark before them, whatever settles when, and cost no memory."""
    mark = Watermark()
    for n in range(8):
        mark.state({"n": n})
        mark.open()
    mark.state({"n": 8})
    for number in order:
        mark.stop_at(number) if number == stop else mark.settle(number)
    for number in range(8, 100):
        mark.open()
        mark.settle(number)
        mark.state({"n": number + 1})
    assert (mark.take() or {"n": 0})["n"] == stop
    assert len(mark._settled) + len(mark._waiting) <= 8


def test_an_empty_state_erases_nothing():
    """A tap that starts over without a bookmark must not wipe the one downstream."""
    mark = Watermark()
    mark.state({"bookmark": 1})
    mark.state({})
    assert mark.take() == {"bookmark": 1}
    assert mark.take() is None


def test_a_state_goes_out_while_the_reader_is_idle():
    """Nobody has to hand in another record for a true STATE to be written."""
    mark, written = Watermark(), threading.Event()
    writer = StateWriter(mark, lambda _state: written.set(), lambda _error: None, interval=0.01)
    writer.start()
    number = mark.open()
    mark.state({"bookmark": 1})
    assert not written.wait(0.1)
    mark.settle(number)
    assert written.wait(5)
    assert writer.close(5)


def test_a_closed_output_is_told_once_and_not_written_again():
    """After the first failed write nothing is tried any more, and close says so."""
    mark, told = Watermark(), []

    def broken(_state):
        raise BrokenPipeError(32, "Broken pipe")

    writer = StateWriter(mark, broken, told.append, interval=0.01)
    writer.start()
    for bookmark in (1, 2, 3):
        mark.state({"bookmark": bookmark})
    assert not writer.close(5)
    assert len(told) == 1
