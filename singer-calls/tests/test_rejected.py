"""Files of calls set aside."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from singer_calls.deliver.outcome import Rejected, Unknown
from singer_calls.deliver.rejected import (
    HeldFile,
    Original,
    RejectedFile,
    unmark_record,
    unmark_schema,
)
from singer_calls.errors import PluginError

SCHEMA = {
    "type": "SCHEMA",
    "stream": "calls",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {"type": "string"}, "cost": {}}},
}


def original(key, **more):
    record = {"id": key, "cost": Decimal("1.10"), **more}
    return Original(SCHEMA, {"type": "RECORD", "stream": "calls", "record": record})


def lines(path):
    return [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]


def test_no_call_no_file(tmp_path):
    """A run without rejected calls leaves nothing behind."""
    RejectedFile(str(tmp_path / "rejected"), "run").close()
    assert not list(tmp_path.iterdir())


def test_a_file_is_a_singer_stream_that_gives_the_original_back(tmp_path):
    """SCHEMA once, then records; without the mark they are what the tap sent."""
    file = RejectedFile(str(tmp_path / "rejected"), "run")
    file.append([(original("a"), Rejected("too long", field="CallProvider", status=400), 2)])
    file.append([(original("b"), Rejected("no caller"), 0)])
    file.close()
    messages = lines(file.path)
    assert [message["type"] for message in messages] == ["SCHEMA", "RECORD", "RECORD"]
    mark = messages[1]["record"]["rejected"]
    assert (mark["outcome"], mark["field"], mark["status"], mark["attempts"]) == (
        "rejected",
        "CallProvider",
        400,
        2,
    )
    unmark_schema(messages[0])
    assert messages[0] == SCHEMA
    for message, key in zip(messages[1:], "ab", strict=True):
        assert unmark_record(message)
        assert message == original(key).message


def test_a_field_of_the_taps_own_that_is_called_rejected_is_left_alone():
    """Only our own mark is taken for a replay."""
    message = {"record": {"rejected": {"outcome": "lost"}}}
    assert not unmark_record(message)
    assert message == {"record": {"rejected": {"outcome": "lost"}}}


def test_only_the_owner_can_read_file_and_folder(tmp_path):
    """The file holds phone numbers."""
    file = HeldFile(str(tmp_path / "rejected"), "run")
    file.append([(original("a"), Unknown("no answer"), 1)])
    assert file.path.name == "run.held.singer.jsonl"
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    file.close()


def test_two_runs_in_one_second_write_two_files(tmp_path):
    """Neither overwrites nor mixes with the other."""
    files = [RejectedFile(str(tmp_path), "run") for _ in range(2)]
    for file in files:
        file.append([(original("a"), Rejected("no"), 0)])
        file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run-2.singer.jsonl",
        "run.singer.jsonl",
    ]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    """The setting is named, the reason too."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PluginError, match="rejected_path"):
        RejectedFile(str(blocked), "run").append([(original("a"), Rejected("no"), 0)])
