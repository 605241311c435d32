"""From a source's API into the store: looked for first, fetched once, known for what it is."""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeAlias

from singer_calls.errors import PluginError
from singer_calls.recordings.audio import CONTENT_TYPES, UnusableError, inspect
from singer_calls.recordings.record import (
    MISSING,
    PENDING,
    STORED,
    UNUSABLE,
    Recording,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_calls.recordings.audio import Audio
    from singer_calls.recordings.store import Store, Stored

Fetch: TypeAlias = "Callable[[IO[bytes]], None]"
"""Writes one recording into an empty file. Raises NoRecordingError or UnusableError, for this
recording; FailedError when it may be had later."""

_IN_MEMORY_BYTES = 2**20  # of a recording under way; the rest is on disk
_CUT = "is cut: it ends in the middle of a frame, and is shorter than what was talked"
_SLACK_SECONDS = 2.0  # by which sources round
_FAILURES = 3  # in a row: the source is not to be had


class NoRecordingError(Exception):
    """The source has no recording of a call, or not yet.

    Args:
        reason: What it answered, a clause without a value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FailedError(Exception):
    """All tries of one recording failed; it may be had later.

    Args:
        reason: What happened, a clause without a value.
        sentence: What the user is told when nothing else can be had either.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sentence = sentence


class Archive:
    """Keeps the recordings of one source; used from many threads.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._containers = [*CONTENT_TYPES]  # the one met last goes first: a source has its own
        self._failures = 0
        self._lock = threading.Lock()

    def keep(
        self, name: str, fetch: Fetch, *, young: bool, talk_seconds: float | None = None
    ) -> Recording:
        """One recording, stored if it can be: when this returns the store has acknowledged it.

        Args:
            name: Its path without the suffix: the same in each run.
            fetch: Asks the source; called only if the store has none.
            young: Whether a recording may still come.
            talk_seconds: How long was talked, where the source says it: a file whose end is cut off
                and that is shorter is not the whole recording.

        Raises:
            PluginError: Nothing can be fetched or stored any more.
        """
        if found := self._look(name):
            return _stored(found)
        try:
            with _copy() as file:
                fetch(file)
                size = file.seek(0, 2)
                audio = inspect(file, size)
                if not audio.whole and _is_short(audio, talk_seconds):
                    self._passed()
                    return Recording(PENDING if young else UNUSABLE, problem=_CUT)
                kept = self._store.put(f"{name}.{audio.container}", file, size, audio)
        except NoRecordingError as error:
            self._passed()
            return Recording(PENDING if young else MISSING, problem=error.reason)
        except UnusableError as error:
            self._passed()
            return Recording(UNUSABLE, problem=error.reason)
        except FailedError as error:
            self._failed(error)
            return Recording(PENDING, problem=error.reason)
        self._passed(audio.container)
        return _stored(kept)

    def _look(self, name: str) -> Stored | None:
        for container in tuple(self._containers):
            if found := self._store.look(f"{name}.{container}"):
                self._passed(container)
                return found
        return None

    def _passed(self, container: str = "") -> None:
        with self._lock:
            self._failures = 0
            if container and self._containers[0] != container:
                self._containers.sort(key=container.__ne__)

    def _failed(self, error: FailedError) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES:
                raise PluginError(error.sentence)


def _is_short(audio: Audio, talk_seconds: float | None) -> bool:
    """Whether a recording is shorter than its call; one whose length nobody knows may be."""
    return talk_seconds is None or audio.seconds + _SLACK_SECONDS < talk_seconds


@contextmanager
def _copy() -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        yield file


def _stored(found: Stored) -> Recording:
    audio = found.audio
    return Recording(STORED, found.path, None, audio.channels, audio.seconds, found.size)
