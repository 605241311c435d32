"""The command ``call-ledger``.

Exit codes: 0 done; 1 the ledger or a file can't be used; 2 the command line is wrong; 3 refused,
and nothing was changed (unknown key, already decided, tried again since); 4 ``status --check`` and
something waits.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from singer_calls.deliver.entries import REJECTED, UNKNOWN, iso
from singer_calls.deliver.ledger_place import anchored
from singer_calls.errors import PluginError
from singer_calls.ledger_cli import originals, upkeep
from singer_calls.ledger_cli.decisions import Choice, Decision, RefusedError
from singer_calls.ledger_cli.desk import Call, Desk, Filter, name_of, totals
from singer_calls.ledger_cli.place import place
from singer_calls.ledger_cli.render import as_csv, as_json, cells_of, escaped, many, table, time_
from singer_calls.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_calls.recordings.store import Store

_FAILED, _REFUSED, _WAITS = 1, 3, 4
_DAYS = 14  # shown by ``status``
_YOUNG = 90 * 24 * 60 * 60  # seconds in which a tap may read again
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


@dataclass(frozen=True, slots=True)
class Place:
    """What a command works on."""

    url: str
    folder: Path
    argument: str

    def desk(self) -> Desk:
        """The ledger, open until the command ends."""
        desk = Desk(self.url)
        click.get_current_context().call_on_close(desk.close)
        return desk


def _sentences(command: Callable[..., None]) -> Callable[..., None]:
    """An error is one sentence and an exit code."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401
        try:
            command(*arguments, **options)
        except RefusedError as error:
            _end(f"{error}. Nothing was changed.", _REFUSED)
        except PluginError as error:
            _end(f"{str(error).rstrip('.')}.", _FAILED)
        except BrokenPipeError:  # whoever read it has seen enough
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_FAILED)

    return run


def _end(sentence: str, code: int) -> None:
    click.echo(f"call-ledger: {sentence}", err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, help=__doc__)
@click.option("--ledger-url", help="SQLAlchemy URL of the ledger; else LEDGER_URL.")
@click.option("--rejected-path", help="Folder of the files of calls set aside; else REJECTED_PATH.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration file of a target: both settings are read there.",
)
@click.option("--target", help="Name of a target: both settings are its variables' (TARGET_..._).")
@click.pass_context
def cli(
    context: click.Context,
    ledger_url: str | None,
    rejected_path: str | None,
    config: Path | None,
    target: str | None,
) -> None:
    """Its help is the module's."""

    @_sentences
    def find() -> None:
        url, folder = place(
            ledger_url=ledger_url,
            rejected_path=rejected_path,
            config=config,
            target=target,
            environ=os.environ,
        )
        named = f" --config {config}" if config else f" --target {target}" if target else ""
        context.obj = Place(url, folder, named)

    find()


