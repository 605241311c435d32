"""Make the sandbox's recordings anew: ``uv run --with lameenc --with av scripts/audio.py``.

Two people take turns, a second each, as tones: the caller on channel 0, the agent on channel 1.
"""

from __future__ import annotations

import io
import math
from array import array
from pathlib import Path
from typing import Any

import av
import lameenc

FOLDER = Path(__file__).resolve().parent.parent / "sandbox" / "call_sandbox" / "audio"
SAMPLES_PER_SECOND = 8000
LENGTH_SECONDS = 3
CALLER, AGENT = 330, 220  # Hz
LOUD = 9000  # of 32768


def talk(*voices: tuple[int, ...]) -> bytes:
    """Samples of 16 bits: for each channel the tones that it hears."""
    samples = array("h")
    for n in range(SAMPLES_PER_SECOND * LENGTH_SECONDS):
        speaking = CALLER if n // SAMPLES_PER_SECOND % 2 == 0 else AGENT
        tone = int(LOUD * math.sin(2 * math.pi * speaking * n / SAMPLES_PER_SECOND))
        samples.extend(tone if speaking in channel else 0 for channel in voices)
    return samples.tobytes()


def mp3(samples: bytes, channels: int) -> bytes:
    """As MP3, 32 kbit/s."""
    encoder: Any = lameenc.Encoder()
    encoder.set_bit_rate(32)
    encoder.set_in_sample_rate(SAMPLES_PER_SECOND)
    encoder.set_channels(channels)
    encoder.silence()
    return bytes(encoder.encode(samples) + encoder.flush())


def mp4(samples: bytes) -> bytes:
    """As AAC in MP4, two channels."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="stereo")
        frame = av.AudioFrame(
            format="s16", layout="stereo", samples=SAMPLES_PER_SECOND * LENGTH_SECONDS
        )
        frame.rate = SAMPLES_PER_SECOND
        frame.planes[0].update(samples)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return file.getvalue()


if __name__ == "__main__":
    apart = talk((CALLER,), (AGENT,))
    FOLDER.mkdir(exist_ok=True)
    for name, made in {
        "stereo.mp3": mp3(apart, 2),
        "mono.mp3": mp3(talk((CALLER, AGENT)), 1),
        "dual-mono.mp3": mp3(talk((CALLER, AGENT), (CALLER, AGENT)), 2),
        "stereo.mp4": mp4(apart),
    }.items():
        (FOLDER / name).write_bytes(made)
        print(name, len(made), "bytes")
