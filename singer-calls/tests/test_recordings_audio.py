"""What a recording is follows from its bytes."""

from __future__ import annotations

import contextlib
import io
import wave
from importlib.resources import files

import pytest

from singer_calls.recordings.audio import UnusableError, inspect
from singer_calls.recordings.decode import duplicate
from singer_calls.recordings.mp3 import ends_within_a_frame, frame_bytes

MADE = files("call_sandbox") / "audio"
STEREO = (MADE / "stereo.mp3").read_bytes()
MP4 = (MADE / "stereo.mp4").read_bytes()


def wav(channels, seconds=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0\1\0\2\0\3\0\4"[: 2 * channels] * 8000 * seconds)
    return file.getvalue()


def announced(length, flags=0b11):
    """An MP3 whose first frame says how long the file is, as most encoders write it."""
    header = b"Xing" + flags.to_bytes(4, "big")
    header += (len(STEREO) // 288).to_bytes(4, "big") * (flags & 1) + length.to_bytes(4, "big")
    return STEREO[:36] + header + STEREO[36 + len(header) :]


def box(name, content, *, long=False):
    """A box of an MP4 file; a long one counts its bytes in eight bytes."""
    if long:
        return b"\0\0\0\1" + name + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + name + content


def look(data):
    return inspect(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    ("data", "container", "channels", "seconds"),
    [
        (wav(1), "wav", 1, 2),
        (wav(2), "wav", 2, 2),
        (STEREO, "mp3", 2, 3),
        ((MADE / "mono.mp3").read_bytes(), "mp3", 1, 3),
        (MP4, "mp4", 2, 3),
        # A writer to a pipe doesn't know the length yet.
        (wav(2)[:4] + b"\xff\xff\xff\xff" + wav(2)[8:], "wav", 2, 2),
        (b"ID3\4\0\0\0\0\0\x0a" + b"\0" * 10 + STEREO, "mp3", 2, 3),
        (announced(len(STEREO)), "mp3", 2, 3),
        (announced(10**9, 0), "mp3", 2, 3),  # it says nothing of bytes
        (announced(len(STEREO), 0b10), "mp3", 2, 3),
        (MP4 + box(b"free", b"\0" * 100, long=True), "mp4", 2, 3),
        (MP4 + b"\0\0\0\0free" + b"\0" * 100, "mp4", 2, 3),  # up to the end of the file
    ],
)
def test_containers_channels_and_seconds_are_read_from_the_bytes(
    data, container, channels, seconds
):
    found = look(data)
    assert (found.container, found.channels, round(found.seconds)) == (container, channels, seconds)


@pytest.mark.parametrize("name", ["stereo", "mono", "dual-mono"])
def test_an_mp3_that_ends_within_a_frame_is_not_whole(name):
    """Wherever it is cut but between two frames (288 bytes each); a tag behind it is no cut."""
    data = (MADE / f"{name}.mp3").read_bytes()
    assert look(data).whole
    assert look(data + b"TAG" + b"\0" * 125).whole
    assert look(data + b"\0" * 500).whole  # what is there can't be read: it may be whole
    assert not look(data[:-1]).whole
    for size in range(3000, 6000):
        assert ends_within_a_frame(io.BytesIO(data[:size]), size) is (size % 288 != 0), size


@pytest.mark.parametrize("version", [3, 2, 0])
def test_frames_of_any_version_and_rate_are_followed_to_their_end(version):
    """Of each bit rate and sampling rate, padded or not."""
    for rate in range(1, 15):
        for sampling in range(3):
            for padded in range(2):
                header = bytes(
                    [0xFF, 0xE3 | version << 3, rate << 4 | sampling << 2 | padded << 1, 0]
                )
                length = frame_bytes(header)
                frames = header.ljust(length, b"\0") * 4
                assert not ends_within_a_frame(io.BytesIO(frames), len(frames))
                for cut in (1, length - 4, length - 1):
                    size = len(frames) - cut
                    assert ends_within_a_frame(io.BytesIO(frames[:size]), size), (header, cut)


def test_two_channels_that_hold_the_same_are_one():
    assert look((MADE / "dual-mono.mp3").read_bytes()).channels == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><title>Log in</title>", "a web page"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b"<?xml version='1.0'?><errors/>", "XML or JSON"),
        (b'{"error": "none"}', "XML or JSON"),
        (b"fLaC\0\0\0\x22" + b"\0" * 100, "not a WAV, MP3 or MP4"),
        (b"OggS" + b"\0" * 100, "not a WAV, MP3 or MP4"),
        (b"RIFF\0\0\0\0AVI ", "not a WAV, MP3 or MP4"),
        (b"ID3" + b"\0" * 5000, "no sound"),
        (b"\xff\xfb" + b"\0" * 5000, "no sound"),
        (wav(2)[:50], "cut"),
        (wav(2)[:-1000], "cut"),
        (MP4[:-100], "cut"),
        (announced(len(STEREO))[:-288], "cut"),
        ((MP4 + box(b"free", b"\0" * 100, long=True))[:-1], "cut"),
        (MP4[: len(MP4) // 2], "no sound|cut"),
        (wav(2)[:20], "cut"),
    ],
)
def test_what_is_no_whole_recording_is_named(data, says):
    with pytest.raises(UnusableError, match=says):
        look(data)


def test_no_bytes_end_in_another_exception():
    for whole in (wav(2, 1), STEREO, MP4):
        for size in range(0, 600, 7):
            begun = whole[:size]
            for data in (begun, begun + b"\xff" * 300, whole[:40] + whole[size:900]):
                with contextlib.suppress(UnusableError):
                    look(data)


def test_mono_is_duplicated_onto_two_channels():
    stereo = io.BytesIO()
    duplicate(io.BytesIO((MADE / "mono.mp3").read_bytes()), stereo)
    stereo.seek(0)
    with wave.open(stereo) as made:
        left = made.readframes(made.getnframes())
        assert (made.getnchannels(), made.getframerate(), len(left) > 80_000) == (2, 8000, True)
    assert look(stereo.getvalue()).channels == 1  # the same on both


def test_what_can_not_be_decoded_is_not_duplicated():
    with pytest.raises(ValueError, match="decoded"):
        duplicate(io.BytesIO(MP4), io.BytesIO())
