"""Commands by which a person decides: ``resolve`` and ``replay``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from singer_calls.deliver.entries import HELD
from singer_calls.errors import PluginError
from singer_calls.ledger_cli import filed_records
from singer_calls.ledger_cli.command import Where, call_filters, in_sentences, whoami
from singer_calls.ledger_cli.decisions import Choice, Decision, RefusedError
from singer_calls.ledger_cli.render import escaped
from singer_calls.ledger_cli.waiting import Call, Filter
from singer_calls.text import many, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_calls.ledger_cli.desk import Desk


@click.command()
@click.argument("keys", nargs=-1)
@call_filters
@click.option("--delivered", "choice", flag_value=Choice.DELIVERED, type=Choice,
              help="The vendor has it: it is never sent.")  # fmt: skip
@click.option("--send-again", "choice", flag_value=Choice.SEND_AGAIN, type=Choice,
              help="The next run that reads it, or a replay, sends it once more.")  # fmt: skip
@click.option("--drop", "choice", flag_value=Choice.DROP, type=Choice,
              help="Nobody needs it: it never comes back.")  # fmt: skip
@click.option("--reference", help="The vendor's own id of the call, with --delivered.")
@click.option("--note", help="Why; kept with the decision. No value of a call, please.")
@click.option("--who", default=whoami, show_default="user@host", help="Who decides.")
@click.option("--attempt", type=int, help="Only if that attempt still is the newest.")
@click.pass_obj
@in_sentences
def resolve(
    place: Where,
    keys: tuple[str, ...],
    *,
    choice: Choice | None,
    reference: str | None,
    note: str | None,
    who: str,
    attempt: int | None,
    **filters: Any,  # noqa: ANN401 - those of ``Filter``
) -> None:
    """Decide about calls that wait: of these keys, or all that the filters find."""
    if choice is None:
        raise click.UsageError("Say what becomes of them: --delivered, --send-again or --drop.")
    if reference and (choice is not Choice.DELIVERED or len(keys) != 1):
        raise click.UsageError("--reference belongs to --delivered and one key.")
    desk = place.desk()
    if keys:
        calls = _named(desk, place.keys(desk, keys), filters)
    elif any(value is not None for value in filters.values()):
        released = False if choice is Choice.SEND_AGAIN else None
        calls = list(desk.waiting(Filter(**filters, released=released)))
    else:
        raise click.UsageError("Give keys, or say which calls: --state, --account, --reason ...")
    decision = Decision(choice, who, reference, note, attempt)
    count = desk.decide([(call.account, call.key) for call in calls], decision)
    click.echo(f"{many(count, 'call')}: {choice.value}", err=True)
    if count and choice is Choice.SEND_AGAIN:
        command = f"call-ledger{place.argument} replay --released | TARGET --config CONFIG"
        sooner = f"; at once with: {command}" if any(call.replayable for call in calls) else "."
        click.echo(f"The next run that reads them sends them once{sooner}", err=True)


def _named(desk: Desk, keys: Sequence[str], filters: dict[str, Any]) -> list[Call]:
    """The calls of these keys."""
    if any(filters[name] is not None for name in ("state", "reason", "since")):
        raise click.UsageError("Give keys or filters, not both (--account goes with keys too).")
    return desk.one_each(keys, filters["account"])


@click.command()
@click.argument("keys", nargs=-1)
@call_filters
@click.option("--released", is_flag=True, help="Only what is to be sent again.")
@click.pass_obj
@in_sentences
def replay(place: Where, keys: tuple[str, ...], released: bool, **filters: Any) -> None:  # noqa: ANN401
    """Write calls that wait to standard output, as one Singer stream for their target.

    Held calls may be at the vendor already: they are written only if they are named, by key or by
    --state held, or are to be sent again anyway.
    """
    if sys.stdout.isatty():
        raise click.UsageError("This writes calls: pipe it into their target, or into a file.")
    desk = place.desk()
    if keys:
        calls = _named(desk, place.keys(desk, keys), filters)
        waits = {(c.account, c.key) for c in desk.waiting(Filter(account=filters["account"]))}
        for call in calls:
            if (call.account, call.key) not in waits:
                raise RefusedError(f"{shown(call.key)} does not wait ({call.state})")
        left_out: list[Call] = []
    else:
        found = list(desk.waiting(Filter(**filters, released=True if released else None)))
        named = filters["state"] == HELD
        left_out = [c for c in found if c.state == HELD and not named and not c.released]
        calls = [call for call in found if call not in left_out]
    _write(place, calls)
    if left_out:
        click.echo(
            f"{len(left_out)} held calls were left out: the vendor may have them. "
            "See there, then resolve them.",
            err=True,
        )


def _write(place: Where, calls: list[Call]) -> None:
    files = place.files
    kept = filed_records.find(files, calls)
    targets = sorted({original.target for original in kept.values()})
    if len(targets) > 1:
        names = " and ".join(map(escaped, targets))
        raise RefusedError(f"These calls are of {names}: choose one with --account")
    out = sys.stdout.buffer
    for line in filed_records.stream_of(files, kept.values()):
        out.write(line)
    out.flush()
    click.echo(f"{many(len(kept), 'call')} written.", err=True)
    if missing := len(calls) - len(kept):
        raise PluginError(
            f"The originals of {missing} calls are not in {files}: bring their files back, "
            "or let the tap read that period again"
        )
