"""The end of an MP3: it says nothing of its length, but it ends where a frame ends.

Layout of a frame's header: ISO/IEC 11172-3, 2.4.1.3; MPEG 2.5 as encoders write it.
"""

from __future__ import annotations

from typing import IO

_HEADER_BYTES = 4
_LONGEST_FRAME_BYTES = 1441  # 320 kbit/s at 32 kHz, padded
_TAIL_BYTES = 4 * _LONGEST_FRAME_BYTES
_TAG_BYTES = 128  # ID3v1, behind the last frame
_AT_LEAST = 2  # frames one after the other: no accident

_MPEG_1 = 3
_BIT_RATES = {  # kbit/s of layer III
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def frame_bytes(header: bytes) -> int:
    """The length of a frame of layer III by its header; 0 if that is none, or doesn't tell."""
    if len(header) < _HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # noqa: PLR2004
        return 0
    version = header[1] >> 3 & 3
    rate, sampling = header[2] >> 4, header[2] >> 2 & 3
    if version not in _SAMPLE_RATES or rate in {0, 15} or sampling == 3:  # noqa: PLR2004
        return 0
    bits = _BIT_RATES[version == _MPEG_1][rate] * 1000
    half = 144 if version == _MPEG_1 else 72
    return half * bits // _SAMPLE_RATES[version][sampling] + (header[2] >> 1 & 1)


def ends_within_a_frame(file: IO[bytes], size: int) -> bool:
    """Whether the last frame of an MP3 is not whole: its end was never received, or never written.

    False also where the end can't be read: something else than a tag stands behind the frames.

    Args:
        file: Seekable.
        size: Its bytes.
    """
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    if tail[-_TAG_BYTES : -_TAG_BYTES + 3] == b"TAG":
        tail = tail[:-_TAG_BYTES]
    for start in range(min(_LONGEST_FRAME_BYTES, len(tail))):
        place, frames = start, 0
        while length := frame_bytes(tail[place : place + _HEADER_BYTES]):
            if place + length > len(tail):
                break
            place, frames = place + length, frames + 1
        rest = tail[place:]
        if frames >= _AT_LEAST and (not rest or rest[0] == 0xFF):  # noqa: PLR2004
            return bool(rest) and (len(rest) < _HEADER_BYTES or frame_bytes(rest) > len(rest))
    return False