def _date(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("give a date such as 2026-01-31 (UTC)") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which of the calls that wait."""
    for option in (
        click.option("--since", callback=_date, help="Set aside on that day or later (UTC)."),
        click.option("--reason", help="Part of the reason or of the parameter at fault."),
        click.option("--account", help="Part of an account's name: vendor origin campaign."),
        click.option("--state", type=click.Choice([REJECTED, UNKNOWN]), help="Only these."),
    ):
        command = option(command)
    return command


@cli.command()
@click.option("--check", is_flag=True, help="Exit with 4 when something waits for a person.")
@click.option("--days", default=_DAYS, show_default=True, help="The newest days with calls.")
@click.pass_obj
@_sentences
def status(place: Place, check: bool, days: int) -> None:
    """What went out by account and day, what waits, and the last run."""
    desk = place.desk()
    click.echo(f"ledger {escaped(desk.place)}")
    runs = desk.runs()
    for run in [run for run in runs if run.ended is None]:
        node = f" on {escaped(run.node)}" if run.node else ""
        click.echo(
            f"under way: run {run.id} of {escaped(run.target)}{node} since {iso(run.started)}"
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
        sys.exit(_WAITS)


@cli.command("list")
@_filters
@click.option("--format", "format_", type=click.Choice(["table", "json", "csv"]), default="table")
@click.pass_obj
@_sentences
def list_(place: Place, format_: str, **filters: Any) -> None:  # noqa: ANN401 - of ``Filter``
    """What waits for a person, oldest first."""
    calls = place.desk().waiting(Filter(**filters))
    if format_ == "table":
        _list_table(place, list(calls))
        return
    rows = map(cells_of, calls)
    for line in as_json(rows) if format_ == "json" else as_csv(rows, _COLUMNS):
        click.echo(line)


def _list_table(place: Place, calls: list[Call]) -> None:
    rows = [
        (call.key, call.state, iso(call.updated), call.attempt, name_of(call.account), call.why,
         "to be sent again" if call.released else "")
        for call in calls
    ]  # fmt: skip
    if not rows:
        click.echo("Nothing waits for a person.")
        return
    table(["key", "state", "since", "attempt", "account", "reason", "decided"], rows)
    if any(call.released for call in calls):
        click.echo(
            "\nWhat is to be sent again goes out when a run reads it; at once with\n"
            f"  call-ledger{place.argument} replay --released | TARGET --config CONFIG"
        )


@cli.command()
@click.argument("keys", nargs=-1, required=True)
@click.option("--account", help="Part of an account's name, where one key is several calls.")
@click.option("--original", is_flag=True, help="Also the call itself, as the tap sent it.")
@click.pass_obj
@_sentences
def show(place: Place, keys: tuple[str, ...], account: str | None, original: bool) -> None:
    """All that is known of calls."""
    desk = place.desk()
    calls = desk.under(keys, account)
    unknown = set(keys) - {call.key for call in calls}
    found = originals.find(place.folder, calls)
    for call in calls:
        for name, value in facts(desk, call):
            click.echo(f"{name:<12}{escaped(str(value))}")
        kept = found.get((call.account, call.key))
        if call.file and kept is None:
            click.echo(f"{'original':<12}not found in {escaped(str(place.folder))}")
        elif original and kept is not None:
            click.echo(f"{'original':<12}{originals.shown_original(kept)}")
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


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # no such user, as in a container
        return f"uid {os.getuid()}@{platform.node()}" if hasattr(os, "getuid") else platform.node()


@cli.command()
@click.argument("keys", nargs=-1)
@_filters
@click.option("--delivered", "choice", flag_value=Choice.DELIVERED, type=Choice,
              help="The vendor has it: it is never sent.")  # fmt: skip
@click.option("--send-again", "choice", flag_value=Choice.SEND_AGAIN, type=Choice,
              help="The next run that reads it, or a replay, sends it once more.")  # fmt: skip
@click.option("--drop", "choice", flag_value=Choice.DROP, type=Choice,
              help="Nobody needs it: it never comes back.")  # fmt: skip
@click.option("--reference", help="The vendor's own id of the call, with --delivered.")
@click.option("--note", help="Why; kept with the decision. No value of a call, please.")
@click.option("--who", default=_who, show_default="user@host", help="Who decides.")
@click.option("--attempt", type=int, help="Only if that attempt still is the newest.")
@click.pass_obj
@_sentences
def resolve(
    place: Place,
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
        calls = _named(desk, keys, filters)
    elif any(value is not None for value in filters.values()):
        released = False if choice is Choice.SEND_AGAIN else None
        calls = list(desk.waiting(Filter(**filters, released=released)))
    else:
        raise click.UsageError("Give keys, or say which calls: --state, --account, --reason ...")
    decision = Decision(choice, who, reference, note, attempt)
    count = desk.decide([(call.account, call.key) for call in calls], decision)
    click.echo(f"{many(count, 'call')}: {choice.value}", err=True)
    if count and choice is Choice.SEND_AGAIN:
        click.echo(
            "The next run that reads them sends them once; at once with: "
            f"call-ledger{place.argument} replay --released | TARGET --config CONFIG",
            err=True,
        )


def _named(desk: Desk, keys: tuple[str, ...], filters: dict[str, Any]) -> list[Call]:
    """The calls of these keys."""
    if any(filters[name] is not None for name in ("state", "reason", "since")):
        raise click.UsageError("Give keys or filters, not both (--account goes with keys too).")
    return desk.one_each(keys, filters["account"])


@cli.command()
@click.argument("keys", nargs=-1)
@_filters
@click.option("--released", is_flag=True, help="Only what is to be sent again.")
@click.pass_obj
@_sentences
def replay(place: Place, keys: tuple[str, ...], released: bool, **filters: Any) -> None:  # noqa: ANN401
    """Write calls that wait to standard output, as one Singer stream for their target.

    Calls whose outcome is unknown may be at the vendor already: they are written only if they are
    named, by key or by --state unknown, or are to be sent again anyway.
    """
    if sys.stdout.isatty():
        raise click.UsageError("This writes calls: pipe it into their target, or into a file.")
    desk = place.desk()
    if keys:
        calls = _named(desk, keys, filters)
        waits = {(c.account, c.key) for c in desk.waiting(Filter(account=filters["account"]))}
        for call in calls:
            if (call.account, call.key) not in waits:
                raise RefusedError(f"{shown(call.key)} does not wait ({call.state})")
        left_out: list[Call] = []
    else:
        found = list(desk.waiting(Filter(**filters, released=True if released else None)))
        named = filters["state"] == UNKNOWN
        left_out = [c for c in found if c.state == UNKNOWN and not named and not c.released]
        calls = [call for call in found if call not in left_out]
    _write(place, calls)
    if left_out:
        click.echo(
            f"{len(left_out)} calls of unknown outcome were left out: the vendor may have them. "
            "See there, then resolve them.",
            err=True,
        )


def _write(place: Place, calls: list[Call]) -> None:
    kept = originals.find(place.folder, calls)
    targets = sorted({original.target for original in kept.values()})
    if len(targets) > 1:
        names = " and ".join(map(escaped, targets))
        raise RefusedError(f"These calls are of {names}: choose one with --account")
    out = sys.stdout.buffer
    for line in originals.stream_of(kept.values()):
        out.write(line)
    out.flush()
    click.echo(f"{many(len(kept), 'call')} written.", err=True)
    if missing := len(calls) - len(kept):
        raise PluginError(
            f"The originals of {missing} calls are not in {place.folder}: bring their files back, "
            "or let the tap read that period again"
        )


@cli.command()
@click.argument("keys", nargs=-1, required=True)
@click.option("--account", help="Part of an account's name; else in all of them.")
@click.option(
    "--recordings-url", envvar="RECORDINGS_URL", help="Store of the tap's recordings, if any."
)
@click.option(
    "--recordings-storage", envvar="RECORDINGS_STORAGE", help="Its recordings_storage, as JSON."
)
@click.pass_obj
@_sentences
def forget(
    place: Place,
    keys: tuple[str, ...],
    account: str | None,
    recordings_url: str | None,
    recordings_storage: str | None,
) -> None:
    """Erase calls for good, as a person may ask: originals, moments, marks, notes, recordings.

    Key and state stay, so that no run pays a call again; a call that waited is closed. Recordings
    are those whose file is named by the call's id, with or without its prefix.
    """
    store = _store(recordings_url, recordings_storage)
    rows, removed = upkeep.forget(place.desk(), place.folder, keys, account)
    click.echo(f"{many(rows, 'call')} forgotten, {many(removed, 'original')} removed.", err=True)
    if store is not None:
        paths = store.named({name for key in keys for name in (key, key.rpartition(":")[2])})
        for path in paths:
            store.delete(path)
        click.echo(f"{many(len(paths), 'recording')} removed.", err=True)


def _store(url: str | None, storage: str | None) -> Store | None:
    """The store of recordings, if one is named."""
    if not url:
        return None
    try:
        from singer_calls.recordings.store import Store  # noqa: PLC0415 - an extra
    except ImportError:
        raise RefusedError("--recordings-url needs the extra singer-calls[recordings]") from None
    try:
        options = json.loads(storage or "{}")
    except ValueError:
        raise RefusedError("--recordings-storage must be a JSON object") from None
    return Store.from_config({"recordings_url": url, "recordings_storage": options})


@cli.command()
@click.option("--before", callback=_date, required=True, help="A day (UTC): calls before it.")
@click.option("--account", help="Part of an account's name; else all of them.")
@click.option("--force", is_flag=True, help="Also for a day within the last 90.")
@click.pass_obj
@_sentences
def prune(place: Place, before: int, account: str | None, force: bool) -> None:
    """Forget delivered and closed calls of before a day; no new call from before it is sent."""
    if not force and before > time.time() - _YOUNG:
        raise RefusedError("A tap may still read the last 90 days again: --force if none does")
    pruned = upkeep.prune(place.desk(), place.folder, before, account)
    click.echo(
        f"{many(pruned.rows, 'call')} forgotten. No new call of before {iso(before)} is sent."
    )
    if pruned.originals is None:
        click.echo("A run is under way: originals stay until prune is run again.")
    else:
        click.echo(f"{many(pruned.originals, 'original')} removed that wait for nobody.")


@cli.command()
@click.option("--to", required=True, help="SQLAlchemy URL of a database without a ledger.")
@click.pass_obj
@_sentences
def copy(place: Place, to: str) -> None:
    """Carry the ledger to another database; on SQLite also its backup, -wal included."""
    url = anchored(to, environment={}, config_files=[], working=Path.cwd())
    for table_, count in upkeep.copy(place.desk(), url).items():
        click.echo(f"{table_:<24}{count:>12}")
    click.echo("Both have as many. Now set LEDGER_URL, or ledger_url of each target, to the copy.")


@cli.command()
@click.option("--port", default=0, help="0 takes a free one.")
@click.option("--who", default=_who, show_default="user@host", help="Who decides there.")
@click.pass_obj
@_sentences
def page(place: Place, port: int, who: str) -> None:
    """The same as a page, for this machine alone; until Ctrl-C."""
    from singer_calls.ledger_cli.page import serve  # noqa: PLC0415 - slow to import

    serve(place.desk(), place.folder, port, who)


def main() -> None:
    """The console script."""
    cli(prog_name="call-ledger")
