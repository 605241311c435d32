"""From the first format of the ledger to the second, on both databases."""

from __future__ import annotations

import fcntl
import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from call_sandbox.testing import wait_until
from singer_calls.deliver import sql_database, sql_migration
from singer_calls.deliver.entries import ACCEPTED, DUPLICATE, REJECTED, SENDING, UNKNOWN, WAITING
from singer_calls.deliver.identity import Account, Identity
from singer_calls.deliver.ledger import Adopt, Asked, Claim, LedgerError, Lookup, RunFacts
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.sql_migration import account_of

FACTS = RunFacts("target-impact-calls")
HOST = "https://impact.example"
SCOPE = f"{HOST}/calldata/logCallData campaign 7"
HERE = Account("impact", HOST, "7")

# As the first release's SQLAlchemy wrote it.
_SERIAL = {"sqlite": "INTEGER", "postgresql": "SERIAL"}
_FIRST = """
CREATE TABLE call_ledger (
    scope VARCHAR(512) NOT NULL, key VARCHAR(512) NOT NULL, state VARCHAR(16) NOT NULL,
    run INTEGER NOT NULL, fingerprint VARCHAR(64) NOT NULL, attempts INTEGER NOT NULL,
    filed BOOLEAN NOT NULL, reference VARCHAR(255), reason VARCHAR(512),
    updated VARCHAR(32) NOT NULL, PRIMARY KEY (scope, key));
CREATE INDEX ix_call_ledger_state ON call_ledger (state);
CREATE INDEX ix_call_ledger_updated ON call_ledger (updated);
CREATE TABLE call_ledger_runs (
    id {serial} NOT NULL, target VARCHAR(64) NOT NULL, started VARCHAR(32) NOT NULL,
    ended VARCHAR(32), PRIMARY KEY (id));
CREATE TABLE call_ledger_version (version INTEGER NOT NULL);
INSERT INTO call_ledger_version VALUES (1)
"""
_CALL = sa.text(
    "INSERT INTO call_ledger VALUES (:scope, :key, :state, :run, :fingerprint, :attempts, :filed, "
    ":reference, :reason, :updated)"
)
_RUN = sa.text(
    "INSERT INTO call_ledger_runs (id, target, started, ended) "
    "VALUES (:id, :target, '2026-11-01T00:00:00Z', :ended)"
)


class First:
    """A ledger of the first format."""

    def __init__(self, url):
        self.url = url
        with self.connected() as connection:
            serial = _SERIAL[connection.dialect.name]
            for statement in _FIRST.format(serial=serial).split(";"):
                connection.exec_driver_sql(statement)
            for number, vendor in ((3, "impact"), (4, "invoca")):
                run = {"id": number, "target": f"target-{vendor}-calls", "ended": None}
                connection.execute(_RUN, run)

    def connected(self):
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        if engine.dialect.name == "sqlite":
            with engine.begin() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        return engine.begin()

    def add(self, *keys, scope=SCOPE, state=ACCEPTED, **more):
        row = {
            "scope": scope,
            "state": state,
            "run": 3,
            "fingerprint": "ab" * 32,
            "attempts": 2,
            "filed": False,
            "reference": None,
            "reason": None,
            "updated": "2026-11-02T03:04:05Z",
        }
        with self.connected() as connection:
            connection.execute(_CALL, [row | more | {"key": key} for key in keys])

    def content(self):
        with self.connected() as connection:
            tables = sorted(sa.inspect(connection).get_table_names())
            return {
                table: sorted(
                    map(
                        tuple,
                        connection.execute(sa.select(sa.text("*")).select_from(sa.table(table))),
                    )
                )
                for table in tables
            }


@pytest.fixture
def first(ledger_url):
    """A ledger of the first format, without a call."""
    return First(ledger_url)


@pytest.fixture
def migrated(first):
    """The same, in the second."""
    opened = []

    def migrated():
        opened.append(SqlLedger(first.url, FACTS))
        return opened[-1]

    yield migrated
    for ledger in opened:
        ledger.close()


def row_of(ledger, key, account=HERE):
    return ledger.apply([Lookup(account, key)])[0].row


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (ACCEPTED, (ACCEPTED, False, True)),
        (DUPLICATE, (DUPLICATE, False, True)),
        (UNKNOWN, (UNKNOWN, False, True)),
        (SENDING, (UNKNOWN, False, True)),
        (REJECTED, (REJECTED, True, False)),
        (WAITING, (WAITING, False, False)),
    ],
)
def test_each_row_keeps_what_it_knew(first, migrated, state, kept):
    """A call that was on its way is unknown; a rejected one was in a file; nobody has marks."""
    first.add("a", state=state, reference="r", reason="because")
    row = row_of(migrated(), "a")
    assert (row.state, row.filed, row.bound) == kept
    assert (row.run, row.attempt) == (3, 2)
    assert (row.reference, row.fingerprint, row.refused) == ("r", b"", ())
    assert row.reason == ("because" if state != SENDING else sql_migration.LEFT)
    assert row.unmarked


