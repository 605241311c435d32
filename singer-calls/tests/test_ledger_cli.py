"""``call-ledger``: what it shows is what the ledger has, what it decides is what the runs do."""

from __future__ import annotations

import contextlib
import csv
import getpass
import io
import json
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from desk_bench import CALLER, FACTS, HERE, RECORDS, THERE, Kept, source

from singer_calls.deliver.dead_letters import DeadLetter, DeadLetters
from singer_calls.deliver.entries import ACCEPTED, CLOSED, PERSON, PROGRESS, REJECTED, UNKNOWN
from singer_calls.deliver.ledger import Claim, Note, Refuse
from singer_calls.deliver.outcome import Rejected
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.sql_tables import RUNS
from singer_calls.ledger_cli.command import whoami
from singer_calls.ledger_cli.decisions import Choice, Decision, RefusedError
from singer_calls.ledger_cli.desk import Desk
from singer_calls.ledger_cli.main import cli
from singer_calls.ledger_cli.render import table


@pytest.fixture
def kept(ledger_url, tmp_path):
    kept = Kept(ledger_url, tmp_path / "rejected")
    yield kept
    kept.letters.close()
    kept.ledger.close()


@pytest.fixture
def full(kept):
    """Of each kind a call."""
    kept.note("ok", ACCEPTED, reference="A.1")
    kept.note("bad", REJECTED, reason="no such media", field="MediaId")
    kept.note("held", UNKNOWN, reason="no answer came")
    return kept


def listed(kept, *arguments):
    return {row["key"]: row for row in json.loads(kept("list", "--format", "json", *arguments))}


# What it shows


def test_status_and_list_show_what_waits_and_never_a_value(full):
    """By reason with counts, and each call with its own; the caller's number is nowhere."""
    text = full("status") + full("list") + full("show", "ok", "bad", "held")
    assert "2 calls wait for a person" in text
    assert "MediaId: no such media" in text
    assert "A.1" in text
    assert "5550100" not in text
    assert CALLER in full("show", "held", "--original")


def test_status_says_by_its_exit_code_whether_something_waits(kept):
    """For a script that rings somebody."""
    kept.note("ok", ACCEPTED)
    kept("status", "--check")
    kept.note("bad", REJECTED, reason="r")
    kept("status", "--check", code=4)
    kept("status")


def test_the_counts_of_runs_are_shown_by_account_and_day(kept):
    """Of the runs' own rows: no call is counted."""
    name = "impact https://vendor.example 7"
    for count in (3, 4):
        other = SqlLedger(kept.url, FACTS)
        other.close(how="done", counts={name: {"2026-01-05": {"accepted": count}}})
    text = kept("status")
    assert name in text
    assert ["2026-01-05", "7"] in [line.split() for line in text.splitlines()]
    assert "Nothing waits for a person." in text


def test_status_says_how_far_a_run_under_way_is_and_what_it_waits_for(kept):
    """As it told last; when it has been silent that is said, and its end is what counts."""
    counts = {"impact https://vendor.example 7": {"2026-01-05": {"accepted": 3}}}
    assert "has told nothing yet" in kept("status")
    told = {"read": 5, "percent": 40, "per_second": 2.5, "told": time.time()}
    kept.ledger.tell("the tap", counts | {PROGRESS: {"": told}})
    text = kept("status")
    assert (
        "40 % of its input read, 5 calls read, 3 settled, 2.5 a second, waits for the tap" in text
    )
    assert ["2026-01-05", "3"] in [line.split() for line in text.splitlines()]
    kept.ledger.tell("the tap", counts | {PROGRESS: {"": told | {"told": 0}}})
    assert "3 settled, no word since 1970-01-01" in kept("status")
    kept.ledger.close(how="done", counts=counts)
    assert "done" in kept("status")


