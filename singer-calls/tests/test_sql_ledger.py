"""How a ledger's database is opened, refused and shown; runs as processes; a filled ledger."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from singer_calls.deliver import sql_store as store
from singer_calls.deliver import sql_tables as tables
from singer_calls.deliver.entries import ACCEPTED, REJECTED, SENDING, UNKNOWN
from singer_calls.deliver.identity import Account, Identity
from singer_calls.deliver.ledger import Claim, LedgerError, Lookup, Note, RunFacts
from singer_calls.deliver.machine import Machine, Process
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.sql_report import report
from singer_calls.ledger_cli.desk import Desk

FACTS = RunFacts("target-test", request_timeout=10)
HERE = Account("impact", "https://vendor.example", "7")


@pytest.fixture
def ledger(ledger_url):
    """A run."""
    opened = SqlLedger(ledger_url, FACTS)
    yield opened
    opened.close()


def row_of(ledger, key):
    return ledger.apply([Lookup(HERE, key)])[0].row


def deliver(ledger, *keys, state=ACCEPTED, **more):
    ledger.apply([Claim(HERE, key, row_of(ledger, key), b"f" * 16) for key in keys])
    ledger.apply([Note(HERE, key, row_of(ledger, key).attempt, state, **more) for key in keys])


# Opening


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a SQLAlchemy URL"),
        ("postgresql://u:Ab@cd:hunter2@host:5432/calls", "in a password as %40"),
        ("postgresql://u:p@host:${PGPORT}/calls", "not a SQLAlchemy URL"),
        ("mysql://host/db", "SQLite or PostgreSQL"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "must name a file"),
        ("sqlite:///file::memory:?cache=shared&uri=true", "by its path alone"),
        ("sqlite:///file:/tmp/x?vfs=memdb&uri=true", "by its path alone"),
        ("sqlite:////proc/nowhere/calls.db", "can't be opened"),
        ("postgresql://user:hunter2@127.0.0.1:1/db?password=hunter2", "can't be opened"),
        ("postgres://user:hunter2@127.0.0.1:1/db", "can't be opened"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_why_and_no_secret(url, says):
    """One sentence, without the URL."""
    with pytest.raises(LedgerError, match=says) as caught:
        SqlLedger(url, FACTS)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_a_ledger_made_before_its_format_got_a_column_gets_it(ledger_url):
    """And what stands in it counts; a person may look before a run has opened it."""
    ledger = SqlLedger(ledger_url, FACTS)
    deliver(ledger, "a")
    with ledger._database.writing() as connection:
        for column in tables.ADDED:
            connection.exec_driver_sql(f"ALTER TABLE {tables.CALLS.name} DROP COLUMN {column.name}")
    ledger._database.close()
    with contextlib.closing(Desk(ledger_url)) as desk:
        assert [call.key for call in desk.under(["a"])] == ["a"]
    opened = SqlLedger(ledger_url, FACTS)
    assert (row_of(opened, "a").state, row_of(opened, "a").told) == (ACCEPTED, None)
    opened.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_is_named_as_everybody_names_it(database, scheme):
    """Heroku's and Django's spelling too, with the driver that is installed."""
    url = scheme + database[database.index("://") :]
    with contextlib.closing(SqlLedger(url, FACTS)) as ledger:
        deliver(ledger, "a")
        assert ledger.summary("impact").calls == 1
        assert "password" not in ledger.summary("impact").place


@pytest.mark.parametrize(
    "content", [b"this is not a database, it is a text " * 40, b"SQLite format 3\0cut"]
)
def test_a_damaged_file_is_refused(tmp_path, content):
    """Starting over in silence could send everything again."""
    path = tmp_path / "calls.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="damaged"):
        SqlLedger(f"sqlite:///{path}", FACTS)
    assert path.read_bytes() == content


def test_a_file_that_lost_all_its_content_is_refused(tmp_path):
    """To SQLite it is a new one: everything would be sent again."""
    path = tmp_path / "calls.db"
    SqlLedger(f"sqlite:///{path}", FACTS).close()
    path.write_bytes(b"")
    with pytest.raises(LedgerError, match="empty file"):
        SqlLedger(f"sqlite:///{path}", FACTS)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("change", "says"),
    [("DELETE FROM", "lost its content"), ("UPDATE", "of an earlier release")],
)
def test_a_ledger_that_is_not_of_this_format_shows_nothing(ledger_url, change, says):
    """Neither one that lost it, nor one that the next run is to bring up to date."""
    SqlLedger(ledger_url, FACTS).close()
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        old = " SET version = 1" if change == "UPDATE" else ""
        connection.exec_driver_sql(f"{change} call_ledger_version{old}")
    engine.dispose()
    with pytest.raises(LedgerError, match=says):
        list(report(ledger_url))


def test_what_an_address_says_of_its_connection_is_heard(database):
    """As libpq's other programs do."""
    ledger = SqlLedger(f"{database}&application_name=mine&connect_timeout=3", FACTS)
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mine'"
        assert connection.exec_driver_sql(query).scalar_one() > 0
    engine.dispose()
    ledger.close()


