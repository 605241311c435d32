"""One call of the input on its way through a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from singer_calls.deliver.delivery import Delivery
    from singer_calls.deliver.destination import Place
    from singer_calls.deliver.identity import Account
    from singer_calls.deliver.knowledge import Knowledge
    from singer_calls.deliver.outcome import Outcome
    from singer_calls.deliver.source_record import SourceRecord


@dataclass(frozen=True, slots=True)
class Call:
    """One call on its way.

    Attributes:
        number: Its place in the input, for the watermark.
        source: The record as the tap sent it.
        delivery: What to send, None when our own check refused the record.
        refused: The outcome of our own check (``Rejected`` or ``Pending``), None when it passed.
        place: Which call a refused record is, as far as it could be read.
        knowledge: What the record says of its call beside the call itself, None where no vendor
            can be told of it later, or it can't be read.
        read: When its source was read, UTC microseconds since the epoch.
    """

    number: int
    source: SourceRecord
    delivery: Delivery | None = None
    refused: Outcome | None = None
    place: Place | None = None
    knowledge: Knowledge | None = None
    read: int = 0

    @property
    def account(self) -> Account | None:
        """Where it goes, as far as that is known."""
        where = self.delivery or self.place
        return where.account if where else None
