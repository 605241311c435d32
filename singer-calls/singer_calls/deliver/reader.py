"""Reads Singer messages; a bad line, a signal or a failed sender ends the reading cleanly."""

from __future__ import annotations

import os
import selectors
import stat
import sys
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from singer_sdk.singerlib.encoding.base import GenericSingerReader
from typing_extensions import override

from singer_calls.deliver.messages import decode
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK_BYTES = 1 << 18
_OBJECTS = {"schema", "properties", "record", "value"}


class InputError(PluginError):
    """The input is no Singer stream; where it breaks is said, what stands there is not."""


class StopReading(Exception):  # noqa: N818 - like StopIteration: the end, not an error
    """Read no further, as if the input had ended."""


class Wake:
    """Ends a wait for input; ``set`` may be called from any thread and from a signal handler."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        for end in (self.reads, self.writes):
            os.set_blocking(end, False)
        self._set = False

    def is_set(self) -> bool:
        """Whether someone did."""
        return self._set

    def set(self) -> None:
        """Wake whoever waits, now or later."""
        if not self._set:
            self._set = True
            with suppress(BlockingIOError):  # full: whoever waits is woken
                os.write(self.writes, b"!")

    def close(self) -> None:
        """Give the pipe back."""
        self._set = True
        os.close(self.reads)
        os.close(self.writes)


def lines(source: IO[Any], wake: Wake) -> Iterator[bytes | str]:
    """The lines of a stream, until it ends or someone wakes us."""
    try:
        descriptor = source.fileno()
        poll = selectors.PollSelector  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError, ValueError):  # no file of the system, or no poll
        for line in source:
            if wake.is_set():
                return
            yield line
        return
    rest: list[bytes] = []
    for chunk in _chunks(descriptor, wake, poll):
        first, newline, more = chunk.partition(b"\n")
        rest.append(first)
        if chunk and not newline:
            continue
        yield b"".join(rest)
        *whole, last = more.split(b"\n")
        for line in whole:
            if wake.is_set():
                return
            yield line
        rest = [last]


def _chunks(
    descriptor: int, wake: Wake, poll: Callable[[], selectors.BaseSelector]
) -> Iterator[bytes]:
    """What comes, piece by piece, and an empty piece at the end; nothing once someone woke us."""
    with poll() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        selector.register(wake.reads, selectors.EVENT_READ)
        chunk = b"more"
        while chunk:
            ready = {key.fd for key, _events in selector.select()}
            if wake.is_set():
                return
            if wake.reads in ready:  # a signal that asks for nothing
                with suppress(BlockingIOError):
                    os.read(wake.reads, _CHUNK_BYTES)
            if descriptor in ready:
                try:
                    chunk = os.read(descriptor, _CHUNK_BYTES)
                except BlockingIOError:  # somebody else who has it was faster
                    continue
                except OSError as error:
                    raise InputError(
                        f"The input can't be read ({error.strerror}): pipe a tap into it, or name "
                        "an --input."
                    ) from None
                yield chunk
                if wake.is_set():
                    return


def _size(source: IO[Any]) -> int | None:
    """Bytes of an input that is a file."""
    try:
        facts = os.fstat(source.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


class CallReader(GenericSingerReader[bytes]):
    """Reads messages line by line from a binary or text stream.

    Attributes:
        wake: Ends the reading.
        line: The line whose message is being handled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wake = Wake()
        self.line = b""
        self._number = 0
        self._size: int | None = None
        self._read = 0

    @property
    def percent(self) -> int | None:
        """How much of the input is read; None where only the tap knows what is still to come."""
        return min(100, 100 * self._read // self._size) if self._size else None

    @property
    @override
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes: its encoding is ours to judge."""
        if sys.stdin is None:
            raise InputError("Standard input is closed: pipe a tap into it, or name an --input.")
        return sys.stdin.buffer

    @override
    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],
    ) -> Counter[str]:
        """Hand each message to its callback, until the input ends or reading is stopped.

        Returns:
            Messages by type.

        Raises:
            InputError: A line is not a Singer message.
        """
        source: IO[Any] = file_input or self.default_input
        source = getattr(source, "buffer", source)
        counts: Counter[str] = Counter()
        self._size = _size(source)
        try:
            for line in lines(source, self.wake):
                self._number += 1
                self._read += len(line) + 1
                if not line.strip():
                    continue
                self.line = line if isinstance(line, bytes) else line.encode()
                message = self.deserialize_json(self.line)
                kind = message.get("type")
                if (callback := callbacks.get(str(kind))) is None:
                    raise InputError(f"Line {self._number} of the input is no Singer message.")
                callback(message)
                counts[str(kind)] += 1
        except StopReading:
            pass
        return counts

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """One line as a message; numbers that are not whole become ``Decimal``.

        Raises:
            InputError: The line is not a JSON object.
        """
        try:
            message = decode(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise InputError(
                f"Line {self._number} of the input is not a JSON object: the tap broke off or "
                "wrote something else to standard output. Nothing after it was read; run again."
            )
        return message

    @staticmethod
    @override
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        """Check that a message, or the schema in one, has its parts, and objects where due.

        Raises:
            InputError: With the names of the parts at fault, without the message.
        """
        kind = "SCHEMA" if "properties" in requires else line_dict.get("type", "Singer")
        if missing := requires - line_dict.keys():
            raise InputError(f"A {kind} message of the input lacks {', '.join(sorted(missing))}.")
        for name in sorted(requires & _OBJECTS):
            if not isinstance(line_dict[name], dict):
                raise InputError(
                    f"A {kind} message of the input has a {name} that is not an object."
                )
