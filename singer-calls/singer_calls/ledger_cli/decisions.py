"""What a person's decision does to a row: pure.

delivered     the vendor has it: counts as accepted, and is never sent
send again    the next run that reads it sends it once more, or a replay does
drop          nobody needs it: it never comes back
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from singer_calls.deliver.entries import (
    ACCEPTED,
    CLOSED,
    DELIVERED,
    PERSON,
    REJECTED,
    SENDING,
    UNKNOWN,
    Row,
)
from singer_calls.text import shown

RECORD = "record"  # the vendor of records that never became a delivery, see ``records_of``
_DROPPED, _SAID = "dropped by a person", "delivered, says a person"


class Choice(enum.StrEnum):
    """What a person decides; also the words of the ledger's table."""

    DELIVERED = "delivered"
    SEND_AGAIN = "send again"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about calls.

    Attributes:
        choice: What becomes of them.
        who: Who says so.
        reference: The vendor's own id of the call, for ``DELIVERED``.
        note: Why, in a person's words.
        attempt: The attempt that the person saw; None for whatever is the newest.
    """

    choice: Choice
    who: str
    reference: str | None = None
    note: str | None = None
    attempt: int | None = None


class RefusedError(Exception):
    """Nothing can be decided here; ``str()`` says why. Nothing was changed."""


def decided(row: Row, decision: Decision) -> Row:
    """A row after a decision.

    Args:
        row: As it is now, locked.
        decision: A person's.

    Raises:
        RefusedError: The call waits for nobody, or something happened since the person looked.
    """
    key = shown(row.key)
    if row.state in DELIVERED:
        raise RefusedError(f"{key} is delivered ({row.state}): nothing waits for you")
    if row.state == CLOSED:
        raise RefusedError(f"{key} is closed ({row.reason}): nothing waits for you")
    if row.state == SENDING:
        raise RefusedError(f"{key} is being sent by run {row.run}: wait for its outcome")
    if row.state not in {REJECTED, UNKNOWN}:
        raise RefusedError(f"{key} did not leave ({row.state}): the next run sends it by itself")
    if decision.attempt is not None and decision.attempt != row.attempt:
        raise RefusedError(
            f"{key} was tried again since (attempt {row.attempt}, not {decision.attempt}): look "
            "again"
        )
    if decision.choice is Choice.SEND_AGAIN:
        if row.released:
            raise RefusedError(f"{key} is to be sent again already: the next run does it")
        return replace(row, released=True)
    if decision.choice is Choice.DROP or row.account.vendor == RECORD:
        said = _DROPPED if decision.choice is Choice.DROP else _SAID
        return replace(row, state=CLOSED, released=False, remedy=PERSON, reason=said)
    return replace(
        row,
        state=ACCEPTED,
        released=False,
        remedy="",
        reason=_SAID,
        field=None,
        reference=decision.reference or row.reference,
    )
