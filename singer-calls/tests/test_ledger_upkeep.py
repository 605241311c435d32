"""``call-ledger prune``, ``forget`` and ``copy``: nothing that was delivered is ever new again."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
import sqlalchemy as sa
from desk_bench import CALLER, FACTS, HERE, THERE, Kept, source

from call_sandbox.testing import record
from singer_calls.deliver.entries import ACCEPTED, CLOSED, REJECTED, SENDING, UNKNOWN
from singer_calls.deliver.identity import Identity
from singer_calls.deliver.ledger import FORGOTTEN, Claim, LedgerError, Lookup, Note
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, DECISIONS, RUNS
from singer_calls.ledger_cli.desk import Desk

DAY = 24 * 60 * 60
JANUARY = 1767225600  # 2026-01-01


@pytest.fixture
def kept(ledger_url, tmp_path):
    kept = Kept(ledger_url, tmp_path / "rejected")
    yield kept
    kept.letters.close()
    with contextlib.suppress(Exception):
        kept.ledger.close()


def deliver(ledger, key, moment, state=ACCEPTED, account=HERE):
    identity = Identity(moment, 1, 2)
    assert ledger.apply([Claim(account, key, None, b"\1" * 16, identity)]) == [1]
    ledger.apply([Note(account, key, 1, state)])


def claim(ledger, key, moment):
    return ledger.apply([Claim(HERE, key, None, b"\1" * 16, Identity(moment, 1, 2))])[0]


# Prune


def test_after_prune_no_forgotten_call_is_new_again(kept):
    """Not under its key nor another one, nor with its time zone corrected by 14 hours."""
    for key, moment in {"old": -3 * DAY, "under": -60, "new": 60}.items():
        deliver(kept.ledger, key, JANUARY + moment)
    deliver(kept.ledger, "waits", JANUARY - 3 * DAY, UNKNOWN)
    deliver(kept.ledger, "no moment", None)
    out = kept("prune", "--before", "2026-01-01", "--force")
    assert out.startswith("1 call forgotten")
    rows = {key: kept.row(key) for key in ("old", "under", "new", "waits", "no moment")}
    assert [key for key, row in rows.items() if row is None] == ["old"]
    for key, moment in {"old": -3 * DAY, "other": -3 * DAY + 14 * 3600}.items():
        assert claim(kept.ledger, key, JANUARY + moment) == FORGOTTEN
    assert claim(kept.ledger, "fresh", JANUARY) == 1


def test_a_floor_never_sinks_and_a_young_day_needs_force(kept):
    """A second, earlier prune lets nothing in."""
    deliver(kept.ledger, "a", JANUARY)
    kept("prune", "--before", "2026-01-01", "--force")
    kept("prune", "--before", "2025-01-01")
    assert claim(kept.ledger, "b", JANUARY - 1) == FORGOTTEN
    young = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 80 * DAY))
    kept("prune", "--before", young, code=3)
    kept("prune", "--before", "2025-01-01", "--account", "nobody", code=3)


def test_prune_removes_originals_that_wait_for_nobody(kept):
    """When no run has files open; what waits keeps its own."""
    kept.note("bad", REJECTED, reason="r")
    kept.note("held", UNKNOWN, reason="r")
    assert "under way" in kept("prune", "--before", "2999-01-01", "--force")
    kept("resolve", "bad", "--drop")
    kept.ledger.close()
    rejected, held = kept.letters.rejected.path, kept.letters.held.path
    kept("prune", "--before", "2999-01-01", "--force")
    assert not rejected.exists()
    assert held.read_bytes().count(b"\n") == 2


# Forget


def test_after_forget_the_caller_is_in_no_file_and_the_call_is_known(kept):
    """Held, refused and delivered ones; others in the same file stay, byte for byte."""
    for key, state in {"ok": ACCEPTED, "bad": REJECTED, "held": UNKNOWN, "left": REJECTED}.items():
        kept.note(key, state, reason="r")
    kept("resolve", "held", "--send-again", "--note", f"asked {CALLER}")
    kept("forget", "ok", code=3)
    assert "under way" in kept.said
    kept.ledger.close()
    before = kept.letters.rejected.path.read_bytes().splitlines()
    kept("forget", "ok", "bad", "held")
    assert kept.letters.rejected.path.read_bytes().splitlines() == [before[0], before[2]]
    assert not kept.letters.held.path.exists()
    assert kept.letters.rejected.path.stat().st_mode & 0o777 == 0o600
    assert all(note is None for *_, note, _ in kept.decisions())
    kept.ledger = SqlLedger(kept.url, FACTS)
    rows = {key: kept.row(key) for key in ("ok", "bad", "held")}
    assert [row.state for row in rows.values()] == [ACCEPTED, CLOSED, CLOSED]
    for row in rows.values():
        assert (row.identity, row.fingerprint, row.refused) == (Identity(), b"", ())
    assert kept.row("left").file


def test_forget_finds_a_call_that_our_own_check_refused(kept):
    """By its key, as a person asks for it: it was never sent, and the ledger has its record."""
    for key in ("refused", "left"):
        kept.refuse(key)
    kept.ledger.close()
    kept("show", "refused")
    kept("forget", "refused")
    assert "1 call forgotten, 1 original removed" in kept.said
    assert kept.letters.rejected.path.read_text().count(CALLER) == 1
    kept("forget", "nobody", code=3)


def test_forget_erases_the_recordings_of_a_call_and_of_no_other(kept, tmp_path):
    """By its id in the source, whatever stands before it in the key and behind it in the name."""
    folder = tmp_path / "store" / "iovox" / "2026" / "01" / "05"
    folder.mkdir(parents=True)
    for name in ("17.mp3", "17.wav", "117.mp3", "170.mp3"):
        (folder / name).write_bytes(b"sound")
    kept.note("iovox:17", ACCEPTED)
    kept.ledger.close()
    url = f"file://{tmp_path}/store"
    kept("forget", "iovox:17", "--recordings-url", url, "--recordings-storage", "no", code=3)
    kept("forget", "iovox:17", "--recordings-url", url)
    assert "2 recordings removed" in kept.said
    assert sorted(path.name for path in folder.iterdir()) == ["117.mp3", "170.mp3"]
    assert kept.row("iovox:17").state == ACCEPTED


def test_forget_finds_the_key_wherever_the_first_form_of_files_has_it(kept):
    """In a list, in an object, as a number: the mapping that made the key is not known any more."""
    kept.note("17", ACCEPTED)
    kept.ledger.close()
    kept.folder.mkdir(exist_ok=True)
    old = kept.folder / "target-impact-calls-1.singer.jsonl"
    places = [17, 17.0, "17", [{"id": 17.0}], {"calls": [["17"]]}, [[1, "x"], 17]]
    lines = [json.dumps(record("calls", {"place": place})) for place in [*places, 1.7, [170], None]]
    old.write_text("\n".join(lines))
    kept("forget", "17")
    assert old.read_text().splitlines() == lines[len(places) :]


def test_forget_finds_what_the_first_form_of_files_holds_and_leaves_what_it_can_not_read(kept):
    """There the key stands in the record only."""
    kept.note("ok", ACCEPTED)
    kept.ledger.close()
    kept.folder.mkdir(exist_ok=True)
    old = kept.folder / "target-impact-calls-1.singer.jsonl"
    lines = [source(key).line for key in ("ok", "other")]
    old.write_bytes(b"\n".join([*lines, b"{cut"]))
    kept("forget", "ok")
    assert old.read_bytes() == b"\n".join([lines[1], b"{cut"])
    kept("forget", "nobody", code=3)


# Copy


@pytest.fixture
def elsewhere(ledger_url, tmp_path, request):
    """The other database."""
    if ledger_url.startswith("sqlite"):
        return request.getfixturevalue("schema")
    return f"sqlite:///{tmp_path}/copy.ledger.db"


def test_a_copy_is_the_ledger_in_another_database_and_can_be_made_again(kept, elsewhere):
    """Rows, runs, decisions, floors; new runs get new numbers; refused while a run lives."""
    for n in range(300):
        deliver(kept.ledger, f"k{n}", JANUARY + n)
    kept.note("held", UNKNOWN, THERE, reason="r")
    kept("resolve", "held", "--send-again")
    kept("prune", "--before", "2025-01-01")
    kept("copy", "--to", elsewhere, code=3)
    with pytest.raises(LedgerError):  # an empty one would be taken for new
        Desk(elsewhere)
    kept.ledger.close()
    kept("copy", "--to", elsewhere)
    counts = kept("copy", "--to", elsewhere).splitlines()
    assert "301" in next(line for line in counts if "calls " in line).split()
    here, there = dumped(kept.url), dumped(elsewhere)
    assert here == there
    with contextlib.closing(SqlLedger(elsewhere, FACTS)) as run:
        assert run.run > kept.ledger.run
        assert claim(run, "old", JANUARY - 366 * DAY) == FORGOTTEN
        assert run.apply([Lookup(THERE, "held")])[0].row.released
    kept("copy", "--to", elsewhere, code=3)
    assert "already" in kept.said
    kept("copy", "--to", kept.url, code=3)


def dumped(url):
    with contextlib.closing(Desk(url)) as desk, desk.reading() as connection:
        return [
            sorted((tuple(row) for row in connection.execute(sa.select(table))), key=str)
            for table in (ACCOUNTS, RUNS, CALLS, DECISIONS)
        ]


def test_a_living_run_loses_nothing_to_prune(kept):
    """What it is sending is its own."""
    identity = Identity(JANUARY - 3 * DAY, 1, 2)
    kept.ledger.apply([Claim(HERE, "mine", None, b"\1" * 16, identity)])
    kept("prune", "--before", "2026-01-01", "--force")
    assert kept.row("mine").state == SENDING
    assert kept.ledger.apply([Note(HERE, "mine", 1, ACCEPTED)]) == [True]
