"""Calls set aside in a bucket, before a server of S3."""

from __future__ import annotations

import json

import pytest

from singer_calls.deliver import dead_letters
from singer_calls.deliver.dead_letters import DeadLetter
from singer_calls.deliver.dead_letters_files import files_at
from singer_calls.deliver.identity import Account
from singer_calls.deliver.outcome import Rejected, Unknown
from singer_calls.deliver.replay import read_mark, signs_of_earlier_runs
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.errors import PluginError, SettingsError

TARGET = "target-test"
ACCOUNT = Account("test", "https://vendor.example", "7")
SCHEMA = {"type": "SCHEMA", "stream": "calls", "key_properties": ["id"], "schema": {}}


def letter(key, outcome):
    message = {"type": "RECORD", "stream": "calls", "record": {"id": key}}
    source = SourceRecord(SCHEMA, message, json.dumps(message).encode())
    return DeadLetter(source, outcome, 1, ACCOUNT, key)


def opened(place):
    return dead_letters.DeadLetters(place, "1", TARGET, {})


@pytest.fixture
def place(bucket):
    """Its URL."""
    return bucket.url


def test_each_append_is_an_object_that_can_be_replayed_alone(place, s3):
    """SCHEMA first in each, the mark beside each record, held calls under a name of their own."""
    letters = opened(place)
    letters.rejected.append([letter("a", Rejected("no")), letter("b", Rejected("no"))])
    letters.rejected.append([letter("c", Rejected("no"))])
    letters.held.append([letter("d", Unknown("gone"))])
    letters.close()
    found = {
        name: [json.loads(line) for line in content.splitlines()]
        for name, content in s3.objects.items()
    }
    keys = {
        name: [message["record"]["id"] for message in messages[1:]]
        for name, messages in found.items()
    }
    assert sorted(keys.values()) == [["a", "b"], ["c"], ["d"]]
    assert all(messages[0] == SCHEMA for messages in found.values())
    (held,) = (name for name in found if name.endswith(".held.singer.jsonl"))
    assert keys[held] == ["d"]
    assert letters.held.name == held
    assert read_mark(found[held][1], TARGET).key == "d"
    assert letters.paths == [
        f"{place}/{held.rpartition('-')[0]}-*{ending}"
        for ending in (".singer.jsonl", ".held.singer.jsonl")
    ]


def test_no_call_no_object(place, s3):
    """A run without rejected calls leaves nothing behind, and asks nothing."""
    letters = opened(place)
    letters.close()
    assert (s3.objects, letters.paths) == ({}, [])


def test_runs_of_one_second_on_many_machines_never_share_an_object(place, s3):
    """Nothing in a bucket says that a name is taken."""
    for key in "abc":
        opened(place).rejected.append([letter(key, Rejected("no"))])
    assert len(s3.objects) == 3


def test_objects_show_that_this_target_delivered_to_a_vendor_before(place):
    """An empty ledger beside them is a lost one."""
    assert not signs_of_earlier_runs(place, TARGET, "https://vendor.example")
    opened(place).held.append([letter("a", Unknown("gone"))])
    assert signs_of_earlier_runs(place, TARGET, "https://vendor.example")
    assert not signs_of_earlier_runs(place, TARGET, "https://other.example")
    assert not signs_of_earlier_runs(place, "target", "https://vendor.example")


def test_a_bucket_that_refuses_is_one_sentence_without_its_address(place, monkeypatch):
    """What is to be looked at, and neither key nor URL."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(PluginError, match="rejected_path") as refused:
        opened(place).rejected.append([letter("a", Rejected("no"))])
    assert place.rpartition("/")[2] not in str(refused.value)
    assert "wrong-secret" not in str(refused.value)


def test_what_a_bucket_has_not_or_does_not_give_is_told(place, monkeypatch):
    """To whoever looks for originals: one is none, another key is refused."""
    opened(place).rejected.append([letter("a", Rejected("no"))])
    files = files_at(place)
    (name,) = files.names()
    with pytest.raises(FileNotFoundError):
        files.open("gone.singer.jsonl")
    files.write(name, [b"{}\n"])
    assert files.open(name).read() == b"{}\n"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    files = files_at(place)
    for ask in (files.names, lambda: files.open(name), lambda: files.remove(name)):
        with pytest.raises(PluginError, match="rejected_path") as refused:
            ask()
        assert "wrong-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://bucket/x", "s3:///x", "s3://key:secret@bucket/x", "s3://bucket/x?y=1", "https://x"],
)
def test_what_is_no_bucket_is_refused_before_anything_is_sent(url):
    """Its forms are named."""
    with pytest.raises(SettingsError, match="s3://bucket/rejected") as refused:
        opened(url)
    assert "secret" not in str(refused.value)