def test_what_a_lost_run_told_counts_and_what_it_tells_later_does_not(kept):
    """Another run ended it; after 90 days its row is added to others."""
    counts = {"impact https://vendor.example 7": {"2026-01-05": {"accepted": 3}}}
    for name in ("lost", "late"):
        run = SqlLedger(kept.url, FACTS)
        run.tell("the tap", counts | {PROGRESS: {"": {"told": 1, "percent": None}}})
        with run._database.writing() as connection:
            mine = sa.update(RUNS).where(RUNS.c.id == run.run)
            connection.execute(mine.values(ended=1, how=name))
        run.tell("nobody", {})
        run.close(how="done")
    assert ["2026-01-05", "6"] in [line.split() for line in kept("status").splitlines()]
    kept.ledger.close()  # which adds those of long ago together
    text = kept("status")
    assert ["2026-01-05", "6"] in [line.split() for line in text.splitlines()]
    with contextlib.closing(Desk(kept.url)) as desk:
        assert [(run.ended, run.how, run.progress) for run in desk.runs()][:1] == [(1, None, {})]


def test_filters_find_what_they_say(full):
    """By state, account, reason and date; a reason's wildcards are letters."""
    full.note("other", REJECTED, THERE, reason="100% wrong")
    assert set(listed(full)) == {"bad", "held", "other"}
    assert set(listed(full, "--state", "held")) == {"held"}
    assert set(listed(full, "--account", "example 8")) == {"other"}
    assert set(listed(full, "--reason", "mediaid: NO")) == {"bad"}
    assert set(listed(full, "--reason", "%")) == {"other"}
    assert set(listed(full, "--since", "2026-01-01")) == {"bad", "held", "other"}
    assert full("list", "--since", "2999-01-01") == "Nothing waits for a person.\n"
    full("list", "--since", "yesterday", code=2)


def test_many_that_wait_come_all_and_in_order(kept):
    """Beyond one page of the database."""
    keys = [f"k{n:05}" for n in range(2500)]
    kept.ledger.apply([Refuse(HERE, key, b"\1" * 16, "r") for key in keys])
    assert list(listed(kept)) == keys


def test_a_key_of_a_source_steers_no_terminal_and_no_table(kept):
    """Escapes, line ends, commas and quotes; JSON and CSV give back what is there."""
    key = 'a\x1b[2J\n"b",\u202e'
    kept.note(key, REJECTED, reason="r\x1b]0;x\x07")
    for text in (kept("list"), kept("show", key), kept("list", "--format", "csv")):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert set(listed(kept)) == {key}
    [row] = csv.DictReader(io.StringIO(kept("list", "--format", "csv")))
    assert (row["state"], row["released"], row["reason"]) == ("rejected", "false", r"r\x1b]0;x\x07")


def test_what_an_ended_run_was_sending_waits_as_unknown(kept):
    """And what a living one is sending is its own."""
    other = SqlLedger(kept.url, FACTS)
    other.apply([Claim(HERE, "left", None, b"\1" * 16)])
    kept.ledger.apply([Claim(HERE, "mine", None, b"\1" * 16)])
    ended = sa.update(RUNS).where(RUNS.c.id == other.run).values(ended=1)
    with other._database.writing() as connection:
        connection.execute(ended)
    other._database.close()
    assert set(listed(kept)) == {"left"}
    assert "held" in kept("show", "left")
    kept("resolve", "mine", "--drop", code=3)
    assert "is being sent" in kept.said
    kept("resolve", "left", "--delivered")
    assert kept.row("left").state == ACCEPTED


# Decisions


def test_a_held_call_that_was_delivered_counts_as_delivered(full):
    """With the vendor's reference, and who said so."""
    full("resolve", "held", "--delivered", "--reference", "A.9", "--note", "asked", "--who", "ana")
    row = full.row("held")
    assert (row.state, row.reference, row.binds) == (ACCEPTED, "A.9", True)
    assert full.decisions() == [("held", 1, "delivered", "A.9", "asked", "ana")]
    assert set(listed(full)) == {"bad"}
    assert "delivered A.9 by ana, attempt 1: asked" in full("show", "held")
    full("resolve", "held", "--send-again", code=3)
    assert full.row("held").state == ACCEPTED


def test_a_released_call_stays_in_the_list_until_it_is_delivered(full):
    """Once: what happens then needs a decision of its own."""
    full("resolve", "held", "--send-again")
    assert full.row("held").released
    assert listed(full)["held"]["released"]
    assert "replay --released" in full("list")
    full("resolve", "held", "--send-again", code=3)
    assert "already" in full.said
    full.note("held", UNKNOWN, reason="no answer came")
    assert not full.row("held").released


