"""Singer messages to stdout, each in one write."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter, enc_hook
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.encoding.base import SingerMessageType
from typing_extensions import override

if TYPE_CHECKING:
    from singer_sdk.singerlib.encoding.simple import Message


class CallWriter(MsgSpecWriter):
    """The SDK's fast writer with a buffer of its own, where the SDK's is shared by all."""

    def __init__(self) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number").encode

    @override
    def write_message(self, message: Message) -> None:
        """Write and flush a message: a killed tap leaves whole lines behind it."""
        out = sys.stdout.buffer
        out.write(self._encode(message.to_dict()) + b"\n")
        out.flush()


class CallMessage(RecordMessage):
    """A RECORD whose ``time_extracted`` is in UTC already."""

    @override
    def __post_init__(self) -> None:
        """Nothing to convert."""
        self.type = SingerMessageType.RECORD
