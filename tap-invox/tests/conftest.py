"""tap-invox as its users run it: a process, with files, against the sandbox."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOX_API_KEY
from call_sandbox.testing import Output as Messages
from call_sandbox.testing import Plugin, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from call_sandbox.testing import Launcher

CALLS = 600
DAYS = 60


class Output(Messages):
    """What a run wrote."""

    def __init__(self, code: int, out: bytes, err: str, errors: list[str]) -> None:
        super().__init__(out)
        self.code = code
        self.out = out
        self.err = err
        self.errors = errors

    @property
    def ids(self) -> list[int]:
        return [record["call_id"] for record in self.records()]

    @property
    def bookmarks(self) -> list[Any]:
        marks = [state["bookmarks"]["calls"] for state in self.states]
        return [mark["replication_key_value"] for mark in marks if mark]


class Invox(Plugin):
    """Runs the tap against one sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path, launch: Launcher) -> None:
        settings = {"api_key": INVOX_API_KEY, "api_url": f"{sandbox.url}/invox"}
        super().__init__("tap-invox", folder, settings, launch)
        self.sandbox = sandbox

    def start(self, state: object = None, *more: str, **options: Any) -> Run:
        """Begin a run; its settings are those of the sandbox, then the given ones."""
        if state is not None:
            more = (f"--state={self.file('state.json', state)}", *more)
        return super().start(*more, **options)

    def run(self, state: object = None, *more: str, **options: Any) -> Output:
        """A run to its end."""
        return self.end(self.start(state, *more, **options))

    def end(self, run: Run) -> Output:
        """Wait for the end of a run."""
        code = run.wait()
        return Output(code, run.out, run.errors, run.sentences)

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
def invox_at(tmp_path: Path, launch: Launcher) -> Iterator[Callable[[Sandbox], Invox]]:
    """The tap, to be run against a sandbox."""
    with ExitStack() as stack:
        yield lambda sandbox: stack.enter_context(Invox(sandbox, tmp_path, launch))


@pytest.fixture
def invox(sandbox: Sandbox, invox_at: Callable[[Sandbox], Invox]) -> Invox:
    """The tap, to be run against the sandbox that all tests share."""
    return invox_at(sandbox)