def test_a_dropped_call_is_closed_by_a_person(full):
    """And so it stays."""
    full("resolve", "--reason", "media", "--drop")
    row = full.row("bad")
    assert (row.state, row.remedy) == (CLOSED, PERSON)
    full("resolve", "bad", "--send-again", code=3)
    assert set(listed(full)) == {"held"}


def test_a_delivery_closes_what_was_refused_of_it_elsewhere(full):
    """As a delivery by a run does."""
    full.note("held", REJECTED, THERE, reason="no contract")
    full("resolve", "held", "--account", "example 7", "--delivered")
    assert full.row("held", THERE).state == CLOSED


def test_a_record_that_never_became_a_delivery_is_closed_or_released(kept):
    """It has no key of its own at the vendor."""
    for name, choice in (("a", "--delivered"), ("b", "--drop"), ("c", "--send-again")):
        kept.ledger.apply([Refuse(RECORDS, f"calls/{name}", b"\1" * 16, "the map failed")])
        kept("resolve", f"calls/{name}", choice)
    rows = [kept.row(f"calls/{name}", RECORDS) for name in "abc"]
    assert [(row.state, row.remedy, row.released) for row in rows] == [
        (CLOSED, PERSON, False),
        (CLOSED, PERSON, False),
        (REJECTED, "", True),
    ]
    assert kept.ledger.summary("impact").records > 0


def test_a_call_that_our_own_check_refused_is_found_by_its_key(kept):
    """It was never sent under it: its record stands for it, in every command."""
    name = kept.refuse("mine")
    other = kept.refuse("other")
    assert "no caller" in kept("show", "mine")
    assert [line["record"]["id"] for line in streamed(kept("replay", "mine"))[1:]] == ["mine"]
    kept("resolve", "mine", "--drop")
    assert kept.row(name, RECORDS).state == CLOSED
    assert list(listed(kept)) == [other]


def test_an_argument_that_is_no_text_is_one_sentence(kept):
    """A shell passes on whatever bytes it is given."""
    kept("show", "\udcff", code=1)
    assert "UTF-8" in kept.said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nobody", "--drop"], 3, "knows no call 'nobody'"),
        (["twice", "--drop"], 3, "several accounts"),
        (["ok", "--drop"], 3, "is delivered"),
        (["bad", "nobody", "--drop"], 3, "knows no call 'nobody'"),
        (["bad", "ok", "--send-again"], 3, "is delivered"),
        (["bad", "--attempt", "2", "--send-again"], 3, "look again"),
        (["--drop"], 2, "say which calls"),
        (["--reason", "", "--drop"], 2, "is empty, which would mean all calls"),
        (["--account", " ", "--drop"], 2, "is empty, which would mean all calls"),
        (["bad"], 2, "--delivered, --send-again or --drop"),
        (["bad", "--drop", "--reference", "A"], 2, "belongs to --delivered"),
        (["bad", "--state", "rejected", "--drop"], 2, "keys or filters"),
    ],
)
def test_a_decision_that_can_not_be_made_changes_nothing(full, arguments, code, says):
    """Of several calls none; one sentence."""
    full.note("twice", REJECTED, reason="r")
    full.note("twice", REJECTED, THERE, reason="r")
    before = listed(full)
    full("resolve", *arguments, code=code)
    assert says in full.said
    assert listed(full) == before
    assert full.decisions() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nobody"], "knows no call 'nobody'"),
        (["show", "held", "nobody"], "knows no call 'nobody'"),
        (["replay", "nobody"], "knows no call 'nobody'"),
        (["replay", "ok"], "does not wait"),
        (["replay", "twice"], "call of several accounts"),
        (["forget", "nobody"], "knows no call 'nobody'"),
        (["forget", "held", "nobody"], "knows no call 'nobody'"),
        (["prune", "--before", "2020-01-01", "--account", "nobody"], "knows no account 'nobody'"),
    ],
)
def test_a_key_that_is_unknown_or_of_several_calls_changes_nothing(full, arguments, says):
    """One sentence, and the exit code of what was refused."""
    full.note("twice", REJECTED, reason="r")
    full.note("twice", REJECTED, THERE, reason="r")
    before = listed(full)
    full.ledger.close()
    files = {path.name: path.read_bytes() for path in full.folder.iterdir()}
    full(*arguments, code=3)
    assert says in full.said
    assert full.said.count("\n") == 1
    assert listed(full) == before
    assert {path.name: path.read_bytes() for path in full.folder.iterdir()} == files


