"""What every ledger does, in memory, on SQLite and on PostgreSQL: one behaviour."""

from __future__ import annotations

import pytest
from ledgers import InMemory, OnDatabase

from singer_calls.deliver.delivery import KEY_LIMIT_CHARS, Delivery
from singer_calls.deliver.entries import (
    ACCEPTED,
    CLOSED,
    DUPLICATE,
    LATEST,
    ONCE,
    REJECTED,
    SENDING,
    UNKNOWN,
    WAITING,
    Found,
    Told,
    is_storable,
    records_of,
)
from singer_calls.deliver.identity import WITHHELD, Account, Identity
from singer_calls.deliver.ledger import (
    FORGOTTEN,
    Adopt,
    Asked,
    Claim,
    Hold,
    Lookup,
    Note,
    Refuse,
    RunEndedError,
    RunFacts,
    Seen,
)
from singer_calls.deliver.outcome import InvalidCallError

TARGET = "target-test"
FACTS = RunFacts(TARGET, request_timeout=10)
HERE = Account("impact", "https://vendor.example", "7")
THERE = Account("impact", "https://vendor.example", "8")
LATER = Account("impact-later", "https://vendor.example", "")
FOREIGN = Account("impact", "https://other.example", "7")
RECORDS = records_of(TARGET)
MOMENT = 1_700_000_001  # not on a whole minute
CALL = Identity(MOMENT, caller=11, called=22)
ANOTHER = Identity(MOMENT, caller=99, called=22)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 100.0
        self.then = None

    def __call__(self):
        then, self.then = self.then, None
        if then:
            then()
        return self.now


class Bench:
    """Runs on one ledger whose clock moves when a test says so, and trouble for them."""

    def __init__(self, ledgers):
        self.clock = Clock()
        self.machine = ledgers.machine
        self.die, self.floor, self.release = ledgers.die, ledgers.floor, ledgers.release
        self._ledgers = ledgers

    def open(self, *, machine=None):
        return self._ledgers.open(FACTS, self.clock, machine)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def bench(request):
    """A place for ledgers, and ways to put them into trouble."""
    if request.param == "memory":
        ledgers = InMemory()
    elif request.param == "sqlite":
        ledgers = OnDatabase(f"sqlite:///{request.getfixturevalue('tmp_path')}/calls.db")
    else:
        ledgers = OnDatabase(request.getfixturevalue("schema"))
    yield Bench(ledgers)
    ledgers.close()


@pytest.fixture
def ledger(bench):
    """A run."""
    return bench.open()


def look(ledger, key, account=HERE, **more):
    return ledger.apply([Lookup(account, key, **more)])[0]


def row_of(ledger, key, account=HERE):
    return look(ledger, key, account).row


def claim(ledger, key, account=HERE, fingerprint=b"f" * 16, identity=CALL):
    seen = row_of(ledger, key, account)
    return ledger.apply([Claim(account, key, seen, fingerprint, identity)])[0]


def note(ledger, key, state, account=HERE, attempt=None, **more):
    attempt = attempt or row_of(ledger, key, account).attempt
    return ledger.apply([Note(account, key, attempt, state, **more)])[0]


def deliver(ledger, key, state=ACCEPTED, account=HERE, identity=CALL, **more):
    claim(ledger, key, account, identity=identity)
    assert note(ledger, key, state, account, **more)


# Claims and notes


def test_a_call_is_sending_before_its_outcome_is_known(ledger):
    """Claimed, then noted: the row says at any moment what may have happened."""
    assert look(ledger, "a") == Found()
    assert claim(ledger, "a", fingerprint=b"one") == 1
    row = row_of(ledger, "a")
    assert (row.state, row.run, row.attempt, row.identity) == (SENDING, ledger.run, 1, CALL)
    assert note(ledger, "a", ACCEPTED, reference="r1")
    row = row_of(ledger, "a")
    assert (row.state, row.fingerprint, row.reference) == (ACCEPTED, b"one", "r1")


def test_the_same_key_in_another_account_is_another_call(ledger):
    """Key and account together are the ledger's key."""
    assert claim(ledger, "a") == 1
    for account in (THERE, FOREIGN):
        assert row_of(ledger, "a", account) is None
        assert claim(ledger, "a", account) == 1