@pytest.mark.parametrize("filed", [True, False])
def test_a_held_call_in_a_file_is_not_filed_again(first, migrated, filed):
    """As the first format knew."""
    first.add("a", state=UNKNOWN, filed=filed)
    assert row_of(migrated(), "a").filed is filed


def test_a_migrated_call_takes_the_identity_of_who_is_read_first(first, migrated):
    """And is counted until then."""
    first.add("a", "b")
    ledger = migrated()
    assert (ledger.summary("impact").calls, ledger.summary("impact").unmarked) == (2, 2)
    who = Identity(1_700_000_001, 1, 2)
    ledger.apply([Adopt(HERE, "a", who)])
    assert row_of(ledger, "a").identity == who
    assert ledger.summary("impact").unmarked == 1


@pytest.mark.parametrize(
    ("scope", "target", "account"),
    [
        (SCOPE, "target-impact-calls", HERE),
        ("HTTPS://Impact.Example:443/x campaign 7", "target-impact-calls", HERE),
        (f"{HOST}/x campaign 7.0", "target-impact-calls", HERE),
        (f"{HOST}/x campaign 7.00", "target-impact-calls", HERE),
        (f"{HOST}/x campaign 70", "target-impact-calls", Account("impact", HOST, "70")),
        (f"{HOST}/x campaign 7.01", "target-impact-calls", Account("impact", HOST, "7.01")),
        (
            f"{HOST}/x campaign a campaign b",
            "target-invoca-calls",
            Account("invoca", HOST, "a campaign b"),
        ),
        ("http://[::1]:80/x campaign 7", "target-x", Account("target-x", "http://[::1]", "7")),
        ("http://a:b/x campaign 7", "target-x-calls", Account("x", "http://a:b/x", "7")),
        ("nonsense", "target-x-calls", Account("x", "nonsense", "")),
    ],
)
def test_a_destinations_text_is_the_account_it_meant(scope, target, account):
    """In each spelling of the address and of the campaign's number."""
    assert account_of(scope, target) == account


ORDER = [ACCEPTED, DUPLICATE, UNKNOWN, REJECTED, WAITING]


@pytest.mark.parametrize(("strong", "weak"), [*itertools.pairwise(ORDER)])
@pytest.mark.parametrize("swapped", [False, True])
def test_rows_that_become_one_keep_the_strongest_state(first, migrated, strong, weak, swapped):
    """Two spellings of an address, of a campaign or of a key were two calls; now they are one."""
    one, other = (weak, strong) if swapped else (strong, weak)
    first.add("a", state=one)
    first.add("a", state=other, scope=f"{HOST.upper()}:443/calldata/logCallData campaign 7")
    first.add("b", state=one)
    first.add("b", state=other, scope=f"{HOST}/calldata/logCallData campaign 7.0")
    first.add("12", state=one)
    first.add("12.0", state=other)
    ledger = migrated()
    states = [row_of(ledger, key).state for key in ("a", "b", "12", "12.0")]
    assert states == [strong] * 4


def test_a_whole_number_is_found_under_both_spellings_and_a_text_under_its_own(first, migrated):
    """A number that came as 123.0 comes as 123 now; Asterisk's ids are texts."""
    pointed = {"123.0": "123", "1200.00": "1200", "1769852400.0": "1769852400"}
    other = ["120", "1.10", "a.0", ".0", "1.2.0", "0.", "1e.0", "-5.0"]
    first.add(*pointed, *other, "10.0")
    ledger = migrated()
    for one, two in pointed.items():
        assert row_of(ledger, one).state == row_of(ledger, two).state == ACCEPTED
    assert row_of(ledger, "10").state == row_of(ledger, "10.0").state == ACCEPTED
    for key in other:
        assert row_of(ledger, key).state == ACCEPTED
    for key in ("12", "1.1", "a", "", "1.2", "0", "1e", "-5", "1", "1769852400.00", "12.0"):
        assert row_of(ledger, key) is None


def test_both_vendors_of_one_ledger_keep_their_own(first, migrated):
    """Whose a row is says the run that wrote it."""
    first.add("a", state=ACCEPTED)
    first.add("a", state=UNKNOWN, run=4, scope=f"{HOST}/api/2022-03-01/calls.json campaign 7")
    ledger = migrated()
    invoca = Account("invoca", HOST, "7")
    assert row_of(ledger, "a").state == ACCEPTED
    assert row_of(ledger, "a", invoca).state == UNKNOWN
    assert ledger.apply([Asked(invoca, "a")]) == [()]


def test_the_next_runs_go_on_in_number_and_in_attempts(first, migrated):
    """And the runs of the first format have ended."""
    first.add("a", state=WAITING)
    ledger = migrated()
    assert ledger.run == 5
    assert ledger.reap() == 0
    claim = Claim(HERE, "a", row_of(ledger, "a"), b"f", Identity(1, 1, 1))
    assert ledger.apply([claim]) == [3]
    assert migrated().run == 6


def test_the_old_tables_are_kept_under_another_name(first, migrated):
    """An old program fails instead of writing where nobody reads."""
    first.add("a", "b", state=UNKNOWN)
    before = first.content()
    migrated()
    after = first.content()
    assert after["call_ledger_1"] == before["call_ledger"]
    assert after["call_ledger_runs_1"] == before["call_ledger_runs"]
    assert "call_ledger" not in after
    assert after["call_ledger_version"] == [(2,)]


