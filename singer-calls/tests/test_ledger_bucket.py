"""``call-ledger`` where calls set aside are in a bucket, before a server of S3."""

from __future__ import annotations

import json

import pytest
from desk_bench import CALLER, Kept

from singer_calls.deliver.dead_letters_bucket import Bucket
from singer_calls.deliver.entries import ACCEPTED, REJECTED, UNKNOWN

SAID = "check its name, region, endpoint and the credentials"


@pytest.fixture
def kept(tmp_path, bucket):
    kept = Kept(f"sqlite:///{tmp_path / 'calls.ledger.db'}", bucket.url)
    kept.note("ok", ACCEPTED)
    kept.note("bad", REJECTED, reason="no such media")
    kept.note("bad2", REJECTED, reason="no such media")
    kept.note("held", UNKNOWN, reason="no answer came")
    yield kept
    kept.ledger.close()


def ids(text):
    messages = [json.loads(line) for line in text.splitlines()]
    return [message["record"]["id"] for message in messages if message["type"] == "RECORD"]


def test_the_originals_of_many_machines_are_one_singer_stream(kept):
    """Each object is whole in itself, the stream says its SCHEMA once."""
    assert CALLER in kept("show", "held", "--original")
    text = kept("replay")
    assert ids(text) == ["bad", "bad2"]
    assert text.count('"SCHEMA"') == 1
    assert ids(kept("replay", "held")) == ["held"]


def test_an_object_that_is_gone_is_told(kept, s3):
    """What is there is written."""
    Bucket(s3.url).delete(next(name for name in s3.objects if name.endswith("-1.singer.jsonl")))
    assert ids(kept("replay", "bad", "bad2", code=1)) == ["bad2"]
    assert f"originals of 1 calls are not in {s3.url}" in kept.said


def test_after_forget_and_prune_a_caller_is_in_no_object(kept, s3):
    """What else waits keeps its own."""
    kept.ledger.close()
    kept("forget", "held")
    assert sorted(key for text in s3.objects.values() for key in ids(text.decode())) == [
        "bad",
        "bad2",
    ]
    kept("resolve", "bad", "--drop")
    kept("prune", "--before", "2100-01-01", "--force")
    assert [ids(text.decode()) for text in s3.objects.values()] == [["bad2"]]


def test_a_bucket_that_refuses_costs_what_needs_it_alone(kept, monkeypatch):
    """A sentence without its address; what the ledger knows is shown."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    assert "3 calls wait" in kept("status")
    kept("replay", code=1)
    assert SAID in kept.said
    assert "wrong-secret" not in kept.said