@pytest.mark.parametrize("state", [WAITING, REJECTED, UNKNOWN, ACCEPTED])
def test_of_two_runs_that_saw_the_same_row_one_gets_the_call(bench, ledger, state):
    """A claim holds only while its row is as it was seen; attempts count on."""
    other = bench.open()
    new = [Claim(HERE, "a", None, b"f", CALL)]
    assert (ledger.apply(new), other.apply(new)) == ([1], [0])
    note(ledger, "a", state)
    seen = row_of(ledger, "a")
    again = [Claim(HERE, "a", seen, b"f", CALL)]
    assert (other.apply(again), ledger.apply(again)) == ([2], [0])


@pytest.mark.parametrize("state", [ACCEPTED, DUPLICATE, REJECTED, UNKNOWN, WAITING])
def test_an_outcome_may_be_written_twice_and_another_one_not(ledger, state):
    """After a lost connection nobody knows whether the first one was written."""
    claim(ledger, "a")
    for _ in range(2):
        assert note(ledger, "a", state, reason="because")
    row = row_of(ledger, "a")
    assert (row.state, row.reason) == (state, "because")
    another = REJECTED if state == ACCEPTED else ACCEPTED
    assert note(ledger, "a", another) is (state == UNKNOWN)


def test_a_late_outcome_overwrites_nobodys(bench, ledger):
    """Only the row's newest attempt, by number and run, may be noted."""
    claim(ledger, "a")
    note(ledger, "a", WAITING)
    other = bench.open()
    assert claim(other, "a") == 2
    assert not ledger.apply([Note(HERE, "a", 1, ACCEPTED)])[0]
    assert not ledger.apply([Note(HERE, "a", 2, ACCEPTED)])[0]
    assert not other.apply([Note(HERE, "a", 1, ACCEPTED)])[0]
    assert row_of(ledger, "a").state == SENDING
    assert not ledger.apply([Note(HERE, "nowhere", 1, ACCEPTED)])[0]


def test_a_claim_clears_what_was_decided_of_the_attempt_before(bench, ledger):
    """Filed, released and reason belong to one outcome."""
    claim(ledger, "a")
    note(ledger, "a", REJECTED, reason="bad", field="Caller", file="x.jsonl", remedy="campaign")
    bench.release(HERE, "a")
    row = row_of(ledger, "a")
    assert (row.filed, row.released, row.reason, row.field) == (True, True, "bad", "Caller")
    assert row.remedy == "campaign"
    claim(ledger, "a")
    row = row_of(ledger, "a")
    assert (row.filed, row.released, row.reason, row.field) == (False, False, "", None)
    assert (row.file, row.remedy) == ("x.jsonl", "")


def test_a_licence_ends_with_the_outcome_that_it_was_given_for(bench, ledger):
    """A person released what was unknown; what came of it late is not theirs."""
    claim(ledger, "a")
    note(ledger, "a", UNKNOWN)
    bench.release(HERE, "a")
    note(ledger, "a", REJECTED)
    assert not row_of(ledger, "a").released


def test_the_last_two_refusals_are_remembered(ledger):
    """Two bad calls under one key must not take turns."""
    for fingerprint in (b"one", b"two", b"one", b"two", b"three"):
        claim(ledger, "a", fingerprint=fingerprint)
        note(ledger, "a", REJECTED)
    assert row_of(ledger, "a").refused == (b"three", b"two")


def test_many_requests_are_one_group(ledger):
    """Far more keys than one statement takes, and each result at its place."""
    keys = [f"k{n}" for n in range(2000)]
    assert ledger.apply([Claim(HERE, key, None, b"f") for key in keys]) == [1] * 2000
    mixed = [
        Note(HERE, key, 1, ACCEPTED) if n % 2 else Lookup(HERE, key) for n, key in enumerate(keys)
    ]
    results = ledger.apply(mixed)
    assert all(result is True for result in results[1::2])
    assert [found.row.key for found in results[::2]] == keys[::2]
    assert all(found.row.state == SENDING for found in results[::2])


@pytest.mark.parametrize("key", [" ", "a'b\"c%s?:x", "ключ", "📞" * 100, "A", "a\nb", "1.0"])
def test_a_key_is_a_text_and_comes_back_as_it_was(ledger, key):
    """Whatever a source calls its calls."""
    deliver(ledger, key, reason=key, reference=key)
    row = row_of(ledger, key)
    assert (row.key, row.reason, row.reference) == (key, key, key)
    assert row_of(ledger, f"{key}x") is None
    assert row_of(ledger, key.swapcase() + "!") is None


