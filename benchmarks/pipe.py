"""A whole pipeline: a tap and a target, joined by the shell or by Meltano."""

from __future__ import annotations

import json
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import extraction
from delivery import OURS
from measure import BIN, Cost, FailedError, Figure, run
from report import Table

if TYPE_CHECKING:
    from delivery import Desk

# Some calls of the sandbox can't be sent; here it counts that they are the same ones.
_TARGET = replace(OURS, settings={"default_country": "RO", "max_rejected_percent": 100})


def compare(desk: Desk, calls: int) -> Table:
    """INVOX to impact.com, through ``tap | target`` and ``meltano run``."""
    found = {"a pipe of the shell": (Figure(), Figure()), "meltano run": (Figure(), Figure())}
    with extraction.answering(desk.vendor, calls):
        arrived = 0
        for number in range(desk.rounds + 1):  # the first fills the vendor
            for name, (seconds, processor) in found.items():
                try:
                    cost = _run(desk, with_meltano=name == "meltano run")
                    arrived = arrived or desk.vendor.count()
                    desk.vendor.check(arrived)
                except FailedError as error:
                    seconds.missing = processor.missing = str(error)
                    continue
                if number:
                    seconds.values.append(cost.seconds)
                    processor.values.append(cost.processor)
    rows = [[name, one.text(1), processor.text(1)] for name, (one, processor) in found.items()]
    note = (
        f"{calls:,} calls of INVOX read, {arrived:,} of them accepted by a vendor of 0 ms, 16 in "
        "flight, as shipped; start-up included. No goal: Meltano starts, compiles its project and "
        "keeps a journal of its runs."
    )
    return Table("A whole pipeline", note, ["", "seconds", "processor, s"], rows)


def _run(desk: Desk, *, with_meltano: bool) -> Cost:
    desk.vendor.reset()
    source = extraction.sources(desk.vendor.url)[0]
    with tempfile.TemporaryDirectory(dir=desk.folder) as name:
        folder = Path(name)
        target = list(map(str, desk.command(_TARGET, folder, 16)))
        tap = folder / "tap.json"
        tap.write_text(json.dumps(source.ours))
        command: list[str | Path] = [
            "bash", "-o", "pipefail", "-c",
            f"{shlex.quote(str(BIN / source.tap))} --config tap.json | {shlex.join(target)}",
        ]  # fmt: skip
        if with_meltano:
            settings = json.loads((folder / "config.json").read_text())
            (folder / "meltano.yml").write_text(json.dumps(_project(source.ours, settings)))
            command = [BIN / "meltano", "run", source.tap, "target-impact-calls"]
        return run(command, folder=folder)


def _project(tap: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """A project whose plugins are installed already."""

    def plugin(name: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
        settings = [
            {"name": key, **({"kind": "object"} if isinstance(value, dict) else {})}
            for key, value in config.items()
        ]
        return {
            "name": name,
            "namespace": name.replace("-", "_"),
            "executable": str(BIN / name),
            "settings": settings,
            "config": config,
            **more,
        }

    return {
        "project_id": "benchmark",
        "default_environment": "benchmark",
        "environments": [{"name": "benchmark"}],
        "send_anonymous_usage_stats": False,
        "plugins": {
            "extractors": [plugin("tap-invox", tap, capabilities=["catalog", "discover", "state"])],
            "loaders": [plugin("target-impact-calls", target)],
        },
    }
