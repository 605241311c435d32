"""What stands in a ledger: rows, as values, whatever the database.

    (none) ─Claim─> sending ─Note─> accepted | duplicate | rejected | unknown
                       └────Note──> waiting (certainly not processed) ─Claim─> sending ...
    (none) ─Refuse─> rejected | unknown     set aside without being sent
    rejected ──────> closed         delivered under another campaign, or dropped by a person

A row is (account, key). ``sending`` rows of a run that has ended are ``unknown``, always.

A row has a policy. ``ONCE`` is a call. ``LATEST`` is what was said of it later, under an account of
its own beside the call's row: claimed again whenever more is known. Both note what was ``Told``;
the call's row has when its source was read (``Seen``), so that older knowledge is never claimed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from singer_calls.deliver.identity import NOBODY, Account, Identity

SENDING, WAITING, UNKNOWN = "sending", "waiting", "unknown"
HELD = "held"  # what people are told of a call in UNKNOWN: in files, summaries and call-ledger
ACCEPTED, DUPLICATE, REJECTED, CLOSED = "accepted", "duplicate", "rejected", "closed"
STATES = (SENDING, WAITING, UNKNOWN, ACCEPTED, DUPLICATE, REJECTED, CLOSED)
DELIVERED = frozenset({ACCEPTED, DUPLICATE})
WAITS = frozenset({UNKNOWN, REJECTED})  # for a person
BINDING = DELIVERED | {SENDING, UNKNOWN}  # the vendor may have processed it
CAMPAIGN, PERSON = "campaign", "person"  # remedies, see ``Row``
PROGRESS = ""  # in the counts of a run under way, beside the accounts: what it tells of itself
UNMARKED = 0  # the rule of a row that the first format wrote: known by its key alone
ONCE, LATEST = 0, 1  # policy of a delivery: sent once; what is known last is sent again

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether every database can hold a text: keys and campaigns must be such."""
    return not _UNSTORABLE.search(text)


def iso(moment: int) -> str:
    """A moment in words: UTC, to the second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def records_of(target: str) -> Account:
    """The account of a target's records that never became a delivery, see ``Refuse``."""
    return Account("record", target, "")


@dataclass(frozen=True, slots=True)
class Told:
    """What a vendor was told of a call, in a delivery or later.

    Attributes:
        names: Everything that was ever said of it, true or not, as it was first spelled: what is
            true no longer must be said to be false.
        fingerprint: Of all that was said last, see ``Knowledge``.
        sure: Whether the vendor, if it processed any attempt, was told this. Not so when an attempt
            of unknown outcome said something else.
    """

    names: tuple[str, ...] = ()
    fingerprint: bytes = b""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger knows of a call.

    Attributes:
        account: Whose key it is.
        key: The call's own key there.
        state: One of ``STATES``.
        run: Number of the run that wrote it.
        attempt: How often it was claimed, over all runs.
        identity: Moment and marks; a row without marks is known by its key alone.
        bound: True once an attempt may have been processed: the identity stays.
        fingerprint: 16 bytes, a rule's number first: of what was sent last.
        refused: Fingerprints of the last two refusals, the newest first.
        filed: True when an unknown or rejected call is in a file already.
        released: True when a person decided that it may be sent once more.
        reason: Why it is rejected or unknown.
        remedy: What lets a refused or held call go again, beside a changed content: ``""``;
            ``campaign``, its campaign was refused and each run asks anew; ``person``, only a
            person's decision.
        field: The parameter at fault.
        reference: The vendor's own id of the call.
        file: Name of the file that holds the original.
        policy: ``ONCE`` or ``LATEST``.
        source_read: When the source was last read about it, UTC microseconds since the epoch; of
            the call's row, also for its ``LATEST`` row.
        told: What was said of it; None of a call that was delivered before that was kept.
        updated: When its state was written, UTC seconds since the epoch; set by the ledger.
    """

    account: Account
    key: str
    state: str
    run: int
    attempt: int
    identity: Identity = NOBODY
    bound: bool = False
    fingerprint: bytes = b""
    refused: tuple[bytes, ...] = ()
    filed: bool = False
    released: bool = False
    reason: str = ""
    remedy: str = ""
    field: str | None = None
    reference: str | None = None
    file: str | None = None
    policy: int = ONCE
    source_read: int | None = None
    told: Told | None = None
    updated: int = 0

    @property
    def binds(self) -> bool:
        """Whether a call that contradicts the identity is another call."""
        return self.bound or (self.state in BINDING and self.attempt > 0)

    @property
    def unmarked(self) -> bool:
        """Whether the first format wrote it: the first call read under its key says who it is."""
        return self.identity.rule == UNMARKED


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to a ``Lookup``.

    Attributes:
        row: The row of this account and key.
        twin: The same call by its identity, under another key or campaign of this vendor's
            origin, that **another run** delivered, is sending or holds as unknown. Looked
            for only when there is no row. Of several, a delivered one first.
    """

    row: Row | None = None
    twin: Row | None = None