def test_two_people_at_once_never_both_release_one_call(full):
    """Eight at the same moment: one is told that it is done, seven that it was."""
    together = threading.Barrier(8)

    def release(number):
        with contextlib.closing(Desk(full.url)) as desk:
            together.wait()
            try:
                return desk.decide([(HERE, "held")], Decision(Choice.SEND_AGAIN, str(number)))
            except RefusedError:
                return 0

    with ThreadPoolExecutor(8) as people:
        assert sorted(people.map(release, range(8))) == [0] * 7 + [1]
    assert len(full.decisions()) == 1


def test_a_decision_and_a_run_that_claims_at_once_are_one_after_the_other(full):
    """Whoever saw the row before it changed gets nothing: it looks again."""
    seen = full.row("held")
    full("resolve", "held", "--delivered")
    assert full.ledger.apply([Claim(HERE, "held", seen, b"\2" * 16)]) == [0]


# Originals


def streamed(text):
    return [json.loads(line) for line in text.splitlines()]


def test_replay_writes_the_originals_as_one_singer_stream(full):
    """Each with its mark; what may be at the vendor only when it is named or released."""
    full.note("bad2", REJECTED, reason="r")
    lines = streamed(full("replay"))
    assert [line["type"] for line in lines] == ["SCHEMA", "RECORD", "RECORD"]
    assert [line["record"]["id"] for line in lines[1:]] == ["bad", "bad2"]
    assert lines[1]["set_aside"]["attempt"] == 1
    assert "1 held calls were left out" in full.said
    assert [line["record"]["id"] for line in streamed(full("replay", "held"))[1:]] == ["held"]
    assert full("replay", "--released") == ""
    full("resolve", "held", "--send-again")
    assert [one["record"]["id"] for one in streamed(full("replay", "--released"))[1:]] == ["held"]
    full("replay", "ok", code=3)


def test_replay_finds_the_newest_original_of_a_call(full):
    """Its mark is the licence for the newest attempt."""
    full.note("bad", REJECTED, reason="again")
    [mark] = [line["set_aside"] for line in streamed(full("replay", "bad"))[1:]]
    assert mark["attempt"] == full.row("bad").attempt == 2


def test_replay_finds_a_record_by_its_own_name(kept):
    """What never became a delivery has no key in its mark."""
    record = source("x")
    kept.letters.rejected.append([DeadLetter(record, Rejected("the map failed"))])
    name = kept.letters.rejected.name
    kept.ledger.apply([Refuse(RECORDS, record.name, b"\1" * 16, "the map failed", file=name)])
    assert [line["record"]["id"] for line in streamed(kept("replay"))[1:]] == ["x"]


def test_a_file_that_is_gone_is_told(full):
    """What is there is written."""
    full.letters.rejected.path.unlink()
    full.note("new", UNKNOWN, reason="r")
    lines = streamed(full("replay", "bad", "new", code=1))
    assert [line["record"]["id"] for line in lines[1:]] == ["new"]
    assert "originals of 1 calls" in full.said
    assert "original    not found in" in full("show", "bad")


def test_calls_of_two_targets_are_not_mixed(full):
    """Either would refuse the other's."""
    other = DeadLetters(str(full.folder), "1", "target-other", {})
    other.rejected.append([DeadLetter(source("z"), Rejected("r"), 1, THERE, "z")])
    full.ledger.apply([Claim(THERE, "z", None, b"\1" * 16)])
    full.ledger.apply([Note(THERE, "z", 1, REJECTED, file=other.rejected.name)])
    other.close()
    assert full("replay", code=3) == ""
    assert "target-impact-calls and target-other" in full.said


