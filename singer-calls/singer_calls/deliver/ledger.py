"""What a delivery run asks of its ledger: requests, as values, and the ledger's own protocol.

Each kind of database keeps it, and so does the memory; one contract's tests hold them to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from singer_calls.deliver.entries import ONCE, REJECTED, Row, Told
from singer_calls.deliver.identity import NOBODY, Account, Identity
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LedgerError(PluginError):
    """The ledger can't be read or written: nothing may be sent without it."""


class RunEndedError(PluginError):
    """Another process took this run for dead and ended it: it may send nothing any more."""

    def __init__(self) -> None:
        super().__init__(
            "Another run took this one for dead and ended it, since it gave the ledger no sign of "
            "life for too long: nothing more is sent. Run again."
        )


@dataclass(frozen=True, slots=True)
class Lookup:
    """Read what is known of a call. Result: ``Found``. Takes no write lock.

    Attributes:
        identity: To find a twin by.
        same_key: Whether a twin may have the same key in another account; False where the vendor
            keeps the keys of all campaigns in one space.
    """

    account: Account
    key: str
    identity: Identity = NOBODY
    same_key: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows of other accounts of this vendor under this key. Result: tuple of ``Row``."""

    account: Account
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Make the call ours to send, if its row still is as it was seen.

    Result: the attempt's number, 0 when another run was faster, ``FORGOTTEN`` when the row would
    be new and its moment lies before the account's floor (``call-ledger prune``).

    Identity binds from the first attempt that the vendor may have processed: a row that does not
    bind (``Row.binds``) and one without marks take the claim's, all others keep theirs.
    ``filed``, ``released``, ``reason`` and ``field`` of the row are cleared.

    Attributes:
        told: What this attempt says, see ``Row``.
        source_read: When the source said so, see ``Row``.
        call: Of ``LATEST``, the account of the call's own row. That row must be delivered, and its
            source not have been read later, else the result is 0.

    Raises:
        RunEndedError: Another process has ended our run: nothing may be sent any more. What else
            stands in the group is carried out before it is raised.
    """

    account: Account
    key: str
    seen: Row | None
    fingerprint: bytes
    identity: Identity = NOBODY
    told: Told | None = None
    source_read: int | None = None
    call: Account | None = None


FORGOTTEN = -1


@dataclass(frozen=True, slots=True)
class Note:
    """Write down what became of an attempt of ours.

    Result: True when it was the row's newest attempt (run and number), in ``sending`` or, after
    our run was taken for dead, in ``unknown``; else False, and nothing is changed. ``rejected``
    keeps the row's fingerprint as refused. Accepted or duplicate closes the ``rejected`` rows of
    the key in the origin's other accounts, and the record's own among ``Refuse``'s rows.

    Attributes:
        file: Name of the file that holds the original; with it the row is ``filed``.
        record: Key of the record among those that never became a delivery, see ``Refuse``.
        unsaid: Whether the vendor certainly took nothing of what the attempt said: then counts what
            was told before.
        told: That.
        words: The vendor's own words of a refusal stay in the file; not here.
    """

    account: Account
    key: str
    attempt: int
    state: str
    reason: str = ""
    field: str | None = None
    reference: str | None = None
    file: str | None = None
    record: str | None = None
    remedy: str = ""
    unsaid: bool = False
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Say of an ``unknown`` row that it is in a file now, if it still is unknown. Result: bool."""

    account: Account
    key: str
    attempt: int
    file: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Remember what was set aside without being sent. Result: None.

    The row is new, or it was ``rejected``, ``unknown`` (of no attempt), ``waiting`` or ``closed``;
    one that is delivered, being sent or unknown after an attempt is left as it is. Attempt and
    identity of a row stay, ``released`` is cleared, the fingerprint is kept as refused too.

    Attributes:
        account: The call's, or that of records which never became a delivery: ``records_of``.
        key: The call's, or the record's.
        fingerprint: Of what would have been sent, or of the record's content and the reason: the
            same again is ``still_rejected``.
        state: ``rejected``, or ``unknown`` for one held by its identity ("delivered under another
            id").
    """

    account: Account
    key: str
    fingerprint: bytes
    reason: str
    field: str | None = None
    file: str | None = None
    state: str = REJECTED
    remedy: str = ""
    policy: int = ONCE


