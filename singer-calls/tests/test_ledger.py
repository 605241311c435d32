"""The ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from singer_calls.deliver import ledger as db
from singer_calls.deliver import ledger_store as store
from singer_calls.deliver.ledger import Claim, Ledger, Lookup, Note, report
from singer_calls.deliver.ledger_store import LedgerError

SCOPE = "https://vendor.example/calls#7"


@pytest.fixture
def ledger(ledger_url):
    opened = Ledger(ledger_url, "target-test")
    yield opened
    opened.close()


def look(ledger, key):
    return ledger.apply([Lookup(SCOPE, key)])[0]


def claim(ledger, key, fingerprint="f1"):
    return ledger.apply([Claim(SCOPE, key, look(ledger, key), fingerprint)])[0]


def note(ledger, key, state, **more):
    ledger.apply([Note(SCOPE, key, state, **more)])


def test_a_call_is_sending_before_its_outcome_is_known(ledger):
    """Claimed, then noted: the row says at any moment what may have happened."""
    assert look(ledger, "a") is None
    assert claim(ledger, "a")
    assert look(ledger, "a").state == db.SENDING
    note(ledger, "a", db.ACCEPTED, reference="r1")
    row = look(ledger, "a")
    assert (row.state, row.fingerprint) == (db.ACCEPTED, "f1")


def test_the_same_key_at_another_destination_is_another_call(ledger):
    """Key and scope together are the ledger's key."""
    assert claim(ledger, "a")
    assert ledger.apply([Claim("elsewhere", "a", None, "f")]) == [True]


def test_a_claim_on_a_row_that_changed_meanwhile_fails(ledger, ledger_url):
    """Two runs that saw the same row: one gets the call."""
    other = Ledger(ledger_url, "target-test")
    claim(ledger, "a")
    note(ledger, "a", db.WAITING)
    seen = look(ledger, "a")
    assert other.apply([Claim(SCOPE, "a", seen, "f1")]) == [True]
    assert ledger.apply([Claim(SCOPE, "a", seen, "f1")]) == [False]
    assert ledger.apply([Claim(SCOPE, "b", None, "f")]) == [True]
    assert other.apply([Claim(SCOPE, "b", None, "f")]) == [False]
    other.close()


def test_two_runs_at_once_never_claim_the_same_call(ledger_url):
    """Hundreds of keys, two writers in parallel: each key is claimed exactly once."""
    keys = [f"k{n}" for n in range(400)]
    claimed = {0: [], 1: []}
    ledgers = [Ledger(ledger_url, "target-test") for _ in range(2)]

    def work(which):
        order = keys if which else keys[::-1]
        for start in range(0, len(order), 16):
            group = order[start : start + 16]
            results = ledgers[which].apply([Claim(SCOPE, key, None, "f") for key in group])
            claimed[which] += [key for key, won in zip(group, results, strict=True) if won]

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed[0] + claimed[1]) == sorted(keys)
    for ledger in ledgers:
        ledger.close()


def test_calls_of_a_killed_run_become_unknown_and_those_of_a_live_one_do_not(ledger, ledger_url):
    """Life is a lock that dies with its process, not a clock."""
    program = (
        "import sys, time; from singer_calls.deliver.ledger import *\n"
        "l = Ledger(sys.argv[1], 'target-test')\n"
        f"l.apply([Claim({SCOPE!r}, 'theirs', None, 'f')])\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", program, ledger_url], stdout=subprocess.PIPE)
    with run:
        assert run.stdout.readline() == b"ready\n"
        claim(ledger, "mine")
        assert ledger.reap() == 0
        assert look(ledger, "theirs").state == db.SENDING
        os.kill(run.pid, signal.SIGKILL)
    for _ in range(200):  # a server notices a dead client when it next looks
        if ledger.reap():
            break
        threading.Event().wait(0.05)
    assert look(ledger, "theirs").state == db.UNKNOWN
    assert look(ledger, "mine").state == db.SENDING


def test_a_long_list_of_keys_is_one_group(ledger):
    """Far more keys than one statement takes."""
    keys = [f"k{n}" for n in range(2000)]
    assert all(ledger.apply([Claim(SCOPE, key, None, "f") for key in keys]))
    ledger.apply([Note(SCOPE, key, db.ACCEPTED) for key in keys])
    rows = ledger.apply([Lookup(SCOPE, key) for key in keys])
    assert {row.state for row in rows} == {db.ACCEPTED}


