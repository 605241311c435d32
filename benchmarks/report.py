"""benchmarks/RESULTS.md and its chart, from what was measured; the limits stand in limits.md."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIBRARIES = ("singer-sdk", "aiohttp", "SQLAlchemy", "msgspec", "phonenumbers", "httptools")
_BEGIN, _END = "<!-- by make bench -->\n", "<!-- end -->"
_BAR, _GAP, _LEFT, _WIDTH = 18, 8, 300, 760


@dataclass(frozen=True)
class Table:
    """One table of the report."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def text(self) -> str:
        """As Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{self.note}\n\n{body}\n"


@dataclass(frozen=True)
class Goal:
    """What was hoped for, and whether the run has it.

    Attributes:
        work: Of what.
        bound: Of each value, which counts as its median.
        values: What was measured, by what was varied; 0.0 where there is no figure.
        unit: After the bound.
        form: Of the numbers.
        most: Whether the bound is the most, and not the least.
    """

    work: str
    bound: float
    values: Mapping[str, float]
    unit: str = ""
    form: str = ",.2f"
    most: bool = False

    @property
    def row(self) -> list[str]:
        """Its line in the report."""
        told = [
            f"{format(value, self.form) if value else 'no figure'} {name and f'({name})'}".strip()
            for name, value in self.values.items()
        ]
        goal = f"{'at most' if self.most else 'at least'} {self.bound:{self.form}} {self.unit}"
        return [self.work, goal.strip(), ", ".join(told), self.verdict]

    @property
    def verdict(self) -> str:
        """``met``, or by how much the worst value misses it."""
        if not all(self.values.values()):
            return "not measured"
        worst = max(self.values.values()) if self.most else min(self.values.values())
        over = worst / self.bound - 1 if self.most else 1 - worst / self.bound
        return "met" if over <= 0 else f"**missed by {over:.0%}**" if over >= 0.005 else "met"


def goals(found: Sequence[Goal]) -> Table:
    """All goals of a run."""
    note = (
        "Computed from the tables below, from medians; of several values the worst counts. What "
        "limits stands at the end."
    )
    head = ["work", "goal", "measured", ""]
    return Table("Goals", note, head, [goal.row for goal in found])


def machine() -> str:
    """What it was measured on."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(names)} x {names[0] if names else platform.processor()}, {memory:.0f} GB"


def versions() -> str:
    """Of what takes part."""
    found = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"Python {platform.python_version()}, {platform.system()} {platform.release()}; {found}"


def chart(title: str, unit: str, bars: Sequence[tuple[str, float, bool]]) -> str:
    """A bar chart as SVG.

    Args:
        title: Above it.
        unit: Of the values.
        bars: Name, value, whether it is ours.
    """
    most = max((value for _, value, _ in bars), default=1.0) or 1.0
    height = 40 + len(bars) * (_BAR + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<style>text { font: 13px sans-serif }</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for place, (name, value, ours) in enumerate(bars):
        y = 36 + place * (_BAR + _GAP)
        color = "#1b6ca8" if ours else "#b8bec4"
        width = max(1.0, value / most * (_WIDTH - _LEFT - 110))
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width:.0f}" height="{_BAR}" fill="{color}"/>',
            f'<text x="{_LEFT + width + 6:.0f}" y="{y + 14}">{value:,.0f} {unit}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def quote(readme: Path, ratios: Mapping[str, float]) -> None:
    """Write the ratios into the README, between the two comments that say so."""
    text = readme.read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    lines = "".join(f"- {what}: **{value:.1f} times**\n" for what, value in ratios.items())
    readme.write_text(f"{before}{begin}{lines}{end}{after}")


def write(
    folder: Path,
    command: str,
    *,
    rounds: int,
    seconds: float,
    ratios: Mapping[str, float],
    tables: Sequence[Table],
) -> None:
    """Write RESULTS.md."""
    ours = "".join(f"- {what}: **{value:.1f} times**\n" for what, value in ratios.items())
    head = (
        f"# Results\n\nWritten by `{command}` on {datetime.now(UTC):%Y-%m-%d} in "
        f"{seconds / 60:.0f} minutes; nothing but [what limits](limits.md) is written by hand.\n\n"
        f"- Machine: {machine()}\n- {versions()}\n"
        f"- Median of {rounds} rounds, and the least and the most; the programs take turns.\n"
        "- A program has a figure only if the vendor's journal has every call once.\n"
        "- The peers are in [peers/](peers/), each with its versions in its head and an "
        "environment of its own.\n\n"
    )
    limits = (folder / "limits.md").read_text()
    body = "\n".join(table.text for table in tables)
    (folder / "RESULTS.md").write_text(
        f"{head}{ours}\n![Calls a second](chart.svg)\n\n{body}\n{limits}"
    )
