"""The files of calls set aside, where ``rejected_path`` says: a folder, or a bucket of objects."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from typing_extensions import override

from singer_calls.deliver.dead_letters_bucket import Bucket, is_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDING = ".singer.jsonl"


class Files(Protocol):
    """Them, by name; what goes wrong is an ``OSError``, or a ``PluginError`` of a bucket."""

    def names(self) -> list[str]:
        """All of them, the oldest first."""

    def open(self, name: str) -> BinaryIO:
        """One of them, to be read.

        Raises:
            FileNotFoundError: There is none of that name.
        """

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Put other lines in the place of its own, all or none."""

    def remove(self, name: str) -> None:
        """Remove it for good."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Files in a folder."""

    path: Path

    @override
    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        """Those that are there; none without the folder."""
        return sorted(path.name for path in self.path.glob(f"*{_ENDING}"))

    def open(self, name: str) -> BinaryIO:
        """One of them; they may be larger than the memory."""
        if Path(name).name != name:
            raise FileNotFoundError(name)
        return (self.path / name).open("rb")

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Through a new file of mode 0600 that takes its name."""
        new = self.path / f"{name}.new"
        new.unlink(missing_ok=True)  # of one that was killed
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / name)

    def remove(self, name: str) -> None:
        """Unlink it."""
        (self.path / name).unlink()


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects in a bucket, each of one time that calls were set aside."""

    bucket: Bucket

    @override
    def __str__(self) -> str:
        return self.bucket.url

    def names(self) -> list[str]:
        """Those below the prefix, asked anew."""
        return self.bucket.names(_ENDING)

    def open(self, name: str) -> BinaryIO:
        """All of it: one commit of a run, so small."""
        return io.BytesIO(self.bucket.get(name))

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """An object is replaced whole."""
        self.bucket.put(name, b"".join(lines))

    def remove(self, name: str) -> None:
        """Where the bucket keeps versions, the older ones stay until its own rule deletes them."""
        self.bucket.delete(name)


def files_at(place: str) -> Files:
    """The files of a folder or of a bucket's URL.

    Raises:
        SettingsError: It is the URL of nothing that can be used.
    """
    return Objects(Bucket(place)) if is_bucket(place) else Folder(Path(place))