def test_a_file_with_something_else_in_it_is_refused(tmp_path):
    """Another program's, or a ledger copied without its -wal while it was made."""
    path = tmp_path / "calls.db"
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE shopping (item TEXT)")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(LedgerError, match="holds no ledger"):
            SqlLedger(f"sqlite:///{path}", FACTS)
    assert path.read_bytes() == before


def test_a_copy_of_the_file_alone_is_refused_while_its_first_run_goes_on(tmp_path):
    """What it knows is in the -wal still."""
    path, copy = tmp_path / "calls.db", tmp_path / "copy.db"
    with contextlib.closing(SqlLedger(f"sqlite:///{path}", FACTS)) as ledger:
        deliver(ledger, *(f"k{n}" for n in range(100)))
        copy.write_bytes(path.read_bytes())
    with pytest.raises(LedgerError, match="holds no ledger"):
        SqlLedger(f"sqlite:///{copy}", FACTS)


def test_a_file_with_two_names_is_refused(tmp_path):
    """Its -wal has one name only."""
    path, other = tmp_path / "calls.db", tmp_path / "other.db"
    SqlLedger(f"sqlite:///{path}", FACTS).close()
    other.hardlink_to(path)
    for name in (path, other):
        with pytest.raises(LedgerError, match="more than one name"):
            SqlLedger(f"sqlite:///{name}", FACTS)
    other.unlink()
    SqlLedger(f"sqlite:///{path}", FACTS).close()


def test_a_file_that_is_mounted_by_itself_is_refused(tmp_path, monkeypatch):
    """As containers do it: its -wal would be elsewhere."""
    path = tmp_path / "the calls.db"
    SqlLedger(f"sqlite:///{path}", FACTS).close()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"36 22 8:1 /x {str(path).replace(' ', chr(92) + '040')} rw - ext4 /dev/sda1 rw\n"
    )
    monkeypatch.setattr(store, "MOUNTS", mounts)
    with pytest.raises(LedgerError, match="mount its folder"):
        SqlLedger(f"sqlite:///{path}", FACTS)
    mounts.unlink()  # as where there is no /proc
    SqlLedger(f"sqlite:///{path}", FACTS).close()


