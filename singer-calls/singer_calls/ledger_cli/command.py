"""What the commands share: the ledger they work on, how they end, and options."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from singer_calls.deliver.dead_letters_files import files_at
from singer_calls.deliver.entries import HELD, REJECTED
from singer_calls.errors import PluginError
from singer_calls.ledger_cli import filed_records
from singer_calls.ledger_cli.decisions import RefusedError
from singer_calls.ledger_cli.desk import Desk
from singer_calls.output import let_go

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_calls.deliver.dead_letters_files import Files

FAILED, REFUSED, WAITS = 1, 3, 4  # exit codes, see main.py


@dataclass(frozen=True, slots=True)
class Where:
    """What a command works on."""

    url: str
    rejected_path: str
    argument: str

    def desk(self) -> Desk:
        """The ledger, open until the command ends."""
        desk = Desk(self.url)
        click.get_current_context().call_on_close(desk.close)
        return desk

    @property
    def files(self) -> Files:
        """The files of calls set aside."""
        return files_at(self.rejected_path)

    def keys(self, desk: Desk, given: Sequence[str]) -> list[str]:
        """Keys as the ledger has them, see ``filed_records.known_as``."""
        return filed_records.known_as(desk, self.files, given)


def in_sentences(command: Callable[..., None]) -> Callable[..., None]:
    """An error is one sentence and an exit code."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401
        try:
            command(*arguments, **options)
        except RefusedError as error:
            _end(f"{error}. Nothing was changed.", REFUSED)
        except PluginError as error:
            _end(f"{str(error).rstrip('.')}.", FAILED)
        except UnicodeEncodeError:  # of an argument
            _end("What is given on the command line must be UTF-8.", FAILED)
        except BrokenPipeError:  # whoever read it has seen enough
            let_go(sys.stdout)
            sys.exit(FAILED)
        except OSError as error:
            let_go(sys.stdout)
            what = "A file" if error.filename else "Standard output"
            _end(f"{what} can't be written ({error.strerror}).", FAILED)

    return run


def _end(sentence: str, code: int) -> None:
    click.echo(f"call-ledger: {sentence}", err=True)
    sys.exit(code)


def a_date(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """A day or a moment as UTC seconds, for an option."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("give a date such as 2026-01-31 (UTC)") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def not_empty(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """A filter: an empty one, as of a variable that is not set, would be none."""
    if text is not None and not text.strip():
        raise click.BadParameter("is empty, which would mean all calls: leave it out, or fill it")
    return text


def call_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which of the calls that wait."""
    for option in (
        click.option("--since", callback=a_date, help="Set aside on that day or later (UTC)."),
        click.option(
            "--reason", callback=not_empty, help="Part of the reason or of the parameter at fault."
        ),
        click.option(
            "--account",
            callback=not_empty,
            help="Part of an account's name: vendor origin campaign.",
        ),
        click.option("--state", type=click.Choice([REJECTED, HELD]), help="Only these."),
    ):
        command = option(command)
    return command


def whoami() -> str:
    """Who sits here: user and host."""
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # no such user, as in a container
        return f"uid {os.getuid()}@{platform.node()}" if hasattr(os, "getuid") else platform.node()
