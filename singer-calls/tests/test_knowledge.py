"""What is known of a call now, and whether its vendor has been told."""

from __future__ import annotations

import pytest

from singer_calls.deliver.entries import (
    ACCEPTED,
    CAMPAIGN,
    CLOSED,
    DUPLICATE,
    LATEST,
    REJECTED,
    SENDING,
    UNKNOWN,
    WAITING,
    Row,
    Told,
)
from singer_calls.deliver.identity import Account, Identity
from singer_calls.deliver.knowledge import Knowledge, judge_latest, read_at
from singer_calls.deliver.outcome import AlreadyDelivered, Rejected

CALLS = Account("test", "https://vendor.example", "7")
LATER = Account("test-later", "https://vendor.example", "")
MOMENT, DAY = 1_760_000_007, 86400
NOW = MOMENT + 10 * DAY
READ = 1000


def known(*true, false=(), more=None, days=548):
    said = dict.fromkeys(true, True) | dict.fromkeys(false, False)
    return Knowledge(LATER, "a", said, more or {}, repr, Identity(MOMENT), days)


SALE = known("sale")
SAID_SALE = SALE.told()
SAY = None


def call(state=ACCEPTED, told=SAID_SALE, read=READ):
    return Row(CALLS, "a", state, 1, 1, told=told, source_read=read)


def later(state, knowledge, before=SAID_SALE, **more):
    told = knowledge.told(before)
    refused = (told.fingerprint,) if state == REJECTED else ()
    return Row(
        LATER, "a", state, 2, 1, fingerprint=told.fingerprint, refused=refused, policy=LATEST,
        told=told, **more,
    )  # fmt: skip


QUOTE = known("quote")


@pytest.mark.parametrize(
    ("knowledge", "own", "latest", "becomes"),
    [
        # Nothing is said of a call that is not delivered.
        *((QUOTE, call(state), None, AlreadyDelivered)
          for state in (SENDING, UNKNOWN, WAITING, REJECTED, CLOSED)),
        (QUOTE, None, None, AlreadyDelivered),
        # What was said with the call is not said again, whatever the case and the order.
        (SALE, call(), None, AlreadyDelivered),
        (SALE, call(DUPLICATE), None, AlreadyDelivered),
        (known("SALE"), call(), None, AlreadyDelivered),
        (known(false=["sale"]), call(), None, SAY),
        (known(), call(), None, SAY),
        (known(), call(told=Told()), None, AlreadyDelivered),
        (QUOTE, call(), None, SAY),
        (known("sale", more={"channel": "x"}), call(), None, SAY),
        # Of an attempt that is not sure to be the one that was processed, it is said.
        (SALE, call(told=Told(("sale",), SAID_SALE.fingerprint, sure=False)), None, SAY),
        # Newer wins; what was read at once as well.
        (QUOTE, call(read=READ + 1), None, AlreadyDelivered),
        (QUOTE, call(read=READ + 1), later(UNKNOWN, SALE), AlreadyDelivered),
        # Delivered before it was kept: what is seen first counts as said.
        (QUOTE, call(told=None), None, Told),
        # What was said later counts, until more is known.
        (QUOTE, call(), later(ACCEPTED, QUOTE), AlreadyDelivered),
        (SALE, call(), later(ACCEPTED, QUOTE), SAY),
        (QUOTE, call(), later(CLOSED, QUOTE), AlreadyDelivered),
        (SALE, call(), later(CLOSED, QUOTE), SAY),
        *((QUOTE, call(), later(state, QUOTE), SAY) for state in (UNKNOWN, WAITING)),
        # Refused: once, unless a person lets it go, or all were refused.
        (QUOTE, call(), later(REJECTED, QUOTE), Rejected),
        (SALE, call(), later(REJECTED, QUOTE), SAY),
        (QUOTE, call(), later(REJECTED, QUOTE, released=True), SAY),
        (QUOTE, call(), later(REJECTED, QUOTE, remedy=CAMPAIGN), SAY),
        # The vendor's time is over.
        (known("quote", days=9), call(), None, Rejected),
        (known("quote", days=11), call(), None, SAY),
    ],
)  # fmt: skip
def test_what_is_known_decides(knowledge, own, latest, becomes):
    """A row for each line of the module's table."""
    found = judge_latest(knowledge, READ, (own, latest), NOW)
    assert found is SAY if becomes is SAY else isinstance(found, becomes), found


def test_whatever_was_said_once_is_said_again_true_or_not():
    """In its first spelling, however the tags come and go."""
    told = known("Sale").told()
    told = known("SALE", "Quote").told(told)
    told = known(false=["quote"]).told(told)
    assert told.names == ("Sale", "Quote")
    assert known("Service").whole(told.names) == {"Sale": False, "Quote": False, "Service": True}


def test_what_is_not_so_any_more_and_what_is_false_are_the_same_thing_to_say():
    """A source that changes from leaving a tag out to a false one says nothing new."""
    names = ("sale", "quote")
    assert known("quote").fingerprint(names) == known("QUOTE", false=["sale"]).fingerprint(names)
    assert known("quote").fingerprint(names) != known("sale").fingerprint(names)
    one, other = known(more={"a": "1"}), known(more={"a": "2"})
    assert one.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ("state", "attempt", "before", "names", "sure"),
    [
        (REJECTED, 1, known("quote"), ("sale",), True),  # certainly not processed
        (UNKNOWN, 1, SALE, ("sale",), True),
        (UNKNOWN, 1, known("quote"), ("quote", "sale"), False),
        (SENDING, 1, known("quote"), ("quote", "sale"), False),
    ],
)
def test_an_earlier_attempt_that_may_have_said_something_else_is_remembered(
    state, attempt, before, names, sure
):
    """Whichever of them the vendor processed, all of its names are known."""
    row = Row(CALLS, "a", state, 1, attempt, told=before.told())
    told = SALE.at_ingestion(row)
    assert (told.names, told.sure) == (names, sure)
    assert SALE.at_ingestion(None) == SAID_SALE
    unknown = Row(CALLS, "a", UNKNOWN, 1, 1)  # of a release that kept nothing
    assert not SALE.at_ingestion(unknown).sure


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ({"record": {"_sdc_extracted_at": "2026-01-01T00:00:01Z"},
          "time_extracted": "2026-01-01T00:00:09Z"}, 1),
        ({"record": {}, "time_extracted": "2026-01-01T01:00:02.5+01:00"}, 2.5),
        ({"record": {"_sdc_extracted_at": "soon"}, "time_extracted": "2026-01-01T00:00:03"}, 3),
        ({"record": {"_sdc_extracted_at": "2026-01-01 00:00:01.5 UTC"}}, 1.5),  # of a warehouse
        ({"record": {"_sdc_extracted_at": 1_767_225_604}}, 4),
        ({"record": {"_sdc_extracted_at": None}}, 7),
        ({"record": {"_sdc_extracted_at": 5}, "time_extracted": ""}, 7),
        ({"record": {}, "time_extracted": "2027-01-01T00:00:00Z"}, 8),  # no later than now
    ],
)  # fmt: skip
def test_when_a_source_was_read(message, seconds):
    """By the record, its message, or the run's start."""
    year = 1_767_225_600  # 2026-01-01T00:00:00Z
    found = read_at(message, (year + 7) * 1_000_000, now=year + 8)
    assert found == round((year + seconds) * 1_000_000)