@pytest.mark.parametrize("key", ["", "a", "📞", "\x01\x1b\n", "\ue000\uffff"])
def test_what_every_database_can_hold(ledger, key):
    """And it can."""
    assert is_storable(key)
    deliver(ledger, key)
    assert row_of(ledger, key).key == key


@pytest.mark.parametrize("key", ["\0", "a\0b", "\ud83d", "a\udfff"])
def test_what_no_database_can_hold(key):
    """A delivery with such a key is refused before the ledger is asked."""
    assert not is_storable(key)
    with pytest.raises(InvalidCallError, match="NUL"):
        Delivery(Account("vendor", "https://vendor.example", "1"), key, url="", body=b"")


def test_a_campaign_is_as_long_as_every_database_can_index(ledger):
    """It comes from the record: a longer one is refused before the ledger is asked."""
    longest = Account(
        "vendor",
        "https://vendor.example",
        "".join(map(chr, range(0x20000, 0x20000 + KEY_LIMIT_CHARS))),
    )
    deliver(ledger, "a", account=longest)
    assert row_of(ledger, "a", account=longest).account == longest
    for campaign in (longest.campaign + "x", "a\0b", "\ud83d"):
        with pytest.raises(InvalidCallError, match="campaign"):
            Delivery(longest._replace(campaign=campaign), "a", url="", body=b"")


@pytest.mark.parametrize("text", ["a\0b", "a\ud83db", "x" * 5000])
def test_what_a_vendor_says_is_kept_as_far_as_it_can_be(ledger, text):
    """Its words end no run."""
    deliver(ledger, "a", REJECTED, reason=text, field=text, reference=text, file=text)
    assert row_of(ledger, "a").reason.startswith(text[0])


# Who a call is


@pytest.mark.parametrize("state", [REJECTED, WAITING])
def test_who_a_call_is_may_be_corrected_until_the_vendor_may_have_it(ledger, state):
    """A refused call was nobody yet."""
    claim(ledger, "a")
    note(ledger, "a", state)
    assert not row_of(ledger, "a").binds
    claim(ledger, "a", identity=ANOTHER)
    assert row_of(ledger, "a").identity == ANOTHER
    assert row_of(ledger, "a").binds


@pytest.mark.parametrize("later", [REJECTED, WAITING])
def test_who_a_call_is_stays_once_the_vendor_may_have_it(ledger, later):
    """Also when a later attempt certainly was not processed."""
    claim(ledger, "a")
    note(ledger, "a", UNKNOWN)
    claim(ledger, "a", identity=ANOTHER)
    note(ledger, "a", later)
    claim(ledger, "a", identity=ANOTHER)
    assert row_of(ledger, "a").identity == CALL


def test_a_row_of_the_first_format_takes_the_marks_of_who_is_read_first(ledger):
    """Known by its key alone until then; any other row keeps its own."""
    deliver(ledger, "a", identity=Identity(rule=0))
    assert row_of(ledger, "a").unmarked
    assert ledger.summary("impact").unmarked == 1
    for identity in (CALL, ANOTHER):
        ledger.apply([Adopt(HERE, "a", identity), Adopt(HERE, "nowhere", identity)])
    row = row_of(ledger, "a")
    assert (row.identity, row.unmarked) == (CALL, False)
    assert ledger.summary("impact").unmarked == 0
    assert row_of(ledger, "nowhere") is None


@pytest.mark.parametrize("state", [ACCEPTED, DUPLICATE, UNKNOWN, SENDING])
def test_the_same_call_under_another_key_or_campaign_is_found(bench, state):
    """Of another run, in this origin; withheld callers are equal."""
    who = Identity(MOMENT, WITHHELD, 5)
    first = bench.open()
    claim(first, "old", identity=who)
    if state != SENDING:
        note(first, "old", state)
    ledger = bench.open()
    for key, account in [("new", HERE), ("new", THERE), ("old", THERE)]:
        found = look(ledger, key, account, identity=who)
        assert (found.row, found.twin.key, found.twin.account) == (None, "old", HERE)
    assert look(ledger, "old", identity=who).twin is None
    assert look(ledger, "new", FOREIGN, identity=who).twin is None
    # At Invoca a network's keys are one space: the same key is the same call.
    assert look(ledger, "old", THERE, identity=who, same_key=False).twin is None
    assert look(ledger, "new", THERE, identity=who, same_key=False).twin.key == "old"


