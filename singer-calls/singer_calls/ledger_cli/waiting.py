"""What waits for a person: which calls, how they are found, what is known of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from singer_calls.deliver.entries import HELD, ONCE, REJECTED, SENDING, UNKNOWN
from singer_calls.deliver.identity import Account
from singer_calls.deliver.sql_tables import ADDED, CALLS, RUNS, STANDING
from singer_calls.deliver.transitions import LEFT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


Place = tuple[Account, str]

SHOWN = tuple(column for column in CALLS.c if column not in set(ADDED))
"""What is read of a row: a ledger that no run of this release has opened has no more."""


@dataclass(frozen=True, slots=True)
class Call:
    """A row as people see it; times are UTC seconds since the epoch.

    Attributes:
        state: ``held`` also for a call that an ended run was sending.
        run: Number of the run that wrote it.
        released: Whether the next run may send it once more.
        replayable: Whether a replay sends it too: a call is sent as it was filed, and what is known
            of a call only as its source knows it now.
    """

    account: Account
    key: str
    state: str
    run: int
    attempt: int
    moment: int | None
    first_seen: int
    updated: int
    released: bool
    reason: str
    field: str | None
    reference: str | None
    file: str | None
    replayable: bool

    @property
    def why(self) -> str:
        """Why it waits, with the parameter at fault."""
        return f"{self.field}: {self.reason}" if self.field else self.reason


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of the calls that wait.

    Attributes:
        state: ``rejected`` or ``held``, None for both.
        account: Part of an account's name.
        reason: Part of the reason or of the field's name.
        since: UTC seconds: set aside then or later.
        released: Only those that are to be sent again, or only the others.
        whole: Whether account and reason are whole, not parts.
    """

    state: str | None = None
    account: str | None = None
    reason: str | None = None
    since: int | None = None
    released: bool | None = None
    whole: bool = False


def name_of(account: Account) -> str:
    """An account for people, and as the counts of runs name it."""
    return f"{account.vendor} {account.origin} {account.campaign}"


def _abandoned() -> sa.ColumnElement[bool]:
    open_ = sa.select(RUNS.c.id).where(RUNS.c.ended.is_(None))
    return (CALLS.c.state == SENDING) & CALLS.c.run.not_in(open_)


def is_waiting() -> sa.ColumnElement[bool]:
    """Whether a row waits for a person; the index of standing rows answers it."""
    return STANDING & (CALLS.c.state.in_([REJECTED, UNKNOWN]) | _abandoned())


def state_shown() -> sa.ColumnElement[str]:
    """The state as people see it: what an ended run was sending is held."""
    held = CALLS.c.state.in_([SENDING, UNKNOWN])
    return sa.case((held, HELD), else_=CALLS.c.state).label("state")


def why_shown() -> sa.ColumnElement[str]:
    """Why a row waits, with the parameter at fault."""
    reason = sa.case((CALLS.c.state == SENDING, LEFT), else_=sa.func.coalesce(CALLS.c.reason, ""))
    field = sa.case((CALLS.c.field.is_not(None), CALLS.c.field + ": "), else_="")
    return (field + reason).label("why")


def conditions_of(
    wanted: Filter, accounts: Mapping[int, Account]
) -> Iterator[sa.ColumnElement[bool]]:
    """What a filter asks of the rows that wait."""
    yield is_waiting()
    if wanted.state is not None:
        yield state_shown() == wanted.state
    if wanted.account is not None:
        names = {id_: name_of(one) for id_, one in accounts.items()}
        yield CALLS.c.account.in_(
            [
                id_
                for id_, name in names.items()
                if name == wanted.account or (not wanted.whole and wanted.account in name)
            ]
        )
    if wanted.reason is not None:
        why = why_shown()
        yield (
            why == wanted.reason if wanted.whole else why.icontains(wanted.reason, autoescape=True)
        )
    if wanted.since is not None:
        yield CALLS.c.updated >= wanted.since
    if wanted.released is not None:
        yield CALLS.c.released.is_(wanted.released)


def call_of(
    row: Any,  # noqa: ANN401 - a result's row
    accounts: Mapping[int, Account],
    open_: set[int] | None = None,
) -> Call:
    """A row as people see it.

    Args:
        row: Of ``CALLS``.
        accounts: By their numbers.
        open_: Runs that are under way; None where only rows are read that wait.
    """
    was_left = row.state == SENDING and (open_ is None or row.run not in open_)
    return Call(
        accounts[row.account],
        row.key,
        HELD if was_left or row.state == UNKNOWN else row.state,
        row.run,
        row.attempt,
        row.moment,
        row.first_seen,
        row.updated,
        row.released,
        LEFT if was_left else row.reason or "",
        row.field,
        row.reference,
        row.file,
        row.policy == ONCE,
    )
