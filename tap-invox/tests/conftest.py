"""tap-invox as its users run it: a process, with files, against the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOX_API_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = 600
DAYS = 60


@dataclass
class Output:
    """What a run wrote.

    A last line without an end was cut by a kill: nobody downstream can read it.
    """

    code: int
    out: bytes
    err: str
    messages: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        lines = self.out.split(b"\n")[:-1]
        self.messages = [json.loads(line) for line in lines]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [m["record"] for m in self.messages if m["type"] == "RECORD"]

    @property
    def ids(self) -> list[int]:
        return [record["call_id"] for record in self.records]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [m["value"] for m in self.messages if m["type"] == "STATE"]

    @property
    def bookmarks(self) -> list[Any]:
        marks = [state["bookmarks"]["calls"] for state in self.states]
        return [mark["replication_key_value"] for mark in marks if mark]

    @property
    def errors(self) -> list[str]:
        """The text of each log line of level ERROR."""
        return [line.split(" | ")[-1] for line in self.err.splitlines() if "| ERROR" in line]


class Invox:
    """Runs the tap against one sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder

    def start(
        self,
        state: object = None,
        *more: str,
        env: dict[str, str] | None = None,
        stdout: Any = subprocess.PIPE,
        **config: object,
    ) -> subprocess.Popen[bytes]:
        """Begin a run; its settings are those of the sandbox, then the given ones."""
        settings = {"api_key": INVOX_API_KEY, "api_url": f"{self.sandbox.url}/invox", **config}
        arguments = [f"--config={self.file('config.json', settings)}", *more]
        if state is not None:
            arguments.append(f"--state={self.file('state.json', state)}")
        with (self.folder / "err").open("wb") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "tap_invox", *arguments],
                stdout=stdout,
                stderr=err,
                env={**os.environ, **(env or {})},
            )

    def run(self, state: object = None, *more: str, **config: Any) -> Output:
        """A run to its end."""
        return self.end(self.start(state, *more, **config))

    def end(self, process: subprocess.Popen[bytes], out: bytes = b"") -> Output:
        """Wait for the end of a run."""
        with process:
            out += process.stdout.read()
        return Output(process.returncode, out, (self.folder / "err").read_text())

    def file(self, name: str, value: object) -> Path:
        path = self.folder / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def all_ids(self) -> set[int]:
        """What the vendor has: the ids in one answer with everything, asked for without the tap."""
        self.sandbox.reset()
        answer = requests.get(
            f"{self.sandbox.url}/invox/api/v2/calls",
            headers={"X-API-Key": INVOX_API_KEY},
            timeout=10,
        )
        self.sandbox.reset()
        return {call.get("call_id") or call["id"] for call in answer.json()}


@pytest.fixture(scope="session")
def _served() -> Iterator[Sandbox]:
    now = int(datetime.now(UTC).timestamp()) - 4 * 86400
    with Sandbox(calls=CALLS, seed=3, days=DAYS, now=now) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_served: Sandbox) -> Sandbox:
    """INVOX four days ago, without faults and with an empty journal."""
    _served.reset()
    return _served


@pytest.fixture
def invox(sandbox: Sandbox, tmp_path: Path) -> Invox:
    """The tap, to be run against the sandbox."""
    return Invox(sandbox, tmp_path)