@pytest.mark.parametrize(
    "other",
    [
        Identity(MOMENT + 1, 11, 22),
        Identity(MOMENT, 12, 22),
        Identity(MOMENT, 11, 23),
        Identity(MOMENT, 11, 22, rule=2),
        Identity(MOMENT, None, 22),
        Identity(MOMENT, 11, None),
        Identity(None, 11, 22),
        Identity(),
    ],
)
def test_another_call_is_no_twin(bench, ledger, other):
    """Moment and both marks, all three, of one rule."""
    deliver(ledger, "old")
    assert look(bench.open(), "new", identity=other).twin is None


def test_a_moment_on_the_minute_proves_nothing(bench, ledger):
    """Some sources give minutes."""
    who = Identity(1_700_000_040, 11, 22)
    deliver(ledger, "old", identity=who)
    assert look(bench.open(), "new", identity=who).twin is None


@pytest.mark.parametrize("state", [REJECTED, WAITING])
def test_what_was_not_delivered_is_nobodys_twin(bench, ledger, state):
    """A rejected call under another key may be sent under this one."""
    claim(ledger, "old")
    note(ledger, "old", state)
    assert look(bench.open(), "new", identity=CALL).twin is None


def test_a_run_has_no_twins_of_its_own(ledger):
    """A source may write a row for each leg."""
    deliver(ledger, "one")
    assert look(ledger, "two", identity=CALL).twin is None


def test_a_delivered_twin_is_named_before_one_that_is_not(bench, ledger):
    """The strongest proof first."""
    claim(ledger, "a-unknown")
    note(ledger, "a-unknown", UNKNOWN)
    deliver(ledger, "z-delivered")
    assert look(bench.open(), "new", identity=CALL).twin.key == "z-delivered"


def test_who_else_asked_for_a_key(ledger):
    """In any account of the vendor, also of another origin."""
    deliver(ledger, "a", account=THERE)
    claim(ledger, "a", FOREIGN)
    claim(ledger, "a", Account("invoca", "https://vendor.example", "7"))
    claim(ledger, "b", THERE)
    rows = ledger.apply([Asked(HERE, "a")])[0]
    assert {(row.account, row.state) for row in rows} == {(THERE, ACCEPTED), (FOREIGN, SENDING)}
    assert ledger.apply([Asked(HERE, "nowhere"), Asked(THERE, "b")]) == [(), ()]


def test_no_new_call_from_before_the_floor_and_every_known_one(bench, ledger):
    """What was pruned must not be sent again; a call without a moment can't be judged."""
    claim(ledger, "known")
    note(ledger, "known", WAITING)
    bench.floor(HERE, MOMENT + 1)
    assert claim(ledger, "known") == 2
    old, young, timeless = CALL, Identity(MOMENT + 1, 1, 2), Identity(None, 1, 2)
    requests = [
        Claim(HERE, f"{n}", None, b"f", who) for n, who in enumerate((old, young, timeless))
    ]
    assert ledger.apply(requests) == [FORGOTTEN, 1, 1]
    assert row_of(ledger, "0") is None
    assert ledger.apply([Claim(THERE, "0", None, b"f", old)]) == [1]


# What is set aside


def test_an_unknown_call_is_held_while_it_is_unknown(bench, ledger):
    """And only the attempt that was seen."""
    claim(ledger, "a")
    note(ledger, "a", UNKNOWN, reason="timeout")
    assert ledger.apply([Hold(HERE, "a", 2), Hold(HERE, "b", 1)]) == [False, False]
    assert not row_of(ledger, "a").filed
    assert bench.open().apply([Hold(HERE, "a", 1, file="held.jsonl")]) == [True]
    row = row_of(ledger, "a")
    assert (row.filed, row.file, row.reason) == (True, "held.jsonl", "timeout")
    note(ledger, "a", ACCEPTED)
    assert ledger.apply([Hold(HERE, "a", 1)]) == [False]


