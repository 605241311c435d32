"""Calls set aside, as Singer streams that a target can read again after a fix.

Each run has up to two files in ``rejected_path``, mode 0600, made when first needed:

    <loader>-<UTC start>.singer.jsonl         rejected calls
    <loader>-<UTC start>.held.singer.jsonl    calls whose outcome is unknown

The loader is what Meltano calls the target, else the target's own name.

They hold the SCHEMA messages and the RECORD messages of the tap as they came, unmapped. Beside the
``record`` of each message, where no field of a record can be, stands our mark:

    "set_aside": {"target", "loader", "extractor", "account": {"vendor", "origin", "campaign"},
                  "key", "attempt", "outcome", "reason", "field", "fields", "status", "words",
                  "time"}

Replaying a file is a person's decision about the outcome that it was written for: its mark is the
licence to send that call once more, if the ledger still says that outcome of that attempt.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from singer_calls.deliver.dead_letters_bucket import Bucket, is_bucket, new_name
from singer_calls.deliver.entries import HELD, REJECTED
from singer_calls.deliver.messages import encode
from singer_calls.deliver.outcome import Outcome, Rejected, Unknown
from singer_calls.deliver.source_record import MARK, SourceRecord
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from singer_calls.deliver.identity import Account


WORDS_LIMIT_CHARS = 2048  # of the vendor's own words


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A call for one of the files.

    Attributes:
        source: As the tap sent it.
        outcome: ``Rejected`` or ``Unknown``.
        attempt: The ledger's number of the attempt, 0 when there was none.
        account: Where it was to be sent, None when it never became a delivery.
        key: Its key there.
    """

    source: SourceRecord
    outcome: Outcome
    attempt: int = 0
    account: Account | None = None
    key: str = ""

    @property
    def held(self) -> bool:
        """Whether its outcome is unknown."""
        return isinstance(self.outcome, Unknown)


