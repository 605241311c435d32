"""What a ledger holds, for people: no run is begun, nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from singer_calls.deliver.entries import HELD, REJECTED, UNKNOWN, iso
from singer_calls.deliver.ledger import LedgerError
from singer_calls.deliver.sql_errors import explained
from singer_calls.deliver.sql_store import format_of, open_engine, place_of, reading
from singer_calls.deliver.sql_tables import ACCOUNTS, CALLS, FORMAT, RUNS, STANDING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

_DAY_SECONDS = 24 * 60 * 60
_WORDS = {UNKNOWN: HELD}  # for people


def report(url: str) -> Iterator[str]:
    """What a ledger holds.

    Yields:
        Lines: where it is and its last run; per account, calls by day and state; the keys that
        wait for a person, oldest first, with their reasons. Never a value of a call.

    Raises:
        LedgerError: There is none, or it can't be read.
    """
    with explained("read"):
        engine = open_engine(url, create=False)
        try:
            version = format_of(engine)
            if version is None:
                raise LedgerError(
                    "There is no ledger at ledger_url yet: nothing was sent from here"
                )
            if version != FORMAT:
                raise LedgerError(
                    "The ledger (ledger_url) is of an earlier release: the next run brings it up "
                    "to date, and it can be shown then"
                )
            with reading(engine).connect() as connection:
                yield f"ledger {place_of(engine)}"
                yield from _runs(connection)
                yield from _calls(connection)
                yield from _waiting(connection)
        finally:
            engine.dispose()


def _runs(connection: Connection) -> Iterator[str]:
    columns = (RUNS.c.id, RUNS.c.target, RUNS.c.started, RUNS.c.ended, RUNS.c.how)
    open_ = sa.select(*columns).where(RUNS.c.ended.is_(None)).order_by(RUNS.c.id)
    last = sa.select(*columns).where(RUNS.c.ended.is_not(None)).order_by(RUNS.c.id.desc()).limit(1)
    for run in connection.execute(last):
        how = f" {run.how}" if run.how else ""
        yield f"last run {run.id} {run.target} {iso(run.started)} to {iso(run.ended)}{how}"
    for run in connection.execute(open_):
        yield f"under way: run {run.id} {run.target} since {iso(run.started)}"


def _calls(connection: Connection) -> Iterator[str]:
    day = (CALLS.c.updated - CALLS.c.updated % _DAY_SECONDS).label("day")
    count = sa.func.count().label("calls")
    query = (
        sa.select(CALLS.c.account, day, CALLS.c.state, count)
        .group_by(CALLS.c.account, day, CALLS.c.state)
        .order_by(CALLS.c.account, day.desc(), CALLS.c.state)
    )
    names = _names(connection)
    account = None
    for row in connection.execute(query):
        if row.account != account:
            account = row.account
            yield f"account {names[account]}"
            yield f"{'day':<12}{'state':<12}{'calls':>8}"
        yield f"{iso(row.day)[:10]:<12}{_WORDS.get(row.state, row.state):<12}{row.calls:>8}"


def _waiting(connection: Connection) -> Iterator[str]:
    columns = (CALLS.c.account, CALLS.c.key, CALLS.c.updated, CALLS.c.reason, CALLS.c.file)
    names = _names(connection)
    for state, word in ((REJECTED, REJECTED), (UNKNOWN, HELD)):
        waiting = (
            sa.select(*columns)
            .where(STANDING, CALLS.c.state == state)
            .order_by(CALLS.c.updated, CALLS.c.key)
        )
        for row in connection.execute(waiting):
            parts = (word, row.key, iso(row.updated), names[row.account], row.reason, row.file)
            yield " ".join(_shown(part) for part in parts if part)


def _names(connection: Connection) -> dict[int, str]:
    columns = (ACCOUNTS.c.id, ACCOUNTS.c.vendor, ACCOUNTS.c.origin, ACCOUNTS.c.campaign)
    return {
        number: _shown(" ".join(part for part in names if part))
        for number, *names in connection.execute(sa.select(*columns))
    }


def _shown(text: str) -> str:
    """A text of a source or a vendor as one line of a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
