"""What sound a file holds, as far as a vendor looks at it; and a WAV file of one's own."""

from __future__ import annotations

import io
import math
import wave
from array import array
from typing import NamedTuple

SAMPLES_PER_SECOND = 8000
ID3_BYTES = 10
MONO_MODE = 3


class Sound(NamedTuple):
    """What is in a file.

    Attributes:
        kind: `wav`, `mp3`, `mp4`, or what it is instead.
        channels: 0 where it holds no sound.
    """

    kind: str
    channels: int

    def __str__(self) -> str:
        words = {0: "not a recording", 1: "mono", 2: "stereo"}
        return f"{words.get(self.channels, f'{self.channels} channels')}, {self.kind}"


def sound(data: bytes) -> Sound:
    """What a file is by its first bytes, and how many channels it has."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return Sound("wav", int.from_bytes(data[22:24], "little"))
    if data[4:8] == b"ftyp":
        # The channels in the entry of an audio sample: 16 bytes after its name and fixed part.
        at = data.find(b"mp4a")
        return Sound("mp4", int.from_bytes(data[at + 20 : at + 22], "big") if at > 0 else 0)
    at = 0
    if data[:3] == b"ID3":
        at = ID3_BYTES + sum((byte & 0x7F) << 7 * (3 - n) for n, byte in enumerate(data[6:10]))
    frame = data[at : at + 4]
    if len(frame) == 4 and frame[0] == 0xFF and frame[1] & 0xE6 == 0xE2:  # noqa: PLR2004
        return Sound("mp3", 1 if frame[3] >> 6 == MONO_MODE else 2)
    return Sound("html" if data.lstrip()[:1] == b"<" else "unknown", 0)


def wav(channels: int, seconds: int = 3) -> bytes:
    """Two people who take turns: on one channel each, or both on one."""
    samples = array("h")
    for n in range(SAMPLES_PER_SECOND * seconds):
        tone = int(9000 * math.sin(n / 4))
        turn = n // SAMPLES_PER_SECOND % 2
        samples.extend(
            tone if channel == turn or channels == 1 else 0 for channel in range(channels)
        )
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(SAMPLES_PER_SECOND)
        out.writeframes(samples.tobytes())
    return file.getvalue()
