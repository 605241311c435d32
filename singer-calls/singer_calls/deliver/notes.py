"""What is written down of an attempt: a note for the ledger, and a letter for the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_calls.deliver import entries as db
from singer_calls.deliver.dead_letters import DeadLetter
from singer_calls.deliver.judgement import USED
from singer_calls.deliver.ledger import Note
from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Fatal,
    Outcome,
    Pending,
    Rejected,
    Retry,
    Unknown,
)

if TYPE_CHECKING:
    from singer_calls.deliver.call import Call
    from singer_calls.deliver.delivery import Delivery
    from singer_calls.deliver.entries import Row

_STATE_OF: dict[type[Outcome], str] = {
    Accepted: db.ACCEPTED,
    Duplicate: db.DUPLICATE,
    Rejected: db.REJECTED,
    Unknown: db.UNKNOWN,
    Pending: db.WAITING,
    Retry: db.WAITING,
    Fatal: db.WAITING,
}


def written(
    call: Call,
    delivery: Delivery,
    attempt: int,
    outcome: Outcome,
    *,
    before: Row | None,
    final: bool,
) -> tuple[Note, DeadLetter | None]:
    """The note of an attempt, and what is filed of it.

    Args:
        call: As the tap sent it.
        delivery: What was sent.
        attempt: The ledger's number of it.
        outcome: What became of it.
        before: The row as the attempt found it.
        final: Whether no further attempt follows.
    """
    letter = None
    if final and isinstance(outcome, Rejected | Unknown) and not outcome.earlier:
        letter = DeadLetter(call.source, outcome, attempt, delivery.account, delivery.key)
    note = Note(
        delivery.account,
        delivery.key,
        attempt,
        _STATE_OF[type(outcome)],
        reason=outcome.reason,
        field=outcome.field if isinstance(outcome, Rejected) else None,
        reference=getattr(outcome, "reference", None),
        remedy=_remedy(outcome),
        unsaid=isinstance(outcome, Rejected | Pending | Fatal),
        told=before.told if before else None,
    )
    return note, letter


def _remedy(outcome: Outcome) -> str:
    if isinstance(outcome, Rejected) and outcome.campaign:
        return db.CAMPAIGN
    return db.PERSON if outcome.reason == USED else ""
