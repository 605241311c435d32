"""Calls that are not sent: refused by our own check, or by what the ledger knows of them.

Each is set aside once: read again unchanged, it is told as such and not filed a second time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from singer_calls.deliver import entries as db
from singer_calls.deliver.dead_letters import DeadLetter
from singer_calls.deliver.judgement import ANOTHER_CALL, UNANSWERED, Twin
from singer_calls.deliver.ledger import Adopt, Hold, Lookup, Refuse
from singer_calls.deliver.outcome import AlreadyDelivered, Outcome, Pending, Rejected, Unknown
from singer_calls.deliver.tasks import Turns
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_calls.deliver.call import Call
    from singer_calls.deliver.delivery import Delivery
    from singer_calls.deliver.destination import Place
    from singer_calls.deliver.entries import Row
    from singer_calls.deliver.group_commit import GroupCommit
    from singer_calls.deliver.tasks import Committed

_HOUR_SECONDS = 3600
_MOST_TWINS = 10  # of one run: more are no accident but a new prefix or mapping


class Unsent:
    """Says what becomes of a call without sending it, and makes that durable.

    Args:
        target: The plugin's name.
        commit: The ledger and the files.
        committed: Work that must not be cut short.
        fail: Told a reason why nothing more can be sent.
        now: Seconds since the epoch.
        remembers: Whether the ledger has records that never became a delivery.

    Attributes:
        remembers: The same, with those of this run.
    """

    def __init__(
        self,
        target: str,
        *,
        commit: GroupCommit,
        committed: Committed,
        fail: Callable[[PluginError], None],
        now: Callable[[], float],
        remembers: bool,
    ) -> None:
        self._target = target
        self._commit = commit
        self._committed = committed
        self._fail = fail
        self._now = now
        self._turns = Turns()
        self._twins = 0
        self.remembers = remembers

    async def refused(self, call: Call, refused: Outcome) -> Outcome:
        """A record that our own check refused; its call may be known all the same."""
        place = call.place
        if place is not None:
            found = await self._commit.ask(Lookup(place.account, place.key))
            known = _known(found.row, place)
            if isinstance(known, Unknown) and not known.earlier:
                await self._committed.finish(self._hold(call, found.row, known))
            if known is not None:
                return known
        if isinstance(refused, Pending):
            moment = place.identity.moment if place else None
            hours = refused.hours
            if moment is not None and self._now() - moment <= hours * _HOUR_SECONDS:
                return refused
            refused = Rejected(f"{refused.reason}, and is older than {hours:g} h", refused.field)
        return await self.remember(call, refused)

    async def remember(self, call: Call, outcome: Outcome) -> Outcome:
        """Set a record aside that is not sent, unless that was done before."""
        account = db.records_of(self._target)
        name = call.source.name
        async with self._turns.turn(account, name):
            row = (await self._commit.ask(Lookup(account, name))).row
            print_ = call.source.fingerprint(outcome)
            if row is not None and call.source.licence is None and not row.released:
                same = print_ in row.refused
                if row.state == db.CLOSED and (same or row.remedy == db.PERSON):
                    return AlreadyDelivered("closed earlier")
                if same and row.state != db.CLOSED and isinstance(outcome, Rejected | Unknown):
                    return replace(outcome, earlier=True)
            held = isinstance(outcome, Unknown)
            refuse = Refuse(
                account,
                name,
                print_,
                outcome.reason,
                field=outcome.field if isinstance(outcome, Rejected) else None,
                state=db.UNKNOWN if held else db.REJECTED,
                remedy=db.PERSON if held else "",
            )
            place = call.delivery or call.place
            letter = DeadLetter(
                call.source,
                outcome,
                account=place.account if place else None,
                key=place.key if place else "",
            )
            await self._committed.finish(self._commit.ask(refuse, letter))
            self.remembers = True
            return outcome

    async def _hold(self, call: Call, row: Row, outcome: Outcome) -> None:
        """File a call that an earlier run left without an outcome."""
        hold = Hold(row.account, row.key, row.attempt, reason=outcome.reason)
        letter = DeadLetter(call.source, outcome, row.attempt, row.account, row.key)
        await self._commit.ask(hold, letter)

    async def as_decided(self, call: Call, outcome: Outcome | None) -> Outcome | None:
        """What a person said of a record that never became a delivery, and does so only now."""
        account = db.records_of(self._target)
        record = (await self._commit.ask(Lookup(account, call.source.name))).row
        if record is not None and (record.state, record.remedy) == (db.CLOSED, db.PERSON):
            return AlreadyDelivered("closed earlier")
        if isinstance(outcome, Twin) and record is not None and record.released:
            return None
        return outcome

    async def judged(
        self, call: Call, delivery: Delivery, row: Row | None, outcome: Outcome
    ) -> Outcome:
        """What the ledger judged, made durable where it is new."""
        if isinstance(outcome, Twin):
            return await self._twin(call, outcome)
        if isinstance(outcome, Rejected) and outcome.reason == ANOTHER_CALL:
            return await self.remember(call, outcome)
        if row is not None and isinstance(outcome, Unknown) and not outcome.earlier:
            await self._committed.finish(self._hold(call, row, outcome))
        if row is not None and row.unmarked:
            await self._commit.ask(Adopt(delivery.account, delivery.key, delivery.identity))
        return outcome

    async def _twin(self, call: Call, outcome: Twin) -> Outcome:
        outcome_ = await self.remember(call, outcome)
        self._twins += isinstance(outcome_, Twin) and not outcome_.earlier
        if self._twins > _MOST_TWINS:
            self._fail(
                PluginError(
                    f"More than {_MOST_TWINS} calls of this run were delivered earlier under other "
                    "ids: a new prefix, key mapping or campaign? To adopt the new ids without "
                    "sending these calls again, run once with same_call_other_id: known."
                )
            )
        return outcome_

    async def refused_unasked(
        self,
        call: Call,
        delivery: Delivery,
        row: Row | None,
        refused: Rejected,
        policy: int = db.ONCE,
    ) -> Outcome:
        """The vendor would refuse it, as it refused its campaign a moment ago."""
        if row is not None and delivery.fingerprint in row.refused and not call.source.licence:
            return replace(refused, earlier=True)
        note = Refuse(
            delivery.account,
            delivery.key,
            delivery.fingerprint,
            refused.reason,
            field=refused.field,
            remedy=db.CAMPAIGN if refused.campaign else "",
            policy=policy,
        )
        letter = DeadLetter(call.source, refused, 0, delivery.account, delivery.key)
        await self._committed.finish(self._commit.ask(note, letter))
        return refused


def _known(row: Row | None, place: Place) -> Outcome | None:
    """What the ledger says of a record that can't be rendered."""
    if row is None or place.identity.contradicts(row.identity):
        return None
    if row.state in db.DELIVERED:
        return AlreadyDelivered("delivered earlier", changed=True)
    if row.state == db.CLOSED:
        return AlreadyDelivered("closed earlier")
    if row.state == db.UNKNOWN:
        return Unknown(row.reason or UNANSWERED, earlier=row.filed)
    if row.state == db.SENDING:
        return Pending("another run is sending this call")
    return None