def test_a_file_has_a_copy_beside_it_for_its_owner_alone(tmp_path):
    """With what its -wal held, which a copied file lacks."""
    path = tmp_path / "calls.db"
    first = First(f"sqlite:///{path}")
    keep = sa.create_engine(first.url)
    with keep.connect() as connection:  # so that no checkpoint empties the -wal
        connection.exec_driver_sql("SELECT 1 FROM call_ledger")
        first.add("a")
        before = first.content()
        SqlLedger(first.url, FACTS).close()
    keep.dispose()
    copy = tmp_path / f"calls.db{sql_migration.COPY}"
    assert copy.stat().st_mode & 0o777 == 0o600
    engine = sa.create_engine(f"sqlite:///{copy}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM call_ledger").all()
    assert [tuple(row) for row in rows] == before["call_ledger"]


def hold(first):
    """Be the run 3 of the first format, as its process was."""
    if first.url.startswith("sqlite"):
        lock = open(f"{first.url.removeprefix('sqlite:///')}.run-3.lock", "w")  # noqa: PTH123, SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock.close
    engine = sa.create_engine(first.url, poolclass=sa.NullPool)
    session = engine.connect()
    session.exec_driver_sql("SELECT pg_advisory_lock(1667329132, 3)")
    return session.close


def test_a_living_run_of_the_first_format_is_not_disturbed(first, migrated):
    """It must end first; nothing is changed until then."""
    first.add("a", state=SENDING)
    before = first.content()
    end = hold(first)
    with pytest.raises(LedgerError, match="still uses the ledger"):
        migrated()
    assert first.content() == before
    end()
    assert row_of(migrated(), "a").state == UNKNOWN


def test_a_living_run_that_knows_the_file_by_a_symlink_is_seen(tmp_path):
    """Its lock is beside the name that it was given."""
    (tmp_path / "data").mkdir()
    First(f"sqlite:///{tmp_path}/data/calls.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "data/calls.db")
    with (tmp_path / "link.db.run-3.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LedgerError, match="still uses the ledger"):
            SqlLedger(f"sqlite:///{tmp_path}/link.db", FACTS)
    SqlLedger(f"sqlite:///{tmp_path}/link.db", FACTS).close()


def test_a_lock_that_nobody_holds_is_no_living_run(tmp_path):
    """A killed run leaves its file."""
    first = First(f"sqlite:///{tmp_path}/calls.db")
    (tmp_path / "calls.db.run-3.lock").touch()
    SqlLedger(first.url, FACTS).close()
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("moment", ["_move_runs", "_move_accounts", "_move_calls"])
def test_killed_half_way_it_is_as_it_was(first, migrated, moment):
    """One transaction; the next start does it all."""
    first.add("a", "7.0")
    before = first.content()
    program = (
        "import os, signal, sys\n"
        "from singer_calls.deliver import sql_migration as m, sql_ledger as l, ledger as e\n"
        f"step = m.{moment}\n"
        "def killed(connection):\n"
        "    step(connection)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"m.{moment} = killed\n"
        "l.SqlLedger(sys.argv[1], e.RunFacts('target-impact-calls'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, first.url], check=False)
    assert done.returncode == -9
    assert first.content() == before
    assert row_of(migrated(), "7").state == ACCEPTED


def test_of_two_first_starts_one_migrates(first):
    """The other finds it done."""
    first.add(*(f"k{n}" for n in range(500)))
    program = (
        "import sys\n"
        "from singer_calls.deliver import sql_ledger as l, ledger as e\n"
        "ledger = l.SqlLedger(sys.argv[1], e.RunFacts('target-impact-calls'))\n"
        "print(ledger.summary('impact').calls)\n"
        "ledger.close()\n"
    )
    command = [sys.executable, "-c", program, first.url]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == ["500"] * 3


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_start_that_waited_for_the_migration_finds_the_new_tables(first, monkeypatch):
    """It waits before the first of the old ones: their names are gone when its turn comes."""
    first.add("7")
    migrate, move, engine = (
        sql_migration.migrate,
        sql_migration._move_calls,
        sa.create_engine(first.url),
    )
    both = threading.Barrier(2, timeout=20)
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid "
        "WHERE NOT granted AND relname LIKE 'call_ledger%'"
    )

    def together(*told):
        both.wait()
        migrate(*told)

    def slowly(connection):
        with engine.connect() as other:
            wait_until(lambda: other.execute(waiting).scalar_one(), "another waits", 20)
        move(connection)

    monkeypatch.setattr(sql_database, "migrate", together)
    monkeypatch.setattr(sql_migration, "_move_calls", slowly)
    with ThreadPoolExecutor(2) as threads:
        opened = list(threads.map(SqlLedger, [first.url] * 2, [FACTS] * 2))
    assert [ledger.summary("impact").calls for ledger in opened] == [1, 1]
    for ledger in opened:
        ledger.close()
    engine.dispose()
