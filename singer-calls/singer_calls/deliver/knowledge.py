"""What is known of a call now, and whether its vendor has been told: policy LATEST. Pure.

A call is delivered once. What its source learns of it later (tags, outcomes, sentiment) is said in
a request of its own, which says all that is known: each name that was ever said, also those that
are true no longer. So it may be repeated, and what is said last counts.

not delivered, or closed         nothing is said
source read earlier than known   nothing: newer knowledge wins
no ``told``                      delivered before this was kept: what is seen first counts as said
said already, word for word      nothing
refused, word for word           still rejected, unless a person lets it go
beyond the vendor's time         rejected
anything else                    to be said
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.delivery import fingerprint
from singer_calls.deliver.entries import CAMPAIGN, CLOSED, DELIVERED, REJECTED, Row, Told
from singer_calls.deliver.identity import NOBODY, Identity
from singer_calls.deliver.outcome import AlreadyDelivered, Outcome, Rejected
from singer_calls.values.moment import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from singer_calls.deliver.identity import Account

_DAY_SECONDS = 86400
MICROSECONDS = 1_000_000

OLDER = "its source was read later by another run"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a record says of its call, beside the call itself.

    Attributes:
        account: Where it is said; not the call's own account.
        key: The call's key.
        said: Names and whether each is true, as the source has them now.
        more: What else is known, names and values; the vendor keeps what is left out.
        identity: Of the call, as far as it is known.
        days: After the call's moment, for which the vendor takes it.
        make_body: Makes the body of a request that says all these.
    """

    account: Account
    key: str
    said: Mapping[str, bool] = field(repr=False)
    more: Mapping[str, str] = field(repr=False)
    make_body: Callable[[Mapping[str, bool]], bytes] = field(repr=False, compare=False)
    identity: Identity = NOBODY
    days: int | None = None

    def whole(self, told: Sequence[str] = ()) -> dict[str, bool]:
        """All there is to say: what was said once and is true no longer is false.

        Args:
            told: Names that were said before; spelled so they stay, whatever their case.
        """
        now = {name.casefold(): (name, true) for name, true in self.said.items()}
        before = {name: now.pop(name.casefold(), ("", False))[1] for name in told}
        return before | dict(now.values())

    def fingerprint(self, told: Sequence[str] = ()) -> bytes:
        """Of all there is to say, in any order."""
        said = sorted((name.casefold(), true) for name, true in self.whole(told).items())
        more = sorted(self.more.items())
        return fingerprint([f"{name}={value}" for part in (said, [("", "")], more)
                            for name, value in part])  # fmt: skip

    def told(self, before: Told | None = None, *, sure: bool = True) -> Told:
        """What is told when this is said after that."""
        names = before.names if before else ()
        return Told(tuple(self.whole(names)), self.fingerprint(names), sure)

    def at_ingestion(self, row: Row | None) -> Told:
        """What is told when it is said with the call itself.

        Args:
            row: The call's, as it is before.
        """
        if row is None or not row.binds:
            return self.told()
        before = row.told or Told(sure=False)
        same = before.fingerprint == self.fingerprint(before.names)
        return self.told(before, sure=before.sure and same)


def told_of(call: Row, latest: Row | None) -> Told | None:
    """What the vendor was told last; None when nobody kept it."""
    return latest.told if latest is not None and latest.told is not None else call.told


def judge_latest(
    knowledge: Knowledge, read: int, rows: tuple[Row | None, Row | None], now: float
) -> Outcome | Told | None:
    """What becomes of knowledge without a request.

    Args:
        knowledge: Of the call.
        read: When its source was read, UTC microseconds since the epoch.
        rows: The call's own, and that of what was said of it later.
        now: Seconds since the epoch.

    Returns:
        The outcome, what counts as said from now on, or None when it is to be said.
    """
    call, latest = rows
    if call is None or call.state not in DELIVERED:
        return AlreadyDelivered("nothing is said of a call that is not delivered")
    if read < (call.source_read or 0):
        return AlreadyDelivered(OLDER)
    told = told_of(call, latest)
    if told is None or call.told is None:
        return knowledge.told(told)
    print_ = knowledge.fingerprint(told.names)
    if _is_said(print_, call, latest) or not (told.names or knowledge.said or knowledge.more):
        # Once something was said later, it is no change of the call that differs.
        changed = call.told.fingerprint == knowledge.fingerprint(call.told.names)
        return AlreadyDelivered("said already", changed=changed)
    return _judge_aside(knowledge, print_, latest, now)


def _is_said(print_: bytes, call: Row, latest: Row | None) -> bool:
    if latest is not None and latest.state in {*DELIVERED, CLOSED}:  # or a person says so
        return latest.fingerprint == print_
    if latest is not None and latest.told is not None:
        return False
    return call.told is not None and call.told.sure and call.told.fingerprint == print_


def _judge_aside(
    knowledge: Knowledge, print_: bytes, latest: Row | None, now: float
) -> Outcome | None:
    refused = latest is not None and latest.state == REJECTED and print_ in latest.refused
    if latest and refused and latest.remedy != CAMPAIGN and not latest.released:
        return Rejected(latest.reason, field=latest.field, earlier=True)
    moment, days = knowledge.identity.moment, knowledge.days
    if None not in {moment, days} and now - moment > days * _DAY_SECONDS:  # type: ignore[operator]
        return Rejected(f"the call is older than {days} days: the vendor takes no more of it")
    return None


def read_at(message: Mapping[str, Any], otherwise: int, now: float) -> int:
    """When a record's source was read, by the record or its message.

    Args:
        message: A RECORD message: ``_sdc_extracted_at`` of the record, else ``time_extracted``.
        otherwise: When neither says it, UTC microseconds since the epoch.
        now: Seconds since the epoch: nothing was read later.

    Returns:
        UTC microseconds since the epoch.
    """
    for text in (message["record"].get("_sdc_extracted_at"), message.get("time_extracted")):
        if (moment := parse(text, UTC)) is not None:
            return min(round(moment.timestamp() * MICROSECONDS), round(now * MICROSECONDS))
    return otherwise
