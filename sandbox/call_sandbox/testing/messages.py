"""Singer messages: those that a test writes, and those that a plugin wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Message = dict[str, Any]


def schema(
    stream: str, properties: Mapping[str, Any] | None = None, *, keys: Sequence[str] = ()
) -> Message:
    """A SCHEMA message.

    Args:
        stream: Its name.
        properties: Property -> JSON Schema.
        keys: The key properties.
    """
    described = {"type": "object", "properties": {**(properties or {})}}
    return {"type": "SCHEMA", "stream": stream, "schema": described, "key_properties": [*keys]}


def record(stream: str, value: Mapping[str, Any]) -> Message:
    """A RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": {**value}}


def state(value: object) -> Message:
    """A STATE message."""
    return {"type": "STATE", "value": value}


def lines(messages: Iterable[Mapping[str, Any] | bytes]) -> Iterator[bytes]:
    """Messages as lines of input; what is bytes already goes as it is, broken or not.

    Yields:
        One line for each message, with its end.
    """
    for message in messages:
        yield message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"


class Output:
    """What a tap wrote on its standard output.

    A last line without an end was cut by a kill: nobody downstream can read it, nor is it here.
    """

    def __init__(self, out: bytes | str) -> None:
        whole = (out.encode() if isinstance(out, str) else out).split(b"\n")[:-1]
        self.messages: list[Message] = [json.loads(line) for line in whole]

    def records(self, stream: str | None = None) -> list[dict[str, Any]]:
        """The records, of one stream or of all, in their order."""
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and stream in {None, message["stream"]}
        ]

    @property
    def schemas(self) -> dict[str, Message]:
        """Stream -> its last SCHEMA message."""
        return {each["stream"]: each for each in self.messages if each["type"] == "SCHEMA"}

    @property
    def states(self) -> list[dict[str, Any]]:
        """The values of the STATE messages, oldest first."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"]
