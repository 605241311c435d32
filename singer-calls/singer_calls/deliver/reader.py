"""Reads Singer messages; a bad line, a signal or a failed sender ends the reading cleanly."""

from __future__ import annotations

import sys
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

from singer_sdk.singerlib.encoding.base import GenericSingerReader

from singer_calls.deliver.messages import decode
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

_OBJECTS = {"schema", "properties", "record", "value"}


class InputError(PluginError):
    """The input is no Singer stream; where it breaks is said, what stands there is not."""


class StopReading(Exception):  # noqa: N818 - like StopIteration: the end, not an error
    """Read no further, as if the input had ended."""


class CallReader(GenericSingerReader[bytes]):
    """Reads messages line by line from a binary or text stream."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False
        self._stop = False
        self._line = 0

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes: its encoding is ours to judge."""
        return sys.stdin.buffer

    def stop(self) -> None:
        """End the reading; to be called from a signal handler, in the reading thread.

        Raises:
            StopReading: When the reader waits for input; caught by ``process_lines``.
        """
        self._stop = True
        if self._waiting:
            raise StopReading

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
        try:
            while not self._stop and (line := self._next(source)):
                self._line += 1
                if not line.strip():
                    continue
                message = self.deserialize_json(line)
                kind = message.get("type")
                if (callback := callbacks.get(str(kind))) is None:
                    raise InputError(f"Line {self._line} of the input is no Singer message.")
                callback(message)
                counts[str(kind)] += 1
        except StopReading:
            pass
        return counts

    def _next(self, source: IO[Any]) -> Any:  # noqa: ANN401 - bytes, or str from a text stream
        self._waiting = True
        try:
            if self._stop:  # a signal came just before
                raise StopReading
            return source.readline()
        finally:
            self._waiting = False

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """One line as a message; numbers with a point become ``Decimal``.

        Raises:
            InputError: The line is not a JSON object.
        """
        try:
            message = decode(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise InputError(
                f"Line {self._line} of the input is not a JSON object: the tap broke off or wrote "
                "something else to standard output. Nothing after it was read; run again."
            )
        return message

    @staticmethod
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
