"""The command ``call-ledger``.

Exit codes: 0 done; 1 the ledger or a file can't be used; 2 the command line is wrong; 3 refused,
and nothing was changed (unknown key, already decided, tried again since); 4 ``status --check`` and
something waits.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from singer_calls.errors import PluginError
from singer_calls.ledger_cli.command import Where, in_sentences, whoami
from singer_calls.ledger_cli.decide import replay, resolve
from singer_calls.ledger_cli.keep import copy, forget, prune
from singer_calls.ledger_cli.look import list_, show, status
from singer_calls.ledger_cli.place import place


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, help=__doc__)
@click.option("--ledger-url", help="SQLAlchemy URL of the ledger; else LEDGER_URL.")
@click.option("--rejected-path", help="Folder or bucket of calls set aside; else REJECTED_PATH.")
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

    @in_sentences
    def find() -> None:
        if sys.stdout is None:
            raise PluginError("Standard output is closed: there is nowhere to print to")
        url, kept = place(
            ledger_url=ledger_url,
            rejected_path=rejected_path,
            config=config,
            target=target,
            environ=os.environ,
        )
        named = f" --config {config}" if config else f" --target {target}" if target else ""
        context.obj = Where(url, kept, named)

    find()


@click.command()
@click.option("--port", default=0, help="0 takes a free one.")
@click.option("--who", default=whoami, show_default="user@host", help="Who decides there.")
@click.pass_obj
@in_sentences
def page(place: Where, port: int, who: str) -> None:
    """The same as a page, for this machine alone; until Ctrl-C."""
    from singer_calls.ledger_cli.page import serve  # noqa: PLC0415 - slow to import

    serve(place.desk(), place.files, port, who)


for command in (status, list_, show, resolve, replay, prune, forget, copy, page):
    cli.add_command(command)


def main() -> None:
    """The console script."""
    in_sentences(cli)(prog_name="call-ledger")
