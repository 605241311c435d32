"""Commands that keep a ledger: ``forget``, ``prune`` and ``copy``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from singer_calls.deliver.entries import iso
from singer_calls.deliver.ledger_place import anchored
from singer_calls.environment import working_folder
from singer_calls.ledger_cli import upkeep
from singer_calls.ledger_cli.command import Where, a_date, in_sentences, not_empty
from singer_calls.ledger_cli.decisions import RefusedError
from singer_calls.text import many

if TYPE_CHECKING:
    from singer_calls.recordings.store import Store

_YOUNG_SECONDS = 90 * 24 * 60 * 60  # in which a tap may read again


@click.command()
@click.argument("keys", nargs=-1, required=True)
@click.option(
    "--account", callback=not_empty, help="Part of an account's name; else in all of them."
)
@click.option(
    "--recordings-url", envvar="RECORDINGS_URL", help="Store of the tap's recordings, if any."
)
@click.option(
    "--recordings-storage", envvar="RECORDINGS_STORAGE", help="Its recordings_storage, as JSON."
)
@click.pass_obj
@in_sentences
def forget(
    place: Where,
    keys: tuple[str, ...],
    account: str | None,
    recordings_url: str | None,
    recordings_storage: str | None,
) -> None:
    """Erase calls for good, as a person may ask: originals, moments, marks, notes, recordings.

    Key and state stay, so that no run pays a call again; a call that waited is closed. Recordings
    are those whose file is named by the call's id, with or without its prefix. PostgreSQL keeps
    what was there until it is vacuumed; backups are yours to delete.
    """
    store = _store(recordings_url, recordings_storage)
    desk = place.desk()
    rows, removed = upkeep.forget(desk, place.files, place.keys(desk, keys), account)
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


@click.command()
@click.option("--before", callback=a_date, required=True, help="A day (UTC): calls before it.")
@click.option("--account", callback=not_empty, help="Part of an account's name; else all of them.")
@click.option("--force", is_flag=True, help="Also for a day within the last 90.")
@click.pass_obj
@in_sentences
def prune(place: Where, before: int, account: str | None, force: bool) -> None:
    """Forget delivered and closed calls of before a day; no new call from before it is sent."""
    if not force and before > time.time() - _YOUNG_SECONDS:
        raise RefusedError("A tap may still read the last 90 days again: --force if none does")
    pruned = upkeep.prune(place.desk(), place.files, before, account)
    click.echo(
        f"{many(pruned.rows, 'call')} forgotten. No new call of before {iso(before)} is sent."
    )
    if pruned.originals is None:
        click.echo("A run is under way: originals stay until prune is run again.")
    else:
        click.echo(f"{many(pruned.originals, 'original')} removed that wait for nobody.")


@click.command()
@click.option("--to", required=True, help="SQLAlchemy URL of a database without a ledger.")
@click.pass_obj
@in_sentences
def copy(place: Where, to: str) -> None:
    """Carry the ledger to another database; on SQLite also its backup, -wal included."""
    url = anchored(to, environment={}, config_files=[], working=working_folder())
    for table_, count in upkeep.copy(place.desk(), url).items():
        click.echo(f"{table_:<24}{count:>12}")
    click.echo("Both have as many. Now set LEDGER_URL, or ledger_url of each target, to the copy.")
