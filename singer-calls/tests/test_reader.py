"""Reading lines: whole ones, of any length, until the input ends or someone wakes the reader."""

from __future__ import annotations

import io
import os
import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.deliver.messages import decode, decode_exactly, encode, json_body
from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.deliver.parameters import scalar
from singer_calls.deliver.reader import CallReader, InputError, Wake, lines


def read(source, wake=None):
    return [line for line in lines(source, wake or Wake()) if line]


@pytest.mark.parametrize("read_line", [decode, decode_exactly])
@pytest.mark.parametrize("line", [b"[" * 10**5, b'{"a":' * 10**5 + b"1" + b"}" * 10**5])
def test_a_line_of_any_depth_is_json_or_none(read_line, line):
    """It costs itself, and not the program's stack."""
    with pytest.raises(ValueError, match="nested too deeply"):
        read_line(line)


@given(
    texts=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=20),
    ended=st.booleans(),
)
def test_a_pipe_gives_the_same_lines_as_a_file(texts, ended):
    """However they are cut on their way, with or without a last line end."""
    data = b"\n".join(texts) + (b"\n" if ended else b"")
    reads, writes = os.pipe()

    def feed():
        for place in range(0, len(data), 7):
            os.write(writes, data[place : place + 7])
        os.close(writes)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(reads, "rb") as pipe:
        found = read(pipe)
    feeder.join()
    assert found == [line for line in data.split(b"\n") if line]
    assert [line.rstrip(b"\n") for line in read(io.BytesIO(data)) if line != b"\n"] == found


def test_a_line_longer_than_any_buffer_is_one_line(tmp_path):
    """Ten megabytes."""
    file = tmp_path / "input"
    file.write_bytes(b"a" * 10_000_000 + b"\nb\n")
    with file.open("rb") as source:
        assert [len(line) for line in read(source)] == [10_000_000, 1]


def test_a_wait_for_input_ends_when_someone_wakes_the_reader():
    """From another thread, with the input still open; and what comes later is not read."""
    reads, writes = os.pipe()
    wake, found = Wake(), []
    with os.fdopen(reads, "rb") as pipe:
        os.write(writes, b"one\ntwo\nthr")

        def go():
            for line in lines(pipe, wake):
                found.append(line)
                if line == b"two":
                    threading.Timer(0.05, wake.set).start()

        reader = threading.Thread(target=go)
        reader.start()
        reader.join(10)
        assert not reader.is_alive()
    assert found == [b"one", b"two"]
    os.close(writes)
    wake.set()
    wake.close()


@pytest.mark.parametrize("line", [b"[1]", b"{", b"x", b'"a"', b"\xff\xfe{}", b'{"a":' * 100_000])
def test_a_line_that_is_no_object_is_said_by_its_number(line):
    """And nothing of it is quoted."""
    reader = CallReader()
    with pytest.raises(InputError, match="Line 2 of the input is not a JSON object"):
        reader.process_lines(
            io.BytesIO(b'{"type":"STATE"}\n' + line + b"\n"), {"STATE": lambda _message: None}
        )


@pytest.mark.parametrize("text", ["5", "5.0", "5e0", "50e-1", "0.5e1", "5.000"])
def test_every_spelling_of_a_whole_number_is_one_number(text):
    """A text is never read as a number, and STATE keeps what it was given."""
    assert repr(decode(b'{"a": %s}' % text.encode())["a"]) == "5"
    assert decode(b'{"a": "%s"}' % text.encode())["a"] == text
    if "e" not in text:
        assert encode(decode_exactly(b'{"a":%s}' % text.encode())) == f'{{"a":{text}}}'


@pytest.mark.parametrize("text", ["5.5", "0.1", "1e-7", "1769852400.10", "1e300", "-2.50"])
def test_what_is_not_whole_keeps_all_its_digits(text):
    """As Decimal; and a huge whole number is no reason to write 300 zeros."""
    assert str(decode(text.encode())).lower().replace("+", "") == text


def test_a_number_of_thousands_of_digits_is_a_number():
    """Python refuses to make an int of it: that must cost its call, not the run."""
    assert decode(b'{"a": ' + b"9" * 5000 + b"}")["a"].adjusted() == 4999
    assert encode(decode(b'{"a":' + b"9" * 5000 + b"}")) == '{"a":' + "9" * 5000 + "}"


def test_bytes_that_are_no_utf_8_are_halves_of_pairs():
    """No parameter takes them: they cost their call, and not the run."""
    value = decode(b'{"a": "Bucure\xbati", "b": 5.0}')
    assert value == {"a": "Bucure\udcbati", "b": 5}
    with pytest.raises(InvalidCallError, match="character"):
        scalar(value["a"])


@pytest.mark.parametrize("value", ["\ud800", "Bucure\udcbati", float("nan"), Decimal("-Infinity")])
def test_a_body_of_json_holds_what_every_reader_takes(value):
    """However deep it lies."""
    assert json_body({"a": ["é", Decimal("0.10")]}) == '{"a":["é",0.10]}'.encode()
    with pytest.raises(InvalidCallError, match="is none"):
        json_body({"a": [{"b": value}]})