def test_what_is_set_aside_without_being_sent_is_known(ledger):
    """A call, or a record that never became one, with the last two contents refused."""
    for account, key in [(RECORDS, "calls|5"), (HERE, "a")]:
        for fingerprint in (b"one", b"two", b"two"):
            refuse = Refuse(account, key, fingerprint, "no caller", "Caller", "x", remedy="person")
            ledger.apply([refuse])
        row = row_of(ledger, key, account)
        assert (row.state, row.refused, row.attempt) == (REJECTED, (b"two", b"one"), 0)
        assert (row.reason, row.field, row.filed, row.file) == ("no caller", "Caller", True, "x")
        assert (row.remedy, row.binds) == ("person", False)
    ledger.apply([Refuse(HERE, "b", b"f", "delivered under another id", state=UNKNOWN)])
    row = row_of(ledger, "b")
    assert (row.state, row.filed, row.binds) == (UNKNOWN, False, False)
    assert ledger.apply([Hold(HERE, "b", 0, file="held")]) == [True]
    assert ledger.summary("impact").records == 1
    assert claim(ledger, "b") == 1
    assert row_of(ledger, "b").identity == CALL


@pytest.mark.parametrize("state", [SENDING, UNKNOWN, ACCEPTED, DUPLICATE])
def test_what_the_vendor_may_have_is_not_refused_afterwards(ledger, state):
    """Its row is left as it is."""
    claim(ledger, "a")
    if state != SENDING:
        note(ledger, "a", state)
    before = row_of(ledger, "a")
    ledger.apply([Refuse(HERE, "a", b"g", "no caller")])
    assert row_of(ledger, "a") == before


@pytest.mark.parametrize("state", [REJECTED, WAITING])
def test_what_was_not_processed_may_be_refused_afterwards(bench, ledger, state):
    """Attempt and identity stay, a person's release ends."""
    claim(ledger, "a")
    note(ledger, "a", state)
    bench.release(HERE, "a")
    other = bench.open()
    other.apply([Refuse(HERE, "a", b"g", "no caller")])
    row = row_of(ledger, "a")
    assert (row.state, row.attempt, row.run, row.identity) == (REJECTED, 1, other.run, CALL)
    assert (row.refused[0], row.released) == (b"g", False)


@pytest.mark.parametrize("state", [ACCEPTED, DUPLICATE])
def test_a_delivery_closes_what_was_refused_of_its_call(ledger, state):
    """In the origin's other accounts, and the record's own row; nothing else."""
    elsewhere = Account("invoca", HERE.origin, "8")
    for account in (THERE, FOREIGN, elsewhere):
        claim(ledger, "a", account)
        note(ledger, "a", REJECTED, account)
    claim(ledger, "b", THERE)
    note(ledger, "b", REJECTED, THERE)
    other = Account("impact", HERE.origin, "9")
    claim(ledger, "a", other, identity=ANOTHER)
    note(ledger, "a", REJECTED, other)
    for record in ("calls|5", "calls|6"):
        ledger.apply([Refuse(RECORDS, record, b"f", "no caller")])
    deliver(ledger, "a", state, record="calls|5")
    assert row_of(ledger, "a", THERE).state == CLOSED
    assert row_of(ledger, "calls|5", RECORDS).state == CLOSED
    for account in (FOREIGN, elsewhere, other):
        assert row_of(ledger, "a", account).state == REJECTED
    assert row_of(ledger, "b", THERE).state == REJECTED
    assert row_of(ledger, "calls|6", RECORDS).state == REJECTED


def test_what_is_closed_may_be_claimed_again(ledger):
    """A person may decide so."""
    claim(ledger, "a", THERE)
    note(ledger, "a", REJECTED, THERE)
    deliver(ledger, "a")
    assert claim(ledger, "a", THERE) == 2


# Life and death


TOLD = Told(("Sale", "Größe"), b"t" * 16, sure=False)


def tell(ledger, read, told=TOLD, call=HERE):
    seen = row_of(ledger, "a", LATER)
    return ledger.apply(
        [Claim(LATER, "a", seen, told.fingerprint, CALL, told=told, source_read=read, call=call)]
    )[0]


