"""Files of calls set aside."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from singer_calls.deliver.dead_letters import DeadLetter, DeadLetterFile, DeadLetters
from singer_calls.deliver.identity import Account
from singer_calls.deliver.messages import decode
from singer_calls.deliver.outcome import Rejected, Unknown
from singer_calls.deliver.replay import (
    read_mark,
    read_old_record,
    read_old_schema,
    signs_of_earlier_runs,
)
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.errors import PluginError

TARGET = "target-test"
NAMES = {"target": TARGET, "loader": None, "extractor": None}
ACCOUNT = Account("test", "https://vendor.example", "7")
SCHEMA = {
    "type": "SCHEMA",
    "stream": "calls",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {"type": "string"}, "cost": {}}},
}


def source(key, line=None, **more):
    record = {"id": key, "cost": 1.5, **more}
    message = {"type": "RECORD", "stream": "calls", "record": record}
    return SourceRecord(SCHEMA, message, line or json.dumps(message).encode())


def letter(key, outcome, attempt=0, **more):
    return DeadLetter(source(key, **more), outcome, attempt, ACCOUNT, key)


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def file(tmp_path):
    file = DeadLetterFile(str(tmp_path / "rejected"), "run", NAMES)
    yield file
    file.close()


def test_no_call_no_file(tmp_path):
    """A run without rejected calls leaves nothing behind."""
    DeadLetters(str(tmp_path / "rejected"), "run", TARGET, {}).close()
    assert not list(tmp_path.iterdir())


def test_a_file_is_a_singer_stream_that_gives_the_records_back(file):
    """SCHEMA once, as it came; each record as it came, the mark beside it."""
    refused = Rejected("too long", "CallProvider", 400, ("CallProvider", "City"), "Too long: City")
    file.append([letter("a", refused, 2)])
    file.append([letter("b", Rejected("no caller"))])
    schema, first, second = lines(file.path)
    assert schema == SCHEMA
    assert (
        first.pop("set_aside").items()
        >= {
            "target": TARGET,
            "account": {"vendor": "test", "origin": "https://vendor.example", "campaign": "7"},
            "key": "a",
            "attempt": 2,
            "outcome": "rejected",
            "reason": "too long",
            "field": "CallProvider",
            "fields": ["CallProvider", "City"],
            "status": 400,
            "words": "Too long: City",
        }.items()
    )
    assert first == source("a").message
    del second["set_aside"]
    assert second == source("b").message


@pytest.mark.parametrize(
    "own",
    [
        {"rejected": {"outcome": "x", "reason": "x", "attempts": 1, "time": "x"}},
        {"set_aside": {"target": TARGET, "outcome": "rejected"}},
        {"type": "RECORD", "record": {"record": 1}, "stream": None},
        {"_sdc_extracted_at": "x", "outcome": "unknown", "key": "k", "": {"": [None]}},
    ],
)
def test_whatever_a_records_fields_are_called_they_are_the_records(file, own):
    """No field of a record is a replay, and none is lost or changed on the way through a file."""
    message = {"type": "RECORD", "stream": "calls", "record": {"id": "a", **own}}
    assert read_mark(json.loads(json.dumps(message)), TARGET) is None
    file.append(
        [
            DeadLetter(
                SourceRecord(SCHEMA, message, json.dumps(message).encode()),
                Unknown("late"),
                3,
                ACCOUNT,
                "a",
            )
        ]
    )
    again = lines(file.path)[1]
    licence = read_mark(again, TARGET)
    assert again == message
    assert (licence.outcome, licence.account, licence.key, licence.attempt) == (
        "unknown", ACCOUNT, "a", 3,
    )  # fmt: skip
    file.append([DeadLetter(SourceRecord(SCHEMA, again, b"", licence), Rejected("no"), 4)])
    third = lines(file.path)[-1]
    assert read_mark(third, TARGET).attempt == 4
    assert third == message


@pytest.mark.parametrize(
    "text",
    ['"cost": 1.10', '"cost": 5e0', '"cost": NaN', '"cost": "\\ud800"', f'"n": {"9" * 5000}'],
)
def test_a_record_is_written_byte_for_byte_as_it_came(file, text):
    """Also what no JSON writer of ours could write again."""
    line = b'{"type": "RECORD", "stream": "calls", "record": {"id": "a", %s}}' % text.encode()
    message = decode(line)
    file.append([DeadLetter(SourceRecord(SCHEMA, message, line + b"\n"), Rejected("no"))])
    written = file.path.read_bytes().splitlines()[1]
    assert written.endswith(line[1:])
    assert written.startswith(b'{"set_aside":')


def test_a_file_of_another_target_is_refused(file):
    """Its decision was about another vendor."""
    file.append([letter("a", Rejected("no"))])
    with pytest.raises(PluginError, match="was not written by target-other"):
        read_mark(lines(file.path)[1], "target-other")


def test_a_record_is_known_by_its_key_properties_or_else_by_its_content():
    """The same again has the same name and print, and what Singer adds makes no difference."""
    one = source("a", _sdc_extracted_at="1")
    assert one.name == source("a", amount=2).name != source("b").name
    keyless = replace(one, schema=SCHEMA | {"key_properties": []})
    assert keyless.name == replace(source("a"), schema={}).name
    assert keyless.name != replace(source("a", amount=2), schema={}).name
    no = Rejected("no", "Field")
    assert one.fingerprint(no) == source("a", _sdc_sequence=2).fingerprint(no)
    assert one.fingerprint(no) != source("a", amount=2).fingerprint(no)
    assert one.fingerprint(no) != one.fingerprint(Rejected("no", "Other"))


def test_a_file_of_release_0_1_is_read():
    """Its rejected calls are a licence; its held ones name no attempt and are refused."""
    declared = {
        "type": ["object", "null"],
        "description": "Why this call was set aside; removed again when the file is replayed.",
        "properties": {},
    }
    schema = json.loads(json.dumps(SCHEMA))
    schema["schema"]["properties"]["rejected"] = declared
    assert read_old_schema(schema)
    assert schema == SCHEMA
    assert not read_old_schema(schema)
    message = source("a").message
    old = {**message, "record": {**message["record"], "rejected": {"outcome": "rejected"}}}
    assert read_old_record(old).outcome == "rejected"
    assert old == message
    held = {**message, "record": {**message["record"], "rejected": {"outcome": "unknown"}}}
    with pytest.raises(PluginError, match="call-ledger resolve"):
        read_old_record(held)


def test_only_the_owner_can_read_file_and_folder(tmp_path):
    """The file holds phone numbers."""
    letters = DeadLetters(str(tmp_path / "rejected"), "run", TARGET, {})
    letters.file(held=True).append([letter("a", Unknown("no answer"), 1)])
    (path,) = letters.paths
    assert path.endswith(f"{TARGET}-run.held.singer.jsonl")
    assert letters.held.path.stat().st_mode & 0o777 == 0o600
    assert letters.held.path.parent.stat().st_mode & 0o777 == 0o700
    letters.close()


def test_file_and_mark_name_the_loader_and_its_pipeline(tmp_path):
    """As Meltano calls them, whatever characters it allows; the target stays who may replay it."""
    meltano = {"MELTANO_LOADER_NAME": "brand/../c", "MELTANO_EXTRACTOR_NAME": "tap-x--c"}
    letters = DeadLetters(str(tmp_path), "1", TARGET, meltano)
    letters.file(held=False).append([letter("a", Rejected("no"))])
    letters.close()
    (path,) = tmp_path.iterdir()
    assert path.name == "brand_.._c-1.singer.jsonl"
    mark = lines(path)[1]["set_aside"]
    assert (mark["target"], mark["loader"], mark["extractor"]) == (TARGET, "brand/../c", "tap-x--c")
    assert signs_of_earlier_runs(str(tmp_path), TARGET, "https://vendor.example")


def test_two_runs_in_one_second_write_two_files(tmp_path):
    """Neither overwrites nor mixes with the other."""
    for _ in range(2):
        file = DeadLetterFile(str(tmp_path), "run", NAMES)
        file.append([letter("a", Rejected("no"))])
        file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run-2.singer.jsonl",
        "run.singer.jsonl",
    ]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_set_aside_after_the_file_was_removed_is_in_a_new_one(tmp_path, what):
    """Whoever tidied up took the calls before; those that follow are not lost with them."""
    file = DeadLetterFile(str(tmp_path / "rejected"), "run", NAMES)
    file.append([letter("a", Rejected("no"))])
    file.path.unlink() if what == "file" else shutil.rmtree(tmp_path / "rejected")
    file.append([letter("b", Rejected("no"))])
    file.close()
    kinds = [json.loads(line)["type"] for line in file.path.read_bytes().splitlines()]
    assert kinds == ["SCHEMA", "RECORD"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    """The setting is named, the reason too."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PluginError, match="rejected_path"):
        DeadLetterFile(str(blocked), "run", NAMES).append([letter("a", Rejected("no"))])


def test_files_show_that_this_target_delivered_to_a_vendor_before(tmp_path):
    """By their marks, not by their names alone; what is no line of ours says nothing."""
    file = DeadLetterFile(str(tmp_path), f"{TARGET}-1", NAMES)
    file.append([letter("a", Rejected("no"))])
    file.close()
    file.path.write_bytes(b'damaged\n[1]\n{"set_aside": "x"}\n' + file.path.read_bytes())
    (tmp_path / "0.singer.jsonl").write_text('[1]\n{"set_aside": {"account": 5}}\n')
    assert signs_of_earlier_runs(str(tmp_path), TARGET, "https://vendor.example")
    assert not signs_of_earlier_runs(str(tmp_path), TARGET, "https://other.example")
    assert not signs_of_earlier_runs(str(tmp_path), "target", "https://vendor.example")
    assert not signs_of_earlier_runs(str(tmp_path / "none"), TARGET, "https://vendor.example")
