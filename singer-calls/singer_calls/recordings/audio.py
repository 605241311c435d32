"""What a recording is, from its bytes and not from its name or the server's word: all pure.

WAV, MP3 and MP4 are what is recorded and taken; a player page, an error or another format must show
as such before it is stored under the name of a recording.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tinytag import TinyTag, TinyTagException

from singer_calls.recordings.mp3 import ends_within_a_frame

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES = 4096  # that tell a container

_UNKNOWN_LENGTH = 0x7FFF_0000  # and more: written by encoders that don't know the length yet
_ID3_BYTES = 10  # bytes of an ID3 header
_XING_REACH_BYTES = 64  # of a first MP3 frame before its Xing header, at most
_HAS_FRAMES, _HAS_BYTES = 1, 2


class UnusableError(ValueError):
    """A file that is no recording, or not a whole one.

    Args:
        reason: What it is instead, in words without a value: "is not audio but a web page".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Audio(NamedTuple):
    """What a recording is.

    Attributes:
        container: ``mp3``, ``wav`` or ``mp4``; also the suffix of its name.
        channels: 1 is mono, also where two channels hold the same (see ``inspect``).
        seconds: How long it plays.
        whole: False if its last piece is cut off; an MP3 doesn't say more of its end.
    """

    container: str
    channels: int
    seconds: float
    whole: bool = True

    @property
    def content_type(self) -> str:
        """For those who fetch it."""
        return CONTENT_TYPES[self.container]


CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "mp4": "audio/mp4"}


def inspect(file: IO[bytes], size: int) -> Audio:
    """Look at a file; only the parts that tell are read.

    Two channels that hold the same are one: who said what can't be told from them. That only shows
    when the file is decoded, so it needs miniaudio (extra ``recordings-decode``); without it they
    count as two.

    Args:
        file: Seekable.
        size: Its bytes.

    Raises:
        UnusableError: It is no WAV, MP3 or MP4 file, or less than the whole one.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    container = _container(head)
    if container is None:
        raise UnusableError(_what_instead(head))
    file.seek(0)
    try:
        found = TinyTag.get(f"call.{container}", tags=False, file_obj=file)  # type: ignore[arg-type]
    # Broken headers end in struct.error, IndexError and others, too.
    except (TinyTagException, ArithmeticError, LookupError, ValueError, struct.error):
        raise UnusableError("has a header that can't be read: it is damaged or cut") from None
    if not found.channels or not found.duration:
        raise UnusableError(f"holds no sound, though it begins as {container.upper()}")
    if _WHOLE[container](file, head) > size:
        raise UnusableError("is cut: its header announces more than there is")
    channels = 1 if found.channels == 2 and _same(file) else found.channels  # noqa: PLR2004
    whole = container != "mp3" or not ends_within_a_frame(file, size)
    return Audio(container, channels, round(found.duration, 3), whole)


def _same(file: IO[bytes]) -> bool:
    """Whether both channels hold the same, as far as that can be found out."""
    try:
        from singer_calls.recordings.decode import same_channels  # noqa: PLC0415 - an extra
    except ImportError:
        return False
    return same_channels(file)


def _container(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mp4"
    # MPEG audio, layer III, of any version.
    frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2  # noqa: PLR2004
    return "mp3" if frame or head[:3] == b"ID3" else None


def _what_instead(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text:
        return "is empty"
    if text.startswith((b"<!doctype html", b"<html")):
        return "is not audio but a web page"
    if text.startswith((b"<", b"{", b"[")):
        return "is not audio but XML or JSON"
    return "is not a WAV, MP3 or MP4 file"


# How many bytes a whole file has at least, by what it says itself; 0 where it says nothing.


def _whole_wav(_file: IO[bytes], head: bytes) -> int:
    announced = int.from_bytes(head[4:8], "little")
    return 0 if announced >= _UNKNOWN_LENGTH else announced + 8 - announced % 2


def _whole_mp3(_file: IO[bytes], head: bytes) -> int:
    """From the Xing (Info) header, which most encoders write into the first frame."""
    at = 0
    if head[:3] == b"ID3" and len(head) >= _ID3_BYTES:
        at = _ID3_BYTES + sum((byte & 0x7F) << 7 * (3 - n) for n, byte in enumerate(head[6:10]))
    names = (head.find(name, at, at + _XING_REACH_BYTES) for name in (b"Xing", b"Info"))
    place = max(names)
    if place < 0 or len(head) < place + 16:
        return 0
    flags = int.from_bytes(head[place + 4 : place + 8], "big")
    if not flags & _HAS_BYTES:
        return 0
    field = place + 8 + (4 if flags & _HAS_FRAMES else 0)
    return at + int.from_bytes(head[field : field + 4], "big")


def _whole_mp4(file: IO[bytes], _head: bytes) -> int:
    """The end of the last box."""
    at = 0
    while True:
        file.seek(at)
        box = file.read(16)
        if len(box) < 8:  # noqa: PLR2004 - a box begins with its length and its name
            return at + len(box)
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        if length < 8:  # noqa: PLR2004 - 0: up to the end of the file
            return 0
        at += length


_WHOLE: dict[str, Callable[[Any, bytes], int]] = {
    "wav": _whole_wav,
    "mp3": _whole_mp3,
    "mp4": _whole_mp4,
}