# A ledger that is none


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no ledger at ledger_url"),
        ("CREATE TABLE shopping (item TEXT)", "no ledger at ledger_url"),
        ("CREATE TABLE call_ledger_version AS SELECT 1 AS version", "earlier release"),
        ("CREATE TABLE call_ledger_version AS SELECT 9 AS version", "newer release"),
    ],
)
def test_a_ledger_that_is_none_or_of_another_release_is_left_as_it_is(tmp_path, content, says):
    """Missing, another program's, older, newer: one sentence, and not a byte is changed."""
    path = tmp_path / "calls.db"
    if content:
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.executescript(content)
    before = path.read_bytes() if content else None
    for command in (
        ["status"],
        ["list"],
        ["show", "a"],
        ["resolve", "a", "--drop"],
        ["replay"],
        ["forget", "a"],
        ["prune", "--before", "2020-01-01"],
        ["copy", "--to", f"sqlite:///{tmp_path}/copy.db"],
        ["page"],
    ):
        done = CliRunner().invoke(cli, ["--ledger-url", f"sqlite:///{path}", *command])
        assert done.exit_code == 1
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == (["calls.db"] if content else [])
    assert content is None or path.read_bytes() == before


def test_a_locked_ledger_is_told_and_nothing_is_decided(tmp_path, monkeypatch):
    """Reading goes on: it takes no lock."""
    monkeypatch.setattr("singer_calls.ledger_cli.desk._TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("singer_calls.deliver.sql_store._LOCK_WAIT_SECONDS", 0.1)
    kept = Kept(f"sqlite:///{tmp_path}/calls.db", tmp_path / "rejected")
    kept.note("bad", REJECTED, reason="r")
    with contextlib.closing(sqlite3.connect(tmp_path / "calls.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        kept("status")
        kept("resolve", "bad", "--drop", code=1)
        assert "another program holds it locked" in kept.said
    kept.letters.close()
    kept.ledger.close()


def test_which_ledger_is_meant(tmp_path, monkeypatch):
    """A target's configuration file, its variables as Meltano sets them, or LEDGER_URL."""
    kept = Kept(f"sqlite:///{tmp_path}/calls.ledger.db", tmp_path / "rejected")
    kept.letters.close()
    kept.ledger.close()
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"ledger_url": kept.url}))

    def code(*arguments):
        return CliRunner().invoke(cli, [*arguments, "status"]).exit_code

    monkeypatch.delenv("LEDGER_URL", raising=False)
    assert code() == 1
    assert code("--config", str(config)) == 0
    monkeypatch.setenv("TARGET_X_LEDGER_URL", kept.url)
    assert code("--target", "target-x") == 0
    monkeypatch.setenv("LEDGER_URL", kept.url)
    assert code() == 0
    monkeypatch.setenv("LEDGER_URL", "sqlite:///calls.ledger.db")
    assert code() == 1
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    assert code() == 0
    monkeypatch.setenv("LEDGER_URL", "")
    assert code() == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", None])
def test_a_configuration_that_is_none_is_one_sentence(tmp_path, content):
    """It names the option, and nothing of the file."""
    config = tmp_path / "c.json"
    if content is not None:
        config.write_bytes(content)
    done = CliRunner().invoke(cli, ["--config", str(config), "status"])
    assert done.exit_code in {1, 2}
    assert "config" in done.stderr
    assert "Traceback" not in done.output


def test_on_a_terminal_a_table_is_ruled_and_shows_what_is_in_it(monkeypatch, capsys):
    """Text is text there too, and no markup."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    table(["key", "calls"], [["[bold]a", 3], [None, "b\x1b[31m"]])
    shown = capsys.readouterr().out
    assert "━" in shown
    assert "[bold]a" in shown
    assert "\x1b[31m" not in shown


def test_whoever_has_no_name_here_is_told_by_number(monkeypatch):
    """As in a container that runs with a bare user id."""
    assert whoami().partition("@")[0] == getpass.getuser()
    monkeypatch.setattr("getpass.getuser", lambda: {}["nobody"])
    assert re.fullmatch(r"uid \d+@.+", whoami())
