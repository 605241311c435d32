"""A JSON array of any length, decoded as it arrives, and kept in bounded memory."""

from __future__ import annotations

import codecs
import json
import math
import tempfile
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

import msgspec

from singer_calls.extract.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Record = dict[str, Any]

_LARGEST_CHARS = 8 * 2**20  # of one element; more is no call, but a broken body

_MOST_DIGITS = 4000  # Python refuses to read more, or fewer by PYTHONINTMAXSTRDIGITS


def whole_number(digits: str) -> int | float:
    """A number without a point; one that Python refuses to read is infinite: no field's value."""
    try:
        return int(digits) if len(digits) < _MOST_DIGITS else math.inf
    except ValueError:
        return math.inf


def last_value(pairs: list[tuple[str, Any]]) -> Record:
    """An object in which a key may occur twice: the last value that is not null wins.

    Documents of vendors show it: a key with null, then with a value. So neither order loses it.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        found |= {key: value for key, value in pairs if value is not None}
    return found


# strict=False: a raw line break inside a text is wrong JSON and harmless.
_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=last_value)
_PATIENT = json.JSONDecoder(strict=False, object_pairs_hook=last_value, parse_int=whole_number)
decode_json = _PATIENT.decode
_ASCII = '[{"+\\'  # of JSON and phone numbers: other bytes in charsets that are no ASCII
_MARK = 4  # bytes that tell UTF-8, UTF-16 and UTF-32 apart
_skip_space = json.decoder.WHITESPACE.match  # type: ignore[attr-defined]


def decoded(
    chunks: Iterable[bytes],
    charset: str | None,
    lost: Callable[[int], object] = lambda _count: None,
) -> Iterator[str]:
    """The pieces of a body as text, in the charset that its sender declares.

    UTF-16 and UTF-32 are told by their first bytes, and so is that a body is neither, whatever is
    declared. Bytes that are none of the charset become U+FFFD: one broken letter must not hold up
    all calls.

    Args:
        chunks: The body.
        charset: As declared, None for JSON's own UTF-8; one that Python does not know, or that has
            other bytes for ASCII, counts as not declared.
        lost: Told how many U+FFFD a piece holds, if any.
    """
    arriving, head = iter(chunks), b""
    while len(head) < _MARK and (more := next(arriving, None)) is not None:
        head += more
    shown = json.detect_encoding(head)
    name = charset if charset and shown == "utf-8" and _holds_json(charset) else shown
    decode = codecs.getincrementaldecoder(name)(errors="replace").decode
    for chunk in chain((head,), arriving, (None,)):
        text = decode(b"", final=True) if chunk is None else decode(chunk)
        if "\ufffd" in text:
            lost(text.count("\ufffd"))
        yield text


def _holds_json(charset: str) -> bool:
    """Whether a charset is known, and has JSON's own characters as ASCII has them, and more."""
    try:
        "".encode(charset)  # refuses what is no encoding of text
        decoder = codecs.getincrementaldecoder(charset)(errors="replace")
        same = decoder.decode(_ASCII.encode(), final=True) == _ASCII
        return same and codecs.lookup(charset).name != "ascii"
    except (LookupError, ValueError):
        return False


def iterate_array(arriving: Iterable[str]) -> Iterator[Any]:
    """The elements of one JSON array, each as soon as it has arrived.

    Raises:
        RetriableError: The body is cut, or is not one JSON array.
    """
    arriving = iter(arriving)
    text, at, before = "", 0, "["
    while True:
        start, ended = _place(text, at, before)
        if ended:
            break
        element, end = _element(text, start)
        if end < len(text):  # else it is not whole, or a number that may go on
            yield element
            at, before = end, ","
            continue
        more = next(arriving, None)
        if more is None or len(text) - at > _LARGEST_CHARS:
            raise RetriableError("cut its answer short, or the answer is not JSON")
        text, at = text[at:] + more, 0
    if any(map(str.strip, chain((text[start + 1 :],), arriving))):
        raise RetriableError("answered more than one list")


def _element(text: str, start: int) -> tuple[Any, int]:
    """The element that begins there, and where it ends: at the end of the text if it is not whole.

    Args:
        text: What has arrived.
        start: Where the element begins.
    """
    for decoder in (_DECODER, _PATIENT):
        try:
            return decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            break
        except ValueError:  # a number of thousands of digits
            continue
    return None, len(text)


def _place(text: str, at: int, before: str) -> tuple[int, bool]:
    """Where the next element begins, or where the list ends and True.

    Args:
        text: What has arrived.
        at: Where the last element ended.
        before: What comes before the next one: the list's bracket or a comma.
    """
    if not text.startswith(before, at):
        at = _skip_space(text, at).end()
        if before == "," and text.startswith("]", at):
            return at, True
        if at < len(text) and not text.startswith(before, at):
            raise RetriableError("answered something that is not a list of calls")
    at += 1
    if not text.startswith("{", at):
        at = _skip_space(text, at).end()
    return at, before == "[" and text.startswith("]", at)


class Spill:
    """Records in the order they came: the first in memory, the rest in an unlinked file.

    So an answer can be read whole, and known to be good, before its first record goes on;
    without holding it in memory, and without holding the vendor's connection while a slow target
    works. The file is the process's own, without a name, and gone with it.

    Args:
        records: What to keep; read to its end at once.

    Attributes:
        received: How many elements the answer had, with those that became no record.
    """

    IN_MEMORY = 10_000

    def __init__(self, records: Iterable[Record] = ()) -> None:
        rest = iter(records)
        self._head = list(islice(rest, self.IN_MEMORY))
        self._count = len(self._head)
        self._tail: IO[bytes] | None = None
        for record in rest:
            if self._tail is None:
                self._tail = tempfile.TemporaryFile()  # noqa: SIM115 (as long as this object)
            self._tail.write(msgspec.json.encode(record) + b"\n")
            self._count += 1
        self.received = self._count

    @classmethod
    def of(cls, records: Iterable[Record]) -> Spill:
        """The records as a Spill, which they may be already."""
        return records if isinstance(records, Spill) else cls(records)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        """Each record once: what was given is forgotten."""
        yield from self._head
        self._head = []
        if self._tail is not None:
            self._tail.seek(0)
            yield from map(msgspec.json.Decoder().decode, self._tail)
            self._tail.close()
