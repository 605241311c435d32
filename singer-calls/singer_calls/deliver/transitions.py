"""What each request does to the rows of a ledger: pure, and the same for every database.

A ledger reads the rows that a group of requests can touch, lets ``carry_out`` change them in
memory, and writes those that changed, all in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.entries import (
    ACCEPTED,
    CLOSED,
    DELIVERED,
    DUPLICATE,
    LATEST,
    ONCE,
    REJECTED,
    SENDING,
    UNKNOWN,
    Row,
    records_of,
)
from singer_calls.deliver.ledger import (
    FORGOTTEN,
    Adopt,
    Asked,
    Claim,
    Hold,
    Lookup,
    Note,
    Refuse,
    Request,
    Seen,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from singer_calls.deliver.entries import Told
    from singer_calls.deliver.identity import Account

LEFT = "the run ended before the vendor's answer was written down"
_REFUSALS_KEPT = 2  # remembered, so that two bad calls under one key don't take turns
_SENT = DELIVERED | {SENDING}
_ELSEWHERE = "delivered under another campaign"
_LATER = "its call was delivered later"

Place = tuple["Account", str]


def elsewhere(delivered: Row, rows: Mapping[Place, Row]) -> dict[Place, Row]:
    """Of these rows, the refused ones of a delivered call in other accounts: closed."""
    return {
        place: replace(row, state=CLOSED, released=False, reason=_ELSEWHERE)
        for place, row in rows.items()
        if row.state == REJECTED
        and row.key == delivered.key
        and row.account != delivered.account
        and (row.account.vendor, row.account.origin)
        == (delivered.account.vendor, delivered.account.origin)
        and not row.identity.contradicts(delivered.identity)
    }


def places(requests: Iterable[Request], target: str) -> set[Place]:
    """Where the rows are that these requests name."""
    named: set[Place] = set()
    for request in requests:
        if not isinstance(request, Asked):
            named.add((request.account, request.key))
        if isinstance(request, Note) and request.record is not None:
            named.add((records_of(target), request.record))
        if isinstance(request, Claim) and request.call is not None:
            named.add((request.call, request.key))
    return named


def delivered_keys(requests: Iterable[Request]) -> set[str]:
    """Keys whose ``rejected`` rows in other accounts may have to be closed."""
    return {
        request.key
        for request in requests
        if isinstance(request, Note) and request.state in DELIVERED
    }


def is_quiet(before: Row, after: Row) -> bool:
    """Whether only what is known of a call's source has changed, and nothing happened to it."""
    # The state first: where a call moves on, it has changed.
    return before.state == after.state and after == replace(
        before, source_read=after.source_read, told=after.told
    )


def left(row: Row) -> Row:
    """A ``sending`` row after its run has ended."""
    return replace(row, state=UNKNOWN, bound=True, filed=False, reason=LEFT)


def twin(request: Lookup, run: int, candidates: Iterable[Row]) -> Row | None:
    """The same call under another key or campaign, see ``Found.twin``."""
    found = [
        row
        for row in candidates
        if row.run != run
        and row.state in _TWINS
        and (row.account.vendor, row.account.origin)
        == (request.account.vendor, request.account.origin)
        and (request.same_key or row.key != request.key)
        and request.identity.is_same(row.identity)
    ]
    return min(found, key=_preferred, default=None)


_TWINS = (ACCEPTED, DUPLICATE, UNKNOWN, SENDING)


def _preferred(row: Row) -> tuple[int, str, str]:
    return _TWINS.index(row.state), row.account.campaign, row.key


