"""Commands that read: ``status``, ``list`` and ``show``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from singer_calls.deliver.entries import iso
from singer_calls.deliver.messages import encode
from singer_calls.ledger_cli import filed_records
from singer_calls.ledger_cli.command import WAITS, Where, call_filters, in_sentences, not_empty
from singer_calls.ledger_cli.decisions import RefusedError
from singer_calls.ledger_cli.render import as_csv, as_json, cells_of, escaped, table, time_
from singer_calls.ledger_cli.runs import totals
from singer_calls.ledger_cli.waiting import Call, Filter, name_of
from singer_calls.text import many, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_calls.ledger_cli.desk import Desk

_DAYS_SHOWN = 14  # by ``status``
_COLUMNS = (
    "key",
    "state",
    "since",
    "attempt",
    "vendor",
    "origin",
    "campaign",
    "reason",
    "released",
    "file",
)


@click.command()
@click.option("--check", is_flag=True, help="Exit with 4 when something waits for a person.")
@click.option("--days", default=_DAYS_SHOWN, show_default=True, help="The newest days with calls.")
@click.pass_obj
@in_sentences
def status(place: Where, check: bool, days: int) -> None:
    """What went out by account and day, what waits, and the last run."""
    desk = place.desk()
    click.echo(f"ledger {escaped(desk.place)}")
    runs = desk.runs()
    for run in [run for run in runs if run.ended is None]:
        node = f" on {escaped(run.node)}" if run.node else ""
        click.echo(
            f"under way: run {run.id} of {escaped(run.target)}{node} since {iso(run.started)}: "
            f"{escaped(', '.join(run.news()))}"
        )
    for run in [run for run in runs if run.ended is not None][:1]:
        ended = f"{run.how or 'ended'} {time_(run.ended)}"
        click.echo(f"last run: {run.id} of {escaped(run.target)}, {ended}")
    for account, by_day in sorted(totals(runs).items()):
        click.echo(f"\n{escaped(account)}")
        names = sorted({name for counts in by_day.values() for name in counts})
        newest = sorted(by_day, reverse=True)[:days]
        table(["day", *names], [[day, *(by_day[day][name] for name in names)] for day in newest])
    groups = desk.groups()
    waits = sum(count for *_, count, _ in groups)
    click.echo()
    if groups:
        oldest = iso(min(since for *_, since in groups))
        wait = "waits" if waits == 1 else "wait"
        click.echo(f"{many(waits, 'call')} {wait} for a person, the oldest since {oldest}:")
        rows = [(n, state, why, name_of(account)) for state, why, account, n, _ in groups]
        table(["calls", "state", "reason", "account"], rows)
    else:
        click.echo("Nothing waits for a person.")
    if check and waits:
        sys.exit(WAITS)


@click.command("list")
@call_filters
@click.option("--format", "format_", type=click.Choice(["table", "json", "csv"]), default="table")
@click.pass_obj
@in_sentences
def list_(place: Where, format_: str, **filters: Any) -> None:  # noqa: ANN401 - of ``Filter``
    """What waits for a person, oldest first."""
    calls = place.desk().waiting(Filter(**filters))
    if format_ == "table":
        _list_table(place, list(calls))
        return
    rows = map(cells_of, calls)
    for line in as_json(rows) if format_ == "json" else as_csv(rows, _COLUMNS):
        click.echo(line)


def _list_table(place: Where, calls: list[Call]) -> None:
    rows = [
        (call.key, call.state, iso(call.updated), call.attempt, name_of(call.account), call.why,
         "to be sent again" if call.released else "")
        for call in calls
    ]  # fmt: skip
    if not rows:
        click.echo("Nothing waits for a person.")
        return
    table(["key", "state", "since", "attempt", "account", "reason", "decided"], rows)
    if any(call.released and call.replayable for call in calls):
        click.echo(
            "\nWhat is to be sent again goes out when a run reads it; at once with\n"
            f"  call-ledger{place.argument} replay --released | TARGET --config CONFIG"
        )


@click.command()
@click.argument("keys", nargs=-1, required=True)
@click.option(
    "--account",
    callback=not_empty,
    help="Part of an account's name, where one key is several calls.",
)
@click.option("--original", is_flag=True, help="Also the call itself, as the tap sent it.")
@click.pass_obj
@in_sentences
def show(place: Where, keys: tuple[str, ...], account: str | None, original: bool) -> None:
    """All that is known of calls."""
    desk = place.desk()
    named = place.keys(desk, keys)
    calls = desk.under(named, account)
    unknown = set(named) - {call.key for call in calls}
    files = place.files
    found = filed_records.find(files, calls)
    for call in calls:
        for name, value in facts(desk, call):
            click.echo(f"{name:<12}{escaped(str(value))}")
        kept = found.get((call.account, call.key))
        if call.file and kept is None:
            click.echo(f"{'original':<12}not found in {escaped(str(files))}")
        elif original and kept is not None:
            click.echo(f"{'original':<12}{encode(filed_records.record_of(files, kept))}")
        click.echo()
    if unknown:
        raise RefusedError(f"The ledger knows no call {', '.join(map(shown, sorted(unknown)))}")


def facts(desk: Desk, call: Call) -> Iterator[tuple[str, object]]:
    """What is known of a call, with the decisions about it."""
    known = {
        "key": call.key,
        "account": name_of(call.account),
        "state": call.state + (" (to be sent again)" if call.released else ""),
        "took place": time_(call.moment),
        "first seen": time_(call.first_seen),
        "changed": time_(call.updated),
        "attempts": call.attempt,
        "run": call.run,
        "reference": call.reference,
        "reason": call.reason,
        "field": call.field,
        "file": call.file,
    }
    yield from ((name, value) for name, value in known.items() if value not in {None, ""})
    for one in desk.decisions(call):
        more = f" {one.reference}" if one.reference else ""
        note = f": {one.note}" if one.note else ""
        about = f"attempt {one.attempt}"
        yield "decided", f"{iso(one.decided)} {one.decision}{more} by {one.who}, {about}{note}"