@pytest.mark.parametrize("state", [None, SENDING, WAITING, REJECTED, UNKNOWN, ACCEPTED, DUPLICATE])
def test_nothing_is_said_of_a_call_before_it_is_delivered(ledger, state):
    """The ledger refuses it, whoever asks."""
    if state:
        assert claim(ledger, "a") == 1
    if state not in {None, SENDING}:
        note(ledger, "a", state)
    assert tell(ledger, 5) == (1 if state in {ACCEPTED, DUPLICATE} else 0)


def test_who_read_the_source_later_has_the_last_word(ledger):
    """Also when nothing was new to say, and while others wait to say something older."""
    told = Told(("Sale",), b"s" * 16)
    ledger.apply([Claim(HERE, "a", None, b"f" * 16, CALL, told=told, source_read=10)])
    note(ledger, "a", ACCEPTED)
    before = row_of(ledger, "a")
    assert (before.told, before.source_read, before.policy) == (told, 10, ONCE)
    assert tell(ledger, 9) == 0
    assert tell(ledger, 20) == 1
    assert row_of(ledger, "a").source_read == 20
    later = row_of(ledger, "a", LATER)
    assert (later.told, later.policy, later.state) == (TOLD, LATEST, SENDING)
    note(ledger, "a", ACCEPTED, LATER)
    assert row_of(ledger, "a", LATER).told.sure
    ledger.apply([Seen(HERE, "a", 30), Seen(HERE, "a", 25), Seen(HERE, "b", 40)])
    assert row_of(ledger, "a").source_read == 30
    assert tell(ledger, 29) == 0
    assert tell(ledger, 30) == 2
    assert row_of(ledger, "a").updated == before.updated


@pytest.mark.parametrize("before", [None, Told(("Sale",), b"s" * 16)])
def test_what_the_vendor_refused_was_never_said(ledger, before):
    """A name that it does not know must not be said again with all that is."""
    deliver(ledger, "a")
    if before:
        assert tell(ledger, 5, before) == 1
        note(ledger, "a", ACCEPTED, LATER)
    assert tell(ledger, 6) == 1 + bool(before)
    note(ledger, "a", REJECTED, LATER, unsaid=True, told=before)
    assert row_of(ledger, "a", LATER).told == before


def test_an_older_run_that_sends_a_call_again_makes_nobody_forget_who_read_it_later(bench, ledger):
    """The newer run's attempt may have been processed."""
    ledger.apply([Claim(HERE, "a", None, b"f" * 16, CALL, told=TOLD, source_read=20)])
    note(ledger, "a", UNKNOWN)
    other = bench.open()
    seen = row_of(other, "a")
    other.apply([Claim(HERE, "a", seen, b"g" * 16, CALL, told=TOLD, source_read=10)])
    note(other, "a", DUPLICATE)
    assert row_of(other, "a").source_read == 20
    assert tell(other, 15) == 0


def test_what_counts_as_said_of_a_call_is_kept_once(ledger):
    """Of one that was delivered before it was kept, and of no other."""
    for key, told in (("a", None), ("b", Told(("Quote",)))):
        ledger.apply([Claim(HERE, key, None, b"f" * 16, CALL, told=told)])
        note(ledger, key, ACCEPTED)
        ledger.apply([Seen(HERE, key, 5, TOLD)])
    assert row_of(ledger, "a").told == TOLD
    assert row_of(ledger, "b").told.names == ("Quote",)


def test_calls_of_a_run_that_died_here_are_unknown_at_once(bench):
    """On one machine a process that is gone is gone."""
    theirs = bench.open(machine=bench.machine)
    claim(theirs, "a")
    ledger = bench.open(machine=bench.machine)
    assert ledger.reap() == 0
    bench.die(theirs)
    assert ledger.reap() == 1
    row = row_of(ledger, "a")
    assert (row.state, row.bound, row.filed) == (UNKNOWN, True, False)
    assert "before the vendor's answer" in row.reason


def test_a_run_elsewhere_is_ended_when_its_counter_stood_still_for_its_expiry(bench):
    """Watched on our own clock, from when we first looked."""
    theirs = bench.open()
    claim(theirs, "a")
    bench.clock.now += 1000  # whatever the time was before
    ledger = bench.open()
    steps = [FACTS.expiry - 1, 2]
    bench.clock.now += steps[0]
    assert ledger.reap() == 0
    assert theirs.beat()
    bench.clock.now += steps[1]
    assert ledger.reap() == 0
    bench.clock.now += FACTS.expiry - 0.1
    assert ledger.reap() == 0
    assert row_of(ledger, "a").state == SENDING
    bench.clock.now += 0.2
    assert ledger.reap() == 1
    assert row_of(ledger, "a").state == UNKNOWN


