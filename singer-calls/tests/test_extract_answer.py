"""JSON arrays decoded as they arrive, and kept in bounded memory."""

from __future__ import annotations

import codecs
import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.extract import RetriableError, Spill
from singer_calls.extract.json_array import decoded, iterate_array


def iterated(chunks):
    return iterate_array(decoded(chunks, None))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    """The body in pieces of these sizes, over and over."""
    result, at = [], 0
    while at < len(body):
        size = sizes[len(result) % len(sizes)]
        result.append(body[at : at + size])
        at += size
    return result


@given(st.lists(values, max_size=6), layouts, st.lists(st.integers(1, 40), min_size=1))
def test_pieces_make_no_difference(items, layout, sizes):
    """However the network cuts the body, the elements are those of json.loads."""
    body = json.dumps(items, **layout).encode("utf-8", "surrogatepass")
    assert list(iterated(pieces(body, sizes))) == json.loads(body.decode("utf-8", "replace"))


@given(st.lists(st.dictionaries(st.text(), values, min_size=1), min_size=1, max_size=4), st.data())
def test_a_cut_body_is_never_taken_for_a_whole_one(items, data):
    """Every prefix of the answer is asked for again."""
    body = json.dumps(items).encode()
    size = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(RetriableError):
        list(iterated([body[:size]]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b'{"error":"no"}',
        b"<!doctype html>",
        b"null",
        b"[]]",
        b"[] []",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b'[{"a":1}{"b":2}]',
        b"[" * 100_000,
        b'["' + b"x" * 9_000_000,
        bytes(range(256)),
    ],
    ids=range(14),
)
def test_what_is_no_list_is_asked_for_again(body):
    """And the reason does not hold a byte of it."""
    with pytest.raises(RetriableError) as error:
        list(iterated([body]))
    assert error.value.reason in {
        "answered something that is not a list of calls",
        "cut its answer short, or the answer is not JSON",
        "answered more than one list",
    }


@pytest.mark.parametrize("cut", [1, 3000, 5000, 10_000])
def test_a_number_of_thousands_of_digits_costs_its_field(cut):
    """Python refuses to read it; the calls around it are read, in any pieces."""
    body = '[{"a": 1}, {"a": -' + "9" * 5000 + ', "b": 2}, {"a": 3}]'
    found = list(iterate_array([body[:cut], body[cut:]]))
    assert found == [{"a": 1}, {"a": math.inf, "b": 2}, {"a": 3}]


def test_so_does_one_of_as_many_digits_as_the_environment_forbids():
    """PYTHONINTMAXSTRDIGITS may be as low as 640."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        found = list(iterate_array(['[{"a": ' + "9" * 1000 + '}, {"a": 3}]']))
    finally:
        sys.set_int_max_str_digits(before)
    assert found == [{"a": math.inf}, {"a": 3}]


def test_elements_come_before_the_body_has_ended():
    """Decoded as it arrives."""
    sent = []

    def body():
        for piece in (b'[{"a":1},', b'{"a":2}', b"]"):
            sent.append(piece)
            yield piece

    arriving = iterated(body())
    assert next(arriving) == {"a": 1}
    assert len(sent) == 1


def test_a_broken_letter_does_not_hold_up_the_calls():
    """Bytes that are no UTF-8, a byte order mark and a raw line break are read past."""
    body = b'\xef\xbb\xbf[{"a":"\xff\n"}]'
    assert list(iterated([body])) == [{"a": "\ufffd\n"}]


@pytest.mark.parametrize("count", [0, 1, Spill.IN_MEMORY, Spill.IN_MEMORY + 1, 12_345])
def test_a_spill_gives_back_what_it_was_given(count):
    """In order, from memory and from its file."""
    records = [{"id": n, "text": "ă\n", "none": None, "part": [{"x": True}]} for n in range(count)]
    spill = Spill(iter(records))
    assert len(spill) == count
    assert list(spill) == records


@pytest.mark.parametrize(
    ("charset", "letters"),
    [("iso-8859-2", 0), ("utf-16", 0), ("UTF-8", 0), ("utf-8", 1), (None, 1), ("no-charset", 1)],
)
def test_the_declared_charset_is_obeyed_and_what_it_can_not_say_is_counted(charset, letters):
    """However the bytes are cut."""
    sent = "utf-8" if charset == "UTF-8" else charset
    body = '[{"a":"ăș"}]'.replace("ș", "ş")
    encoded = body.encode("iso-8859-2" if letters else sent)
    lost = []
    found = iterate_array(
        decoded((encoded[n : n + 1] for n in range(len(encoded))), charset, lost.append)
    )
    assert list(found) == [{"a": "\ufffd" if letters else "ăş"}]
    assert sum(lost) == letters


@pytest.mark.parametrize(
    "charset",
    [
        *("base64", "rot13", "zlib", "", "\0", "idna", "punycode", "utf-7", "unicode_escape"),
        *("utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "cp037", "us-ascii"),
    ],
)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_charset_that_is_none_or_not_that_of_the_body_counts_as_not_declared(charset, mark):
    """JSON is UTF-8, with or without a byte order mark."""
    body = mark + '[{"ă": "+40 \\u0103"}]'.encode()
    assert list(iterate_array(decoded([body], charset))) == [{"ă": "+40 ă"}]


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-32"])
@pytest.mark.parametrize("declared", [None, "utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_wide_letters_are_told_by_the_first_bytes(charset, declared, size):
    """With or without a byte order mark, whatever is declared."""
    body = '[{"ă": 1}]'.encode(charset)
    pieces = [body[n : n + size] for n in range(0, len(body), size)]
    assert list(iterate_array(decoded(pieces, declared))) == [{"ă": 1}]


@pytest.mark.parametrize("body", ['{"a":1,"a":null}', '{"a":null,"a":1}', '{"a":2,"a":1}'])
@pytest.mark.parametrize("digits", [1, 5000])
def test_of_a_key_that_comes_twice_no_value_is_lost(body, digits):
    """The last one that is not null counts, also beside a number that Python does not read."""
    (found,) = iterated([f'[{body[:-1]},"b":{"1" * digits}}}]'.encode()])
    assert found["a"] == 1