@dataclass(frozen=True, slots=True)
class Adopt:
    """Give a row without marks (of the first format) those of its call. Result: None.

    Any other row keeps its own.
    """

    account: Account
    key: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class Seen:
    """The source of a delivered call was read again, then. Result: None.

    Nothing was sent and the state is what it was: ``Row.updated`` stays.

    Attributes:
        source_read: UTC microseconds since the epoch; an earlier moment changes nothing.
        told: What counts as said of a call that has no ``told``; other rows keep theirs.
    """

    account: Account
    key: str
    source_read: int
    told: Told | None = None


Request = Lookup | Asked | Claim | Note | Hold | Refuse | Adopt | Seen
COUNT_LIMIT_CALLS = 100_000  # what a ledger of any size can count in milliseconds


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """What the ledger says of itself at the start of a run.

    Attributes:
        place: The file, absolute, or the database's URL without its password.
        calls: Calls delivered to this vendor; counting ends at ``COUNT_LIMIT_CALLS``.
        newest: When the newest of them took place, UTC, ISO 8601; None when no moment is known.
        unmarked: Rows without marks (of the first format); counting ends likewise.
        records: Rows of records that never became a delivery, see ``Refuse``, and still wait; and
            decisions of people about such.
        empty: Whether there is no row of any call.
        first_here: Whether there is none of this vendor's: rows of others prove nothing.
    """

    place: str
    calls: int
    newest: str | None
    unmarked: int = 0
    records: int = 0
    empty: bool = False
    first_here: bool = False


class Ledger(Protocol):
    """One run's hold on a ledger; used from one thread at a time, except ``beat``."""

    run: int
    expiry: float
    """Seconds without a beat after which another run may end this one."""

    def summary(self, vendor: str) -> LedgerSummary:
        """What is known at the start."""

    def who(self, run: int) -> str:
        """Whose run that is, for people who wait for it: its target, start, process and host."""

    def apply(self, requests: Sequence[Request]) -> list[Any]:
        """Carry out many requests in one durable transaction; look-ups alone take no lock.

        A lost connection, a deadlock and the like are tried again for as long as a request may
        take: each request may be repeated without doing anything twice.

        Returns:
            The result of each, in order. Look-ups see what was durable before.

        Raises:
            LedgerError: The database can't do it.
            RunEndedError: See ``Claim``.
        """

    def beat(self) -> bool:
        """Prove that this run lives, from any thread. False: it was ended, for good.

        The proof holds for ``expiry`` from *before* the call, on a clock that counts sleep.
        """

    def tell(self, waits_for: str, counts: Mapping[str, Any]) -> None:
        """Say for people how far this run is, from any thread; tried once.

        Args:
            waits_for: What holds it up.
            counts: As at the end, see ``close``, and under ``PROGRESS`` more of this moment.

        Raises:
            LedgerError: It could not be written now: the next time it may.
        """

    def reap(self) -> int:
        """End runs that are gone: their ``sending`` calls are ``unknown``.

        On the same Linux host a process that is gone is gone at once; elsewhere a run whose
        counter did not move for its expiry on our monotonic clock. To be called again while
        waiting for another run.

        Returns:
            How many calls became unknown.
        """

    def close(self, *, how: str = "", counts: Mapping[str, Any] | None = None) -> None:
        """End the run: calls of ours still ``sending`` are unknown.

        Args:
            how: ``done``, ``failed`` or ``stopped``; a run that another ended stays ``lost``.
            counts: ``{account: {day: {state: n}}}`` of this run, for the desk; JSON.
        """


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run says of itself when it begins.

    Attributes:
        target: The plugin's name.
        request_timeout: Seconds; ``expiry`` is 30 s longer.
    """

    target: str
    request_timeout: float = 30.0

    @property
    def expiry(self) -> float:
        """Seconds without a beat after which another run may end this one."""
        return self.request_timeout + 30