def test_two_names_of_one_file_are_one_ledger(tmp_path):
    """By path, by symlink to the file, by symlink to its folder, and relative."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "link.db").symlink_to(tmp_path / "real/calls.db")
    names = ["real/calls.db", "folder/calls.db", "link.db"]
    urls = [f"sqlite:///{tmp_path}/{name}" for name in names]
    ledgers = [SqlLedger(url, FACTS) for url in urls]
    assert [ledger.run for ledger in ledgers] == [1, 2, 3]
    won = [ledger.apply([Claim(HERE, "a", None, b"f")])[0] for ledger in ledgers]
    assert won == [1, 0, 0]
    for ledger in ledgers:
        assert ledger.reap() == 0
        assert row_of(ledger, "a").state == SENDING
    for ledger in ledgers:
        ledger.close()


@pytest.mark.parametrize("moment", ["touched", "opened", "made"])
def test_a_first_start_that_was_killed_is_no_loss(tmp_path, moment):
    """An empty file that was never more is a new ledger."""
    path = tmp_path / "calls.db"
    steps = {
        "touched": "store._make_file",
        "opened": "store.format_of",
        "made": "store.create",
    }
    program = (
        "import os, signal, sys\n"
        "from singer_calls.deliver import sql_store as store, sql_database, sql_ledger, ledger\n"
        f"step = {steps[moment]}\n"
        "def killed(*arguments):\n"
        "    step(*arguments)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{steps[moment]} = sql_database.{steps[moment].split('.')[1]} = killed\n"
        "sql_ledger.SqlLedger(sys.argv[1], ledger.RunFacts('target-test'))\n"
    )
    url = f"sqlite:///{path}"
    done = subprocess.run([sys.executable, "-c", program, url], check=False)
    assert done.returncode == -signal.SIGKILL
    SqlLedger(url, FACTS).close()
    assert [file.name for file in tmp_path.iterdir()] == ["calls.db"]


def test_a_ledger_of_a_newer_release_is_not_touched(ledger_url):
    """An old plugin must not write into a format it does not know."""
    SqlLedger(ledger_url, FACTS).close()
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(tables.VERSION.update().values(version=tables.FORMAT + 1))
    with pytest.raises(LedgerError, match="newer release"):
        SqlLedger(ledger_url, FACTS)
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.RUNS)).scalar() == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("SET synchronous_commit = off", "synchronous_commit off"),
        ("SET default_transaction_read_only = on", "name the primary"),
    ],
)
def test_a_server_that_may_forget_is_refused(database, change, says):
    """Said by its own settings, at the start."""
    name = sa.make_url(database).database
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} {change}")
    with pytest.raises(LedgerError, match=says):
        SqlLedger(database, FACTS)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_server_that_cannot_hold_every_text_is_refused(postgres, encoding):
    """An id may hold any character."""
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"calls_{encoding.lower()}"
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' "
            "TEMPLATE template0"
        )
    with pytest.raises(LedgerError, match="ENCODING 'UTF8'"):
        SqlLedger(postgres.set(database=name).render_as_string(hide_password=False), FACTS)


def test_only_the_owner_can_read_the_file(tmp_path):
    """Keys are nobody else's business."""
    ledger = SqlLedger(f"sqlite:///{tmp_path}/calls.db", FACTS)
    deliver(ledger, "a")
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    ledger.close()
    assert set(modes.values()) == {0o600}, modes
    assert [file.name for file in tmp_path.iterdir()] == ["calls.db"]


def test_runs_of_long_ago_become_one_row_a_day(ledger_url):
    """With the sum of what they counted; later ones and open ones stay."""
    day = 24 * 60 * 60
    now = int(time.time()) // day * day
    ages = [200, 200, 200, 199, 100, 91, 91, 1]
    SqlLedger(ledger_url, FACTS).close()
    engine = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for number, age in enumerate(ages):
            run = {"target": "target-x", "started": now - age * day, "counter": 0, "expiry": 1}
            counts = json.dumps({"a": {"d": {"accepted": number}, f"e{age}": {"unknown": 1}}})
            ended = {"ended": now - age * day + number, "counts": counts}
            connection.execute(tables.RUNS.insert().values(run | ended))
        connection.execute(tables.RUNS.insert().values(run | {"started": 0}))
    for _ in range(2):
        last = SqlLedger(ledger_url, FACTS)
        last.close()
    columns = (tables.RUNS.c.id, tables.RUNS.c.runs, tables.RUNS.c.counts, tables.RUNS.c.ended)
    with engine.connect() as connection:
        found = sa.select(*columns).where(tables.RUNS.c.target == "target-x")
        rows = connection.execute(found.order_by(tables.RUNS.c.id)).all()
    assert [row.runs for row in rows] == [3, 1, 1, 2, 1, 1]
    assert json.loads(rows[0].counts) == {"a": {"d": {"accepted": 3}, "e200": {"unknown": 3}}}
    assert json.loads(rows[3].counts) == {"a": {"d": {"accepted": 11}, "e91": {"unknown": 2}}}
    assert last.run == len(ages) + 4


# Showing


def test_the_report_counts_by_day_and_names_what_waits_for_a_person(ledger, ledger_url):
    """Keys and reasons, no content; and looking changes nothing."""
    deliver(ledger, "a")
    deliver(ledger, "b\n\x1b[31m", state=REJECTED, reason="because\r", file="x.jsonl")
    deliver(ledger, "c", state=UNKNOWN)
    lines = list(report(ledger_url))
    assert lines == list(report(ledger_url))
    text = "\n".join(lines)
    assert text.count("account impact https://vendor.example 7") == 1
    for state in ("accepted", "rejected", "held"):
        assert [line.split()[1:] for line in lines if f" {state} " in line] == [[state, "1"]]
    [rejected] = [line for line in lines if line.startswith("rejected ")]
    assert rejected.split()[1] == "b\\n\\x1b[31m"
    assert rejected.endswith("because\\r x.jsonl")
    assert [line.split()[1] for line in lines if line.startswith("held ")] == ["c"]
    assert "under way: run 1 target-test" in text