def test_a_beat_at_the_last_moment_keeps_a_run_alive(bench):
    """Between the look at its counter and its end: who ends a run ends what it watched."""
    theirs = bench.open()
    claim(theirs, "a")
    ledger = bench.open()
    bench.clock.now += FACTS.expiry + 1
    bench.clock.then = theirs.beat
    assert ledger.reap() == 0
    assert theirs.beat()
    assert row_of(ledger, "a").state == SENDING


def ended_by_another(bench):
    other = bench.open()
    bench.clock.now += FACTS.expiry + 1
    other.reap()
    return other


def test_a_run_that_was_ended_sends_nothing_more(bench):
    """Its claims fail, and what else stands in the group is carried out."""
    ledger = bench.open()
    assert ledger.beat()
    claim(ledger, "late")
    other = ended_by_another(bench)
    assert not ledger.beat()
    assert not ledger.beat()
    with pytest.raises(RunEndedError):
        ledger.apply([Claim(HERE, "a", None, b"f"), Note(HERE, "late", 1, ACCEPTED)])
    assert row_of(other, "a") is None
    assert row_of(other, "late").state == ACCEPTED
    assert other.beat()


@pytest.mark.parametrize("state", [ACCEPTED, DUPLICATE, REJECTED, WAITING, UNKNOWN])
def test_a_late_outcome_turns_unknown_into_what_happened(bench, state):
    """Whoever was taken for dead still knows what became of its request."""
    ledger = bench.open()
    claim(ledger, "a")
    other = ended_by_another(bench)
    assert row_of(other, "a").state == UNKNOWN
    assert note(ledger, "a", state, attempt=1)
    assert row_of(other, "a").state == state


def test_a_late_outcome_does_not_touch_what_another_run_has_claimed_since(bench):
    """Under the policy `retry`, or released by a person."""
    ledger = bench.open()
    claim(ledger, "a")
    other = ended_by_another(bench)
    assert claim(other, "a") == 2
    for state in (ACCEPTED, REJECTED, WAITING, UNKNOWN):
        assert not note(ledger, "a", state, attempt=1)
    assert row_of(other, "a").state == SENDING


@pytest.mark.parametrize("how", ["done", "failed"])
def test_a_run_that_ends_leaves_nothing_sending(bench, ledger, how):
    """What it could not write down is unknown, and only that."""
    theirs = bench.open()
    claim(theirs, "theirs")
    claim(ledger, "mine")
    deliver(ledger, "delivered")
    ledger.close(how=how, counts={"impact": {"2026-11-27": {"accepted": 1}}})
    assert row_of(theirs, "mine").state == UNKNOWN
    assert row_of(theirs, "delivered").state == ACCEPTED
    assert row_of(theirs, "theirs").state == SENDING


def test_the_next_run_has_a_new_number(bench):
    """Numbers are never used again."""
    numbers = []
    for _ in range(3):
        run = bench.open()
        numbers.append(run.run)
        run.close()
    assert numbers == sorted(set(numbers))


def test_whose_run_it_is_can_be_told(bench, ledger):
    """For people who wait for it."""
    assert f"run {ledger.run} of {TARGET}" in bench.open().who(ledger.run)


def test_what_is_known_at_the_start(bench, ledger):
    """Delivered to this vendor, whatever the account."""
    for n, account in enumerate((HERE, THERE, FOREIGN)):
        deliver(ledger, f"{n}", account=account, identity=Identity(MOMENT + n, 1, 1))
    deliver(ledger, "d", DUPLICATE, identity=Identity())
    deliver(ledger, "i", account=Account("invoca", "https://invoca.net", "1"))
    claim(ledger, "u")
    note(ledger, "u", UNKNOWN)
    known = bench.open().summary("impact")
    assert (known.calls, known.newest, known.unmarked) == (4, "2023-11-14T22:13:23Z", 0)
    nothing = ledger.summary("nobody")
    assert (nothing.calls, nothing.newest) == (0, None)
    assert [(one.empty, one.first_here) for one in (known, nothing)] == [
        (False, False),
        (False, True),
    ]
