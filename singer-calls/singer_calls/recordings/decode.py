"""What only shows, or can only be done, with the sound itself. Needs ``recordings-decode``."""

from __future__ import annotations

import wave
from typing import IO, TYPE_CHECKING

import miniaudio

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

_STEREO_CHANNELS = 2
_SAMPLE_BYTES = 2
_SAMPLES_PER_SECOND = 8000  # samples a second, as on the telephone network
_NOISE = 16  # of 32768: what an encoder makes of two equal channels


class _Source(miniaudio.StreamableSource):  # type: ignore[misc]
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, num_bytes: int) -> bytes:
        return self._file.read(num_bytes)

    def seek(self, offset: int, origin: miniaudio.SeekOrigin) -> bool:
        self._file.seek(offset, 0 if origin == miniaudio.SeekOrigin.START else 1)
        return True


def _blocks(file: IO[bytes], channels: int) -> Iterator[array[int]]:
    file.seek(0)
    yield from miniaudio.stream_any(
        _Source(file),
        output_format=miniaudio.SampleFormat.SIGNED16,
        nchannels=channels,
        sample_rate=_SAMPLES_PER_SECOND,
    )


def same_channels(file: IO[bytes]) -> bool:
    """Whether the two channels of a file hold the same sound; decoded until they differ.

    Args:
        file: Seekable WAV or MP3. Another one is not known to: False.
    """
    try:
        return all(
            abs(left - right) <= _NOISE
            for block in _blocks(file, _STEREO_CHANNELS)
            for left, right in zip(block[::2], block[1::2], strict=True)
        )
    except miniaudio.MiniaudioError:
        return False


def duplicate(mono: IO[bytes], stereo: IO[bytes]) -> float:
    """Write a mono recording as WAV with the same sound on two channels, 8 kHz, 16 bits.

    Returns:
        Its seconds.

    Raises:
        ValueError: It can't be decoded (MP4).
    """
    try:
        with wave.open(stereo, "wb") as out:
            out.setnchannels(_STEREO_CHANNELS)
            out.setsampwidth(_SAMPLE_BYTES)
            out.setframerate(_SAMPLES_PER_SECOND)
            for block in _blocks(mono, _STEREO_CHANNELS):
                out.writeframes(block.tobytes())
            return out.getnframes() / _SAMPLES_PER_SECOND
    except miniaudio.MiniaudioError:
        raise ValueError("can't be decoded") from None