class DeadLetterFile:
    """One file of calls set aside; no file before the first call.

    Args:
        folder: ``rejected_path``.
        name: File name without its ending.
        names: Of the plugin and of its pipeline, for the marks.
        ending: Of the file's name.
    """

    def __init__(
        self, folder: str, name: str, names: Mapping[str, str | None], ending: str = ".singer.jsonl"
    ) -> None:
        self._folder = Path(folder)
        self._name = name
        self._names = names
        self._ending = ending
        self._descriptor: int | None = None
        self._streams: dict[str, Mapping[str, Any]] = {}
        self.path: Path | None = None

    @property
    def name(self) -> str | None:
        """The file's name once it exists."""
        return self.path.name if self.path else None

    @property
    def place(self) -> str | None:
        """Where a person finds it, once it exists."""
        return str(self.path.resolve()) if self.path else None

    def append(self, letters: Iterable[DeadLetter]) -> None:
        """Write calls, durably.

        Raises:
            PluginError: The file can't be written; none of these calls is in it then.
        """
        try:
            descriptor = self._open()
            good = os.lseek(descriptor, 0, os.SEEK_END)
            seen = dict(self._streams)
            try:
                data = b"".join(line for letter in letters for line in self._lines(letter))
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            except OSError:
                self._streams = seen
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, good)
                raise
        except OSError as error:
            raise PluginError(
                f"The file of rejected calls (rejected_path) can't be written: {error.strerror}"
            ) from error

    def _open(self) -> int:
        if self._descriptor is not None and not os.fstat(self._descriptor).st_nlink:
            self.close()  # somebody removed it: what goes there is nowhere
            self._streams = {}
        if self._descriptor is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = 1
            while self._descriptor is None:
                again = f"-{number}" if number > 1 else ""
                path = self._folder / f"{self._name}{again}{self._ending}"
                try:
                    self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                except FileExistsError:
                    number += 1
            self.path = path
            self._sync_folder()
        return self._descriptor

    def _sync_folder(self) -> None:
        if hasattr(os, "O_DIRECTORY"):  # a new file is durable only when its folder is
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _lines(self, letter: DeadLetter) -> Iterable[bytes]:
        source = letter.source
        stream = source.message["stream"]
        if self._streams.get(stream) != source.schema:
            self._streams[stream] = source.schema
            yield f"{encode(source.schema)}\n".encode()
        yield _marked(source, self._mark(letter))

    def _mark(self, letter: DeadLetter) -> dict[str, Any]:
        account, outcome = letter.account, letter.outcome
        refused = outcome if isinstance(outcome, Rejected) else Rejected()
        return {
            **self._names,
            "account": account
            and {
                "vendor": account.vendor,
                "origin": account.origin,
                "campaign": account.campaign,
            },
            "key": letter.key,
            "attempt": letter.attempt,
            "outcome": HELD if letter.held else REJECTED,
            "reason": outcome.reason,
            "field": refused.field,
            "fields": list(refused.fields),
            "status": refused.status,
            "words": refused.words[:WORDS_LIMIT_CHARS],
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _marked(source: SourceRecord, mark: Mapping[str, Any]) -> bytes:
    """The RECORD message as it came, with our mark in front; a mark that it had goes."""
    line = source.line.strip()
    if source.licence is None and line.startswith(b"{") and line != b"{}":
        return b'{"%s":%s,%s\n' % (MARK.encode(), encode(mark).encode(), line[1:])
    return f"{encode({MARK: mark, **source.message})}\n".encode()


class DeadLetterObjects(DeadLetterFile):
    """The same in a bucket: an object for each append, whole in itself.

    Args:
        bucket: ``rejected_path``.
        name: What the objects' names begin with; a number and the ending follow.
        names: Of the plugin and of its pipeline, for the marks.
        ending: Of the objects' names.
    """

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        names: Mapping[str, str | None],
        ending: str = ".singer.jsonl",
    ) -> None:
        super().__init__("", name, names, ending)
        self._bucket = bucket
        self._number = 0

    @property
    @override
    def name(self) -> str | None:
        """The newest object's name."""
        return f"{self._name}-{self._number}{self._ending}" if self._number else None

    @property
    @override
    def place(self) -> str | None:
        """All of them, as a pattern."""
        return f"{self._bucket.url}/{self._name}-*{self._ending}" if self._number else None

    @override
    def append(self, letters: Iterable[DeadLetter]) -> None:
        """Put calls into a new object.

        Raises:
            PluginError: The bucket doesn't take it; none of these calls is in it then.
        """
        self._streams = {}
        data = b"".join(line for letter in letters for line in self._lines(letter))
        self._bucket.put(f"{self._name}-{self._number + 1}{self._ending}", data)
        self._number += 1


class DeadLetters:
    """The two files of one run, or its objects.

    Args:
        place: ``rejected_path``, a folder or the URL of a bucket.
        started: Of the run, as the files' names have it.
        target: The plugin's name.
        environment: Variables of the process: Meltano names loader and extractor.

    Raises:
        SettingsError: It is the URL of nothing that can be used.
    """

    def __init__(
        self, place: str, started: str, target: str, environment: Mapping[str, str]
    ) -> None:
        names = {
            "target": target,
            "loader": environment.get("MELTANO_LOADER_NAME"),
            "extractor": environment.get("MELTANO_EXTRACTOR_NAME"),
        }
        loader = re.sub(r"[^\w.-]", "_", names["loader"] or target)
        name = f"{loader}-{started}"
        self.rejected: DeadLetterFile
        self.held: DeadLetterFile
        if is_bucket(place):
            bucket, name = Bucket(place), new_name(name)
            self.rejected = DeadLetterObjects(bucket, name, names)
            self.held = DeadLetterObjects(bucket, name, names, ".held.singer.jsonl")
        else:
            self.rejected = DeadLetterFile(place, name, names)
            self.held = DeadLetterFile(place, name, names, ".held.singer.jsonl")

    @property
    def paths(self) -> list[str]:
        """The files that exist."""
        return [file.place for file in (self.rejected, self.held) if file.place]

    def file(self, *, held: bool) -> DeadLetterFile:
        """The file for held calls, or the one for rejected calls."""
        return self.held if held else self.rejected

    def close(self) -> None:
        """Close what is open."""
        self.rejected.close()
        self.held.close()
