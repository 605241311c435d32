"""A record as the tap sent it: what is set aside of a call, byte for byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.messages import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from singer_calls.deliver.identity import Account
    from singer_calls.deliver.outcome import Outcome


MARK = "set_aside"
_RULE = 1  # how contents are hashed


@dataclass(frozen=True, slots=True)
class Licence:
    """What a replayed file says of a call.

    Attributes:
        outcome: The one that the file was written for, as the ledger has it: ``rejected`` or
            ``unknown``.
        account: Where the call was sent, None when it never became a delivery.
        key: Its key there.
        attempt: The attempt that ended so, 0 when there was none.
    """

    outcome: str
    account: Account | None = None
    key: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as the tap sent it, and the SCHEMA message it belongs to.

    Attributes:
        schema: The tap's SCHEMA message.
        message: The tap's RECORD message, without our mark.
        line: The RECORD message as it came, when its bytes are at hand.
        licence: What a file of ours says of it, None for a record of a tap.
        alone: Whether it becomes one call; several maps may make several of it, and the delivery
            of one says nothing of another that is refused.
    """

    schema: Mapping[str, Any]
    message: Mapping[str, Any]
    line: bytes = field(default=b"", repr=False)
    licence: Licence | None = None
    alone: bool = True

    @property
    def name(self) -> str:
        """Which record it is: its stream and a hash of its key properties, else of its content."""
        record = self.message["record"]
        properties: Sequence[str] = self.schema.get("key_properties") or ()
        values = [record.get(name) for name in properties]
        told = values if values and None not in values else _content(record)
        return f"{self.message['stream'][:100]}/{_hash(told).hex()}"

    def fingerprint(self, outcome: Outcome) -> bytes:
        """Of its content and of why it is refused, 16 bytes, the rule's number first."""
        why = [outcome.reason, getattr(outcome, "field", None)]
        return bytes([_RULE]) + _hash([_content(self.message["record"]), why])


def _content(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in record.items() if not name.startswith("_sdc_"))


def _hash(value: object) -> bytes:
    return hashlib.blake2b(encode(value).encode(), digest_size=15).digest()
