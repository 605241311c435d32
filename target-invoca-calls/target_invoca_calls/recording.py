"""A recording in the user's store: from the fields that taps write to what Invoca can fetch.

Invoca downloads a recording up to a day after it took the call, from a URL (``presigned``: it
should live for more than 24 hours) or by its name in a storage that Invoca was given access to
(``filename``). It needs two channels, and tells of failures by e-mail only: so what is known to
fail is refused here. Source: vendor docs, Supported Recording Formats and Access Options.
"""

from __future__ import annotations

import re
import tempfile
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, cast

from singer_calls.deliver import InvalidCallError, NotYetError, is_blank
from singer_calls.recordings.checks import PathError, check_path, name_in_bucket
from singer_calls.recordings.record import MISSING, PENDING, PROPERTIES, UNUSABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.recordings.store import Store

FIELDS = frozenset(PROPERTIES)
"""Fields of a record that say what became of its recording; no parameters of Invoca."""

PRESIGNED, FILENAME = "presigned", "filename"
REJECT, DUPLICATE = "reject", "duplicate"

_FIELD = "recording_path"
_TWO = 2
# A tap's own words; anything else (a URL, a number) may be a value of the call.
_WORDS = re.compile(r"(?!.*\d{5})(?!.*://)[\w ,;:.()'/-]{1,160}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording in the store.

    Attributes:
        path: Below ``recordings_url``.
    """

    path: str


class Recordings:
    """What the settings say of recordings.

    Args:
        settings: The plugin's.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._named = settings.get("recording_access") == FILENAME
        self._unchecked = True
        self._checking = threading.Lock()

    @property
    def parameter(self) -> str:
        """Invoca's parameter that tells where a recording is."""
        return "recording_filename" if self._named else "recording_url"

    @cached_property
    def _store(self) -> Store:
        # Only here, since it needs libraries of the extra.
        from singer_calls.recordings.store import Store  # noqa: PLC0415

        return Store.from_config(self._settings)

    def read(self, record: Mapping[str, Any]) -> Kept | str | None:
        """What a record says of its recording in the store.

        Returns:
            What stands for it until an attempt is made, or what is sent if that is known already;
            None if the record says nothing.

        Raises:
            NotYetError: There is none yet.
            InvalidCallError: There is none, or Invoca can't take it.
        """
        status, path = record.get("recording_status"), record.get(_FIELD)
        problem = str(record.get("recording_problem") or "")
        why = f": it {problem}" if _WORDS.fullmatch(problem) else ""
        if status == PENDING:
            hours = self._settings.get("recording_wait_hours", 24)
            raise NotYetError(f"is not there yet{why}", "recording", hours=hours)
        if status == MISSING:
            raise InvalidCallError(f"is missing{why}; filter such calls", "recording")
        if status == UNUSABLE:
            raise InvalidCallError(f"can't be used{why}; filter such calls", "recording")
        if is_blank(path):
            return None
        if not isinstance(path, str):
            raise InvalidCallError("is not a text", _FIELD)
        try:
            check_path(path)
        except PathError as error:
            raise InvalidCallError(str(error), _FIELD) from None
        if not self._settings.get("recordings_url"):
            raise InvalidCallError("needs the setting recordings_url, as the tap has it", _FIELD)
        channels = record.get("recording_channels")
        mono = not is_blank(channels) and self._is_mono(channels)
        if self._named and not mono:
            return name_in_bucket(self._settings["recordings_url"], path)
        return Kept(path)

    def _is_mono(self, channels: object) -> bool:
        """Whether there is one channel, which is to be sent twice.

        Raises:
            InvalidCallError: There are not two, and that is not asked for.
        """
        if channels == 1 and self._settings.get("on_mono") == DUPLICATE:
            return True
        if channels != _TWO:
            raise InvalidCallError(
                "are not two, as Invoca needs them: filter such calls, or see the setting on_mono",
                "recording_channels",
            )
        return False

    def locate(self, kept: Kept) -> str:
        """What a request says of a recording: a URL, signed now, or its name in the storage.

        Asks the store, so not for a loop: what is gone would be missed at Invoca only. The first
        time it looks whether Invoca will be able to fetch at all.

        Raises:
            InvalidCallError: The store doesn't have it, or not as Invoca needs it.
            PluginError: The store refuses, or Invoca couldn't fetch.
        """
        hours, path = self._settings["recording_url_hours"], kept.path
        with self._checking:
            if self._unchecked and not self._named:
                self._store.check(hours)
            self._unchecked = False
        found = self._store.look(path)
        if found is None:
            raise InvalidCallError("is not in the store: see recordings_url in the tap", _FIELD)
        if self._is_mono(found.audio.channels):
            path = self._duplicate(path)
        if self._named:
            return name_in_bucket(self._settings["recordings_url"], path)
        return self._store.sign(path, hours)

    def _duplicate(self, path: str) -> str:
        """Put a recording beside itself with its one channel twice, once; the new path."""
        from singer_calls.recordings.audio import Audio  # noqa: PLC0415 - extras
        from singer_calls.recordings.decode import duplicate  # noqa: PLC0415

        made = f"{path.rpartition('.')[0]}.duplicated.wav"
        if self._store.look(made):
            return made
        with self._store.open(path) as mono, tempfile.TemporaryFile() as stereo:
            try:
                seconds = duplicate(mono, cast("IO[bytes]", stereo))
            except ValueError:
                raise InvalidCallError(
                    "can't be decoded to duplicate its channel", _FIELD
                ) from None
            size = stereo.seek(0, 2)
            self._store.put(made, cast("IO[bytes]", stereo), size, Audio("wav", _TWO, seconds))
        return made
