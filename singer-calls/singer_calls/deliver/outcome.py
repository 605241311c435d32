"""What became of one attempt to deliver a call, as a value with its reason.

    Outcome
    ├─ Accepted      the vendor took it
    │  └─ Updated    it was delivered before, and the vendor was told what is known of it now
    ├─ Duplicate     the vendor already had it
    ├─ AlreadyDelivered  our ledger already had it: not sent at all
    ├─ Rejected      the vendor, or our own check, says this call can never be taken as it is
    ├─ Unknown       the vendor may have processed it: policy decides (on_unknown_outcome)
    ├─ Pending       may not be sent yet: not settled, the STATE waits before it
    ├─ Retry         certainly not processed: may be sent again
    └─ Fatal         nothing is wrong with the call, but sending can't go on

After the first five the call is settled: a STATE may pass it.

A reason is a short text for people. It never holds a value of the call.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal


class InvalidCallError(ValueError):
    """A record that can't become a call of the destination.

    Args:
        reason: What is wrong and what would be right, without the value.
        field: The destination's name of the parameter at fault, or None.
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class NotYetError(InvalidCallError):
    """A call that may not be sent yet, and will come again: a status that is not final.

    Args:
        reason: Why not, without the value.
        field: The destination's name of the parameter at fault, or None.
        hours: After the call's moment, for which this is so; then it is refused for that reason.
    """

    def __init__(self, reason: str, field: str | None = None, *, hours: float = 24) -> None:
        super().__init__(reason, field)
        self.hours = hours


@dataclass(frozen=True, slots=True)
class Outcome:
    """Base of all outcomes.

    Attributes:
        reason: A short text for people, without values of the call.
    """

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Accepted(Outcome):
    """The vendor took the call.

    Attributes:
        reference: The vendor's own id of it, if it gave one.
    """

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Updated(Accepted):
    """Delivered earlier; the vendor took what became known of it since."""


@dataclass(frozen=True, slots=True)
class Duplicate(Outcome):
    """The vendor already had the call: delivered earlier, not sent again.

    Attributes:
        reference: The vendor's own id of it, if it gave one.
        claim: What the vendor says without proof that it is ours: ``received``, it is being
            processed; ``used``, the id is taken. The ledger decides. ``""``: it is.
    """

    reference: str | None = None
    claim: Literal["", "received", "used"] = ""


@dataclass(frozen=True, slots=True)
class AlreadyDelivered(Outcome):
    """Delivered by an earlier run, or earlier in this one; vendors can't change it afterwards.

    Attributes:
        changed: True when the call's content is not what was delivered.
    """

    changed: bool = False


@dataclass(frozen=True, slots=True)
class Rejected(Outcome):
    """This call can't be taken as it is.

    Attributes:
        field: The parameter at fault, as the destination names it.
        status: The HTTP status, None when our own check refused it.
        fields: Every parameter that the vendor names, ``field`` among them.
        words: The vendor's own words, for the file of what is set aside (it holds the call
            anyway) and never for a log.
        earlier: True when it was refused before for the same, and set aside then.
        campaign: True when the vendor refuses the call's campaign for its partner, whatever the
            call: it may be opened there, so the refusal holds for this run only.
    """

    field: str | None = None
    status: int | None = None
    fields: tuple[str, ...] = ()
    words: str = dataclasses.field(default="", repr=False)
    campaign: bool = False
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Retry(Outcome):
    """Certainly not processed.

    Attributes:
        after: Seconds the vendor asked to wait, None without such a wish.
        everyone: True when the wish concerns the whole account (429), not this call alone.
    """

    after: float | None = None
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Unknown(Outcome):
    """The request left, or may have, and no answer says what became of it.

    Attributes:
        earlier: True when it was set aside before, by this run or another.
    """

    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Pending(Outcome):
    """May not be sent yet; the next run reads the call again.

    Attributes:
        field: The parameter that says so.
        hours: After the call's moment, for which this is so; then it is refused for that reason.
    """

    field: str | None = None
    hours: float = 24


@dataclass(frozen=True, slots=True)
class Fatal(Outcome):
    """Sending can't go on: credentials, permission, configuration, a vendor that is down."""
