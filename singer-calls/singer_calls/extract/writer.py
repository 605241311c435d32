"""Singer messages to stdout, in whole lines."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter, enc_hook
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding.base import SingerMessageType
from typing_extensions import override

if TYPE_CHECKING:
    from singer_sdk.singerlib.encoding.simple import Message


_NUL = b"\\u0000"  # as JSON has it
PIPE_BUF = getattr(select, "PIPE_BUF", 512)  # Windows has none; POSIX's least


def _without_nul(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """A value with U+FFFD for each NUL: PostgreSQL takes none, and one would end every load."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(one) for name, one in value.items()}
    return [_without_nul(one) for one in value] if isinstance(value, list) else value


class CallWriter(MsgSpecWriter):
    """The SDK's fast writer, but calls go out several at a time: at most ``PIPE_BUF`` bytes.

    So much a pipe takes whole or not at all (POSIX): a killed tap leaves whole lines behind it. Any
    other message goes out at once, after the calls before it; the tap flushes at its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number").encode
        self._waiting = 0

    @override
    def write_message(self, message: Message) -> None:
        """Write a message, or let it wait for the next ones."""
        line = self._encode(message.to_dict()) + b"\n"
        if _NUL in line:
            line = self._encode(_without_nul(message.to_dict())) + b"\n"
        if self._waiting + len(line) > PIPE_BUF:
            self._flush()
        self._waiting += len(line)
        while line:  # unbuffered (PYTHONUNBUFFERED), a write that a signal stops is cut
            line = line[sys.stdout.buffer.write(line) :]
        if message.type is not SingerMessageType.RECORD:
            self._flush()

    def _flush(self) -> None:
        sys.stdout.buffer.flush()
        self._waiting = 0


class CallMessage(RecordMessage):
    """A RECORD whose ``time_extracted`` is in UTC already."""

    @override
    def __post_init__(self) -> None:
        """Nothing to convert."""
        self.type = SingerMessageType.RECORD
