"""What the command prints: tables for people, JSON and CSV for programs.

Keys, reasons and notes come from sources, vendors and people: nothing of them may steer a terminal.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from singer_calls.deliver.entries import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singer_calls.ledger_cli.waiting import Call

Cells = dict[str, Any]


def escaped(text: str) -> str:
    """A text on one line of a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )


def time_(moment: int | None) -> str | None:
    """A time in words: UTC."""
    return None if moment is None else iso(moment)


def cells_of(call: Call) -> Cells:
    """A call as the list shows it."""
    return {
        "key": call.key,
        "state": call.state,
        "since": time_(call.updated),
        "attempt": call.attempt,
        "vendor": call.account.vendor,
        "origin": call.account.origin,
        "campaign": call.account.campaign,
        "reason": call.why,
        "released": call.released,
        "file": call.file,
    }


def as_json(rows: Iterable[Cells]) -> Iterator[str]:
    """An array, one object a line."""
    before = "["
    for row in rows:
        yield f"{before}{json.dumps(row)}"
        before = ","
    yield "[]" if before == "[" else "]"


def as_csv(rows: Iterable[Cells], names: Sequence[str]) -> Iterator[str]:
    """RFC 4180, with a first line of names."""
    yield _csv(names)
    for row in rows:
        yield _csv([_csv_cell(row[name]) for name in names])


def _csv(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _csv_cell(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else escaped(str(value))


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: ruled on a terminal, in aligned columns elsewhere."""
    texts = [["" if cell is None else escaped(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - slow to import, of no use in a pipe
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        ruled = Table(*names)
        for row in texts:
            ruled.add_row(*(Text(cell, overflow="fold") for cell in row))
        Console().print(ruled)
        return
    widths = [max(map(len, column)) for column in zip(names, *texts, strict=True)]
    for row in [list(names), *texts]:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())
