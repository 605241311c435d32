"""A plugin under test: a command, its settings, a folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Self

from call_sandbox.testing.planted import Planted
from call_sandbox.testing.run import Launcher, Run, installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Plugin:
    """A tap or a target that is run again and again in one folder, as on its user's machine.

    As a context manager it ends what still runs, and fails when an output showed what is planted.

    Attributes:
        command: The console script, or the path of a Python file.
        folder: Where it runs, and where its settings are written.
        settings: For each run, unless the run says otherwise.
        runs: All runs so far.
    """

    def __init__(
        self,
        command: str,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        launch: Launcher = installed,
        planted: Planted | None = None,
    ) -> None:
        self.command = command
        self.folder = folder
        self.settings: dict[str, Any] = {**(settings or {})}
        self.runs: list[Run] = []
        self._launch = launch
        self._planted = planted or Planted()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None:
            self.check_outputs()

    def file(self, name: str, content: object) -> Path:
        """A file in the folder: text as it is, anything else as JSON."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def start(
        self,
        *arguments: str,
        command: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
        eager: bool = True,
        launch: Launcher | None = None,
        **changes: Any,  # noqa: ANN401
    ) -> Run:
        """Start it.

        Args:
            arguments: Of its command line, after `--config`.
            command: In place of the plugin's own command, such as a program that wraps it.
            environment: Variables on top of this process's own, without its proxies.
            stdout: A file descriptor in place of the pipe that is read here.
            eager: Read its output as it comes, and not by `Run.hear` alone.
            launch: In place of the plugin's own launcher.
            changes: Settings of this run; `...` leaves one out.
        """
        settings = {
            name: value for name, value in {**self.settings, **changes}.items() if value is not ...
        }
        config = self.file(f"config-{len(self.runs)}.json", settings)
        inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        run = Run(
            launch or self._launch,
            [*(command or [self.command]), f"--config={config}", *arguments],
            cwd=self.folder,
            env={**inherited, **(environment or {})},
            stdout=stdout,
            eager=eager,
        )
        self.runs.append(run)
        return run

    def run(
        self,
        messages: Iterable[Mapping[str, Any] | bytes] = (),
        *arguments: str,
        **options: Any,  # noqa: ANN401 - those of `start`
    ) -> Run:
        """Run it on this input to its end."""
        run = self.start(*arguments, **options).feed(messages).end_input()
        run.wait()
        return run

    def close(self) -> None:
        """End whatever still runs."""
        for run in self.runs:
            run.close()

    def check_outputs(self) -> None:
        """What is planted may be in a tap's records, and in nothing else that a run wrote.

        Raises:
            AssertionError: It is; the lines are told.
        """
        outputs = [line for run in self.runs for line in run.said]
        outputs += [
            line.decode(errors="replace")
            for run in self.runs
            for _, line in run.heard
            if b'"type":"RECORD"' not in line.replace(b" ", b"")[:200]
        ]
        shown = self._planted.shown_in(outputs)
        if shown:
            raise AssertionError(f"an output shows what it may not: {shown}")