def test_the_report_counts_by_day_and_names_what_waits_for_a_person(ledger, ledger_url):
    """Keys and reasons, no content; and looking changes nothing."""
    for key, state in [("a", db.ACCEPTED), ("b", db.REJECTED), ("c", db.UNKNOWN)]:
        claim(ledger, key)
        note(ledger, key, state, reason="because")
    lines = list(report(ledger_url))
    assert [line.split()[1:] for line in lines[1:4]] == [
        ["accepted", "1"],
        ["rejected", "1"],
        ["unknown", "1"],
    ]
    assert [line.split()[:2] for line in lines[4:]] == [["rejected", "b"], ["unknown", "c"]]
    assert lines == list(report(ledger_url))


def test_a_ledger_of_a_newer_release_is_not_touched(ledger_url):
    """An old plugin must not write into a format it does not know."""
    Ledger(ledger_url, "target-test").close()
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(store.VERSION.update().values(version=store.SCHEMA_VERSION + 1))
    with pytest.raises(LedgerError, match="newer release"):
        Ledger(ledger_url, "target-test")
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(store.RUNS)).scalar() == 1
    engine.dispose()


def test_an_older_format_is_brought_up_to_date(ledger_url, monkeypatch):
    """Each step's statements run once, and the rows stay."""
    first = Ledger(ledger_url, "target-test")
    claim(first, "a")
    note(first, "a", db.ACCEPTED)
    first.close()
    monkeypatch.setattr(store, "SCHEMA_VERSION", store.SCHEMA_VERSION + 1)
    monkeypatch.setitem(
        store.MIGRATIONS,
        store.SCHEMA_VERSION - 1,
        ("ALTER TABLE call_ledger ADD COLUMN remark VARCHAR(10)",),
    )
    for _ in range(2):
        again = Ledger(ledger_url, "target-test")
        assert look(again, "a").state == db.ACCEPTED
        again.close()
    engine = sa.create_engine(ledger_url)
    assert "remark" in {column["name"] for column in sa.inspect(engine).get_columns("call_ledger")}
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a SQLAlchemy URL"),
        ("mysql://host/db", "SQLite or PostgreSQL"),
        ("sqlite://", "must name a file"),
        ("sqlite:////proc/nowhere/calls.db", "can't be opened"),
        ("postgresql+psycopg://user:hunter2@127.0.0.1:1/db", "can't be opened"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_why_and_no_secret(url, says):
    """One sentence, without the URL."""
    with pytest.raises(LedgerError, match=says) as caught:
        Ledger(url, "target-test")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"this is not a database, it is a text " * 40, b"SQLite format 3\0cut"]
)
def test_a_damaged_file_is_refused(tmp_path, content):
    """Starting over in silence could send everything again."""
    path = tmp_path / "calls.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="damaged"):
        Ledger(f"sqlite:///{path}", "target-test")
    assert path.read_bytes() == content


def test_a_file_that_lost_all_its_content_is_refused(tmp_path):
    """To SQLite it is a new one: everything would be sent again."""
    path = tmp_path / "calls.db"
    Ledger(f"sqlite:///{path}", "target-test").close()
    path.write_bytes(b"")
    with pytest.raises(LedgerError, match="empty file"):
        Ledger(f"sqlite:///{path}", "target-test")
    assert path.read_bytes() == b""


def test_only_the_owner_can_read_the_file(tmp_path):
    """Keys and hashes are nobody else's business."""
    path = tmp_path / "calls.db"
    ledger = Ledger(f"sqlite:///{path}", "target-test")
    claim(ledger, "a")
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    ledger.close()
    assert set(modes.values()) == {0o600}, modes


def test_nothing_is_left_beside_the_ledger_after_a_clean_end(tmp_path):
    """Lock files come and go with their runs."""
    for _ in range(3):
        Ledger(f"sqlite:///{tmp_path}/calls.db", "target-test").close()
    assert [file.name for file in tmp_path.iterdir()] == ["calls.db"]


def test_a_look_at_no_ledger_makes_none(tmp_path):
    """--ledger before the first run."""
    with pytest.raises(LedgerError, match="no ledger"):
        list(report(f"sqlite:///{tmp_path}/calls.db"))
    assert not list(tmp_path.iterdir())