@dataclass(slots=True)
class Rows:
    """The rows that a group of requests can touch.

    Attributes:
        run: Our run.
        target: Whose records are meant.
        rows: By place: those that the requests name (``places``), and the ``rejected`` ones under
            the keys that are delivered now (``delivered_keys``). Changed rows are replaced.
        floors: Moments before which an account takes no new call.
        open: Whether our run may still send.
        again: Whether this group may have been carried out before, without our knowing.
    """

    run: int
    target: str
    rows: dict[Place, Row]
    floors: Mapping[Account, int] = field(default_factory=dict)
    open: bool = True
    again: bool = False
    _rejected: dict[str, list[Place]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for place, row in self.rows.items():
            if row.state == REJECTED:
                self._rejected.setdefault(row.key, []).append(place)

    def carry_out(self, request: Request) -> Any:  # noqa: ANN401 - each request has its own result
        """Do what a request asks for; its result. Look-ups are not for here."""
        result: int | bool | None = None
        match request:
            case Claim():
                result = self._claim(request)
            case Note():
                result = self._note(request)
            case Hold():
                result = self._hold(request)
            case Refuse():
                self._refuse(request)
            case Adopt():
                self._adopt(request)
            case Seen():
                self._see(request)
        return result

    def _claim(self, claim: Claim) -> int:
        row = self.rows.get((claim.account, claim.key))
        attempt = (claim.seen.attempt if claim.seen else 0) + 1
        if self.again and row is not None and self._is_mine(row, claim, attempt):
            return attempt
        if not self.open or _version(row) != _version(claim.seen) or not self._is_news(claim):
            return 0
        identity = claim.identity
        if row is None:
            floor = self.floors.get(claim.account)
            if None not in {floor, identity.moment} and identity.moment < floor:  # type: ignore[operator]
                return FORGOTTEN
            row = Row(claim.account, claim.key, "", self.run, 0)
        elif row.binds and not row.unmarked:
            identity = row.identity
        self.rows[claim.account, claim.key] = replace(
            row,
            state=SENDING,
            run=self.run,
            attempt=attempt,
            identity=identity,
            bound=row.binds,
            fingerprint=claim.fingerprint,
            filed=False,
            released=False,
            reason="",
            field=None,
            remedy="",
            policy=ONCE if claim.call is None else LATEST,
            source_read=max(claim.source_read or 0, row.source_read or 0) or None,
            told=claim.told or row.told,
        )
        return attempt

    def _is_news(self, claim: Claim) -> bool:
        """Whether a call is delivered of which something is to be said, and nobody knows better."""
        if claim.call is None:
            return True
        call = self.rows.get((claim.call, claim.key))
        read = claim.source_read or 0
        if call is None or call.state not in DELIVERED or read < (call.source_read or 0):
            return False
        self.rows[claim.call, claim.key] = replace(call, source_read=read)
        return True

    def _is_mine(self, row: Row, claim: Claim, attempt: int) -> bool:
        ours = (SENDING, self.run, attempt, claim.fingerprint)
        return (row.state, row.run, row.attempt, row.fingerprint) == ours

    def _note(self, note: Note) -> bool:
        row = self.rows.get((note.account, note.key))
        if row is None or (row.run, row.attempt) != (self.run, note.attempt):
            return False
        if row.state not in {SENDING, UNKNOWN, note.state}:
            return False
        self.rows[note.account, note.key] = replace(
            row,
            state=note.state,
            bound=row.bound or note.state in DELIVERED or note.state == UNKNOWN,
            refused=_refused(row) if note.state == REJECTED else row.refused,
            released=row.released and row.state == note.state,
            filed=note.file is not None,
            reason=note.reason,
            field=note.field,
            remedy=note.remedy,
            reference=note.reference or row.reference,
            file=note.file or row.file,
            told=_told(row, note),
        )
        if note.state in DELIVERED:
            self._close(row, note.record)
        return True

    def _close(self, delivered: Row, record: str | None) -> None:
        """Nobody needs to look any more at what was refused of a call that is delivered."""
        rejected = {place: self.rows[place] for place in self._rejected.get(delivered.key, ())}
        self.rows |= elsewhere(delivered, rejected)
        place = (records_of(self.target), record or "")
        known = self.rows.get(place)
        if record is not None and known is not None and known.state != CLOSED:
            self.rows[place] = replace(known, state=CLOSED, released=False, reason=_LATER)

    def _hold(self, hold: Hold) -> bool:
        row = self.rows.get((hold.account, hold.key))
        if row is None or (row.state, row.attempt) != (UNKNOWN, hold.attempt):
            return False
        self.rows[hold.account, hold.key] = replace(
            row, filed=True, file=hold.file or row.file, reason=hold.reason or row.reason
        )
        return True

    def _refuse(self, refuse: Refuse) -> None:
        place = (refuse.account, refuse.key)
        row = self.rows.get(place) or Row(*place, state="", run=self.run, attempt=0)
        if row.state in _SENT or (row.state == UNKNOWN and row.attempt):
            return
        new = replace(
            row,
            state=refuse.state,
            run=self.run,
            fingerprint=refuse.fingerprint,
            filed=refuse.file is not None,
            released=False,
            reason=refuse.reason,
            field=refuse.field,
            remedy=refuse.remedy,
            file=refuse.file or row.file,
            policy=refuse.policy,
        )
        self.rows[place] = replace(new, refused=_refused(new))

    def _adopt(self, adopt: Adopt) -> None:
        row = self.rows.get((adopt.account, adopt.key))
        if row is not None and row.unmarked:
            self.rows[adopt.account, adopt.key] = replace(row, identity=adopt.identity)

    def _see(self, seen: Seen) -> None:
        row = self.rows.get((seen.account, seen.key))
        if row is None or row.state not in DELIVERED or seen.source_read < (row.source_read or 0):
            return
        self.rows[seen.account, seen.key] = replace(
            row, source_read=seen.source_read, told=row.told or seen.told
        )


def _told(row: Row, note: Note) -> Told | None:
    """What the vendor was told by now."""
    if note.unsaid:
        return note.told
    return replace(row.told, sure=True) if row.told and note.state == ACCEPTED else row.told


def _version(row: Row | None) -> tuple[str, int, int] | None:
    """What must be as it was seen, for a claim."""
    return (row.state, row.run, row.attempt) if row else None


def _refused(row: Row) -> tuple[bytes, ...]:
    others = [one for one in row.refused if one != row.fingerprint]
    return (row.fingerprint, *others)[:_REFUSALS_KEPT]