def test_a_look_at_no_ledger_makes_none(tmp_path, database):
    """--ledger before the first run."""
    for url in (f"sqlite:///{tmp_path}/calls.db", database):
        with pytest.raises(LedgerError, match="no ledger"):
            list(report(url))
    assert not list(tmp_path.iterdir())


# Runs as processes


PROGRAM = (
    "import sys, time\n"
    "from singer_calls.deliver.ledger import Claim, Note, RunFacts\n"
    "from singer_calls.deliver.identity import Account\n"
    "from singer_calls.deliver.sql_ledger import SqlLedger\n"
    "here = Account('impact', 'https://vendor.example', '7')\n"
    "ledger = SqlLedger(sys.argv[1], RunFacts('target-test', request_timeout=10))\n"
)


@contextlib.contextmanager
def process(url, program):
    """A program on a ledger, once it has said that it is ready."""
    command = [sys.executable, "-c", PROGRAM + program, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as run:
        try:
            assert run.stdout.readline() == b"ready\n"
            yield run
        finally:
            run.kill()


CLAIM = (
    "ledger.apply([Claim(here, 'theirs', None, b'f')])\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
)


def test_calls_of_a_killed_process_are_unknown_at_once_and_those_of_a_stopped_one_are_not(
    ledger, ledger_url
):
    """On one machine the system says who is gone."""
    ledger.apply([Claim(HERE, "mine", None, b"f")])
    with process(ledger_url, CLAIM) as run:
        assert ledger.reap() == 0
        run.send_signal(signal.SIGSTOP)
        assert ledger.reap() == 0
        assert row_of(ledger, "theirs").state == SENDING
        assert f"process {run.pid}" in ledger.who(row_of(ledger, "theirs").run)
        run.kill()
        run.wait()
        assert ledger.reap() == 1
    assert row_of(ledger, "theirs").state == UNKNOWN
    assert row_of(ledger, "mine").state == SENDING


def test_a_stopped_process_that_was_ended_sends_nothing_when_it_goes_on(ledger_url):
    """SIGSTOP for longer than its expiry: its claims fail, its late outcome is still told."""
    later = (
        CLAIM + "from singer_calls.deliver.ledger import RunEndedError\n"
        "print(ledger.beat(), flush=True)\n"
        "late, new = Note(here, 'theirs', 1, 'accepted'), Claim(here, 'b', None, b'f')\n"
        "try:\n    ledger.apply([late, new])\n"
        "except RunEndedError:\n    print('ended', flush=True)\n"
    )
    now = [0.0]
    with process(ledger_url, later) as run:
        run.send_signal(signal.SIGSTOP)
        ledger = SqlLedger(ledger_url, FACTS, clock=lambda: now[0])
        now[0] += FACTS.expiry + 1
        assert ledger.reap() == 1
        assert row_of(ledger, "theirs").state == UNKNOWN
        run.send_signal(signal.SIGCONT)
        out, _ = run.communicate(b"\n", timeout=30)
    assert out == b"False\nended\n"
    assert row_of(ledger, "theirs").state == ACCEPTED
    assert row_of(ledger, "b") is None
    ledger.close()


def test_who_is_gone_is_told_by_more_than_a_number():
    """Numbers are used again; another machine's mean nothing here."""
    machine = Machine()
    me = machine.process()
    assert not machine.is_gone(me)
    assert machine.is_gone(Process(me.host, me.pid, me.started + 1))
    assert not machine.is_gone(Process("another", me.pid, me.started + 1))
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert machine.is_gone(Process(me.host, child.pid, 0))  # not waited for yet: a zombie
    child.wait()
    assert machine.is_gone(Process(me.host, child.pid, 0))


def test_a_process_that_is_not_to_be_seen_is_not_gone(monkeypatch, tmp_path):
    """Many servers hide those of other users (hidepid): taken for dead, its calls went twice."""
    me = Machine().process()
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text(me.host.split()[0])
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(me.host.split()[1])
    (tmp_path / str(me.pid)).symlink_to(f"/proc/{me.pid}")
    monkeypatch.setattr("singer_calls.deliver.machine._PROC", tmp_path)
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        other = Process(me.host, child.pid, me.started)
        assert not Machine().is_gone(other)
    assert Machine().is_gone(other)


def test_where_nobody_tells_of_processes_none_is_gone(monkeypatch, tmp_path):
    """Elsewhere than on Linux; an end is told by its time there."""
    me = Machine().process()
    monkeypatch.setattr("singer_calls.deliver.machine._PROC", tmp_path)
    assert Machine().process() is None
    assert not Machine().is_gone(me)
    assert not Machine().is_gone(Process(me.host, 2**22 + 1, 0))


def side_by_side(works):
    """Run each in a thread; their results, in order."""
    with ThreadPoolExecutor(len(works)) as threads:
        return [future.result(60) for future in [threads.submit(work) for work in works]]


def test_five_first_runs_at_once_make_one_ledger(ledger_url):
    """And each call is claimed by one of them."""
    start = threading.Barrier(5)

    def work():
        start.wait()
        with contextlib.closing(SqlLedger(ledger_url, FACTS)) as ledger:
            claims = [ledger.apply([Claim(HERE, f"k{n}", None, b"f")])[0] for n in range(20)]
            return ledger.run, sum(claims)

    results = side_by_side([work] * 5)
    assert sorted(run for run, _ in results) == [1, 2, 3, 4, 5]
    assert sum(won for _, won in results) == 20


def test_two_runs_with_the_same_keys_in_opposite_order_never_wait_for_each_other(ledger_url):
    """Claims, outcomes and what they close: one order for all."""
    there = Account("impact", HERE.origin, "8")

    def work(order, account, other):
        claimed = []
        keys = [f"k{n}" for n in range(120)][::order]
        with contextlib.closing(SqlLedger(ledger_url, FACTS)) as ledger:
            for start in range(0, len(keys), 12):
                group = keys[start : start + 12]
                done = ledger.apply([Claim(HERE, key, None, b"f") for key in group])
                claimed += [key for key, won in zip(group, done, strict=True) if won]
                ledger.apply([Claim(account, f"{key}x", None, b"f") for key in group])
                notes = [Note(account, f"{key}x", 1, ACCEPTED) for key in group]
                ledger.apply([*notes, *[Claim(other, f"{key}x", None, b"f") for key in group]])
        return claimed

    one, two = side_by_side([lambda: work(1, HERE, there), lambda: work(-1, there, HERE)])
    assert sorted(one + two) == sorted(f"k{n}" for n in range(120))


# What it costs


def explain(ledger, query, arguments=()):
    with ledger._database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", arguments).all()
    return [row[3] for row in rows]


def test_no_question_of_a_run_scans_the_calls(tmp_path):
    """On SQLite; a ledger of 10^6 rows answers as an empty one."""
    ledger = SqlLedger(f"sqlite:///{tmp_path}/calls.db", FACTS)
    asked = []
    who = Identity(1_700_000_001, 1, 2)

    @sa.event.listens_for(ledger._database.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, _context, many):
        if statement.lstrip().startswith(("SELECT", "UPDATE")):
            asked.append((statement, parameters[0] if many else parameters))

    deliver(ledger, "a", "b", "c", state=UNKNOWN)
    ledger.apply([Lookup(HERE, "new", who)])
    ledger.reap()
    ledger.beat()
    ledger.summary("impact")
    sa.event.remove(ledger._database.engine, "before_cursor_execute", note)
    plans = {statement: explain(ledger, statement, given) for statement, given in asked}
    scans = {
        (statement, step)
        for statement, plan in plans.items()
        for step in plan
        # What is counted at the start is counted up to a limit.
        if step.startswith(f"SCAN {tables.CALLS.name}") and "LIMIT" not in statement
    }
    assert not scans
    assert len(plans) > 8
    ledger.close()


def test_a_known_call_is_looked_up_while_another_program_holds_the_write_lock(tmp_path):
    """And while somebody reads, a run writes."""
    url = f"sqlite:///{tmp_path}/calls.db"
    ledger = SqlLedger(url, FACTS)
    deliver(ledger, "a")
    with contextlib.closing(sqlite3.connect(tmp_path / "calls.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert row_of(ledger, "a").state == ACCEPTED
        other.execute("ROLLBACK")
        other.execute("BEGIN")
        other.execute("SELECT * FROM call_ledger_calls").fetchall()
        deliver(ledger, "b")
        other.execute("ROLLBACK")
    ledger.close()
