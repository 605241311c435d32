"""A relative ledger is one place, from whatever folder the run is started."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from singer_calls.deliver.ledger import LedgerError, RunFacts
from singer_calls.deliver.ledger_place import PROJECT, TEMPORARY, anchored, folder_of
from singer_calls.deliver.sql_ledger import SqlLedger

URL = "sqlite:///calls.ledger.db"


@pytest.fixture
def project(tmp_path):
    """A project's folder, with a configuration and a folder below."""
    (tmp_path / "project/sub").mkdir(parents=True)
    (tmp_path / "project/config.json").write_text("{}")
    return tmp_path / "project"


def place(url=URL, *, working, environment=None, config_files=(), temporary=()):
    return anchored(
        url,
        environment=environment or {},
        config_files=config_files,
        working=working,
        temporary=temporary,
    )


def first_format(file):
    with sqlite3.connect(file) as ledger:
        ledger.execute("CREATE TABLE call_ledger_version (version INTEGER)")
        ledger.execute("INSERT INTO call_ledger_version VALUES (1)")
    ledger.close()


@pytest.mark.parametrize("below", [".", "sub"])
@pytest.mark.parametrize("name", ["calls.ledger.db", "state/calls.db"])
def test_a_relative_ledger_is_in_the_project_or_beside_its_configuration(project, below, name):
    """Meltano's root first, else the folder of the first configuration file."""
    working = project / below
    expected = f"sqlite:///{project / name}"
    url = f"sqlite:///{name}"
    assert place(url, working=working, environment={PROJECT: str(project)}) == expected
    config = os.path.relpath(project / "config.json", working)
    files = ["ENV", config, "/etc/other.json"]
    assert place(url, working=working, config_files=files) == expected
    elsewhere = {"environment": {PROJECT: str(project)}, "config_files": ["/etc/hostname"]}
    assert place(url, working=working, **elsewhere) == expected


@pytest.mark.parametrize("below", [".", "sub"])
def test_files_of_what_is_set_aside_begin_where_the_ledger_does(project, below):
    """``call-ledger`` looks there too, from whatever folder; a bucket's URL stays as it is."""
    working, config = project / below, os.path.relpath(project / "config.json", project / below)

    def folder(path="rejected/", environment=None, config_files=()):
        return folder_of(
            path,
            environment=environment or {},
            config_files=config_files,
            working=working,
            temporary=(),
        )

    assert folder(environment={PROJECT: str(project)}) == str(project / "rejected")
    assert folder(config_files=[config]) == str(project / "rejected")
    assert folder() == str(working / "rejected")
    assert folder("/var/calls", {PROJECT: str(project)}) == "/var/calls"
    assert folder("s3://bucket/rejected", {PROJECT: str(project)}) == "s3://bucket/rejected"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////absolute/calls.db",
        "postgresql+psycopg://user:secret@host/calls",
        "postgres://host/calls",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "nonsense",
    ],
)
def test_what_is_not_a_relative_file_stays_as_it_is(project, url):
    """Absolute, on a server, or for whoever opens it to refuse."""
    assert place(url, working=project) == url


@pytest.mark.parametrize("config", [None, "ENV", "pipe", "nowhere.json", "/dev/null"])
def test_without_a_lasting_place_it_is_an_error_that_shows_an_absolute_one(project, config):
    """No configuration file, the environment alone, or a pipe."""
    os.mkfifo(project / "pipe")
    with pytest.raises(LedgerError) as caught:
        place(working=project, config_files=[config] if config else [])
    assert f"sqlite:///{project}/calls.ledger.db" in str(caught.value)


def test_a_temporary_folder_is_no_lasting_place(project, tmp_path):
    """Also by another name."""
    (tmp_path / "link").symlink_to(project)
    for folder in (project, project / "sub", tmp_path / "link"):
        (folder / "config.json").touch()
        config = [folder / "config.json"]
        with pytest.raises(LedgerError, match="absolute"):
            place(working=Path("/"), config_files=config, temporary=[project])
    assert Path("/tmp").resolve() in TEMPORARY  # noqa: S108


@pytest.mark.parametrize("url", ["", " ", "\t\n"])
def test_an_empty_one_is_an_error(project, url):
    """Falling back to another file in silence sends everything again."""
    with pytest.raises(LedgerError, match="empty"):
        place(url, working=project, environment={PROJECT: str(project)})


@pytest.mark.parametrize("url", ["sqlite:////x.db\n", " sqlite:////x.db", "sqlite:////x\u200b.db"])
def test_what_can_not_be_seen_makes_no_other_ledger(project, url):
    """A file of secrets ends with a line break: all calls would be new."""
    with pytest.raises(LedgerError, match="blank or a line break"):
        place(url, working=project, environment={PROJECT: str(project)})


def test_a_ledger_where_the_first_release_put_it_ends_the_run(project):
    """Named, with the new place: it would be sent again from an empty one."""
    old = project / "sub/calls.ledger.db"
    first_format(old)
    with pytest.raises(LedgerError) as caught:
        place(working=project / "sub", environment={PROJECT: str(project)})
    assert str(old) in str(caught.value)
    assert str(project / "calls.ledger.db") in str(caught.value)
    first_format(project / "calls.ledger.db")  # where both meet, nothing is old
    url = f"sqlite:///{project}/calls.ledger.db"
    assert place(working=project, environment={PROJECT: str(project)}) == url


@pytest.mark.parametrize("content", [b"", b"damaged" * 100])
def test_what_cannot_be_told_from_an_old_ledger_ends_the_run_too(project, content):
    """A person looks."""
    (project / "sub/calls.ledger.db").write_bytes(content)
    with pytest.raises(LedgerError, match="Move the file"):
        place(working=project / "sub", environment={PROJECT: str(project)})


def test_a_ledger_of_this_format_in_the_working_folder_is_another_projects(project):
    """It was never looked for there."""
    SqlLedger(f"sqlite:///{project}/sub/calls.ledger.db", RunFacts("target-test")).close()
    expected = f"sqlite:///{project}/calls.ledger.db"
    assert place(working=project / "sub", environment={PROJECT: str(project)}) == expected
