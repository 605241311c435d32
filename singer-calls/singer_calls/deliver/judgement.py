"""What the ledger alone says of a call, before anything is sent. Pure.

delivered                        already delivered, or another call has this id
unknown                          held, unless the policy, a person or a licence lets it go
rejected, sent like this before  still rejected, unless a person or a licence lets it go
closed                           dropped by a person, or delivered under another campaign
no row, but a twin               delivered under another id: ``same_call_other_id`` decides
anything else                    to be sent
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from singer_calls.deliver.delivery import is_changed
from singer_calls.deliver.entries import CAMPAIGN, CLOSED, DELIVERED, PERSON, REJECTED, UNKNOWN
from singer_calls.deliver.outcome import AlreadyDelivered, Outcome, Rejected, Unknown

if TYPE_CHECKING:
    from singer_calls.deliver.delivery import Delivery
    from singer_calls.deliver.entries import Found, Row
    from singer_calls.deliver.source_record import Licence

ANOTHER_CALL = "another call has this id: map what differs from call to call"
UNANSWERED = "an earlier attempt may have reached the vendor"
USED = (
    "the vendor already has a call with this id, and this ledger never sent it: see there whose it "
    "is, then resolve it"
)
PRUNED = "the call is older than what the ledger still remembers (prune): it may be delivered"
OTHER_ID = (
    "delivered under another id: adopt the new one (same_call_other_id: known), or correct the "
    "mapping"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be sent again.

    Attributes:
        retry_unknown: Whether a call of unknown outcome is sent again (``on_unknown_outcome``).
        same_call_other_id: What becomes of a call that was delivered under another id.
        key_field: The parameter that holds the key, for people.
    """

    retry_unknown: bool
    same_call_other_id: Literal["hold", "known", "send"] = "hold"
    key_field: str | None = None


@dataclass(frozen=True, slots=True)
class Twin(Unknown):
    """Held: the same call was delivered under another id."""


def judge(
    delivery: Delivery, found: Found, licence: Licence | None, policy: Policy
) -> Outcome | None:
    """What becomes of a call without being sent.

    Args:
        delivery: The call.
        found: What the ledger knows; not a call that another run is sending.
        licence: Of a replayed file, or None.
        policy: The run's.

    Returns:
        The outcome, None when it is to be sent.
    """
    row = found.row
    if row is None:
        return _judge_new(found.twin, licence, policy)
    if row.binds and delivery.identity.contradicts(row.identity):
        return Rejected(ANOTHER_CALL, field=policy.key_field)
    if row.state in DELIVERED:
        changed = is_changed(row.fingerprint, delivery.fingerprint)
        return AlreadyDelivered("delivered earlier", changed=changed)
    if row.state == CLOSED:
        return AlreadyDelivered("closed earlier")
    if row.released or _licensed(licence, row):
        return None
    return _judge_aside(delivery, row, policy)


def _judge_aside(delivery: Delivery, row: Row, policy: Policy) -> Outcome | None:
    """What becomes of a call that was set aside, or is to be sent again anyway."""
    if row.state == UNKNOWN and (not policy.retry_unknown or row.remedy == PERSON):
        return Unknown(row.reason or UNANSWERED, earlier=row.filed)
    refused = row.state == REJECTED and delivery.fingerprint in row.refused
    if refused and row.remedy != CAMPAIGN:
        return Rejected(row.reason, earlier=True)
    return None


def _judge_new(twin: Row | None, licence: Licence | None, policy: Policy) -> Outcome | None:
    """What becomes of a call whose account and key the ledger does not know."""
    if licence is not None and licence.outcome == UNKNOWN and licence.attempt:
        return Twin("replayed under another id than it was held under")
    if twin is None or policy.same_call_other_id == "send":
        return None
    if policy.same_call_other_id == "known":
        return AlreadyDelivered("delivered under another id")
    return Twin(OTHER_ID)


def _licensed(licence: Licence | None, row: Row) -> bool:
    """Whether a person decided about the very outcome that the ledger still has."""
    if licence is None or licence.outcome != row.state:
        return False
    named = (licence.account, licence.key, licence.attempt) == (row.account, row.key, row.attempt)
    # Release 0.1 did not note which attempt was rejected: its file speaks for the first.
    return named or (row.state == REJECTED and not licence.key)
