"""One process of a plugin: what it is told, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, TypeVar

from call_sandbox.testing.messages import Output, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")
TIMEOUT_SECONDS = 120.0
"""Seconds until what does not come is a failed test."""


def wait_until(condition: Callable[[], T], what: str, seconds: float = TIMEOUT_SECONDS) -> T:
    """Look until the condition holds, and give what it gave.

    Raises:
        TimeoutError: It did not come to hold.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.005)
    return value


class Process(Protocol):
    """What is asked of a process; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The same at its end; `subprocess.TimeoutExpired` when that does not come."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, when it still runs."""


class Launcher(Protocol):
    """Starts a program: a console script by its name, or a Python file by its path."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> Process:
        """The new process, with these file descriptors."""


def installed(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
) -> Process:
    """Start a program as its user does: the installed console script."""
    scripts = Path(sysconfig.get_path("scripts"))
    program = [str(scripts / command[0])]
    if command[0].endswith(".py"):
        program = [str(scripts / "python"), command[0]]
    return subprocess.Popen(  # noqa: S603 - the caller's own plugin
        [*program, *command[1:]], cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr
    )


class Run:
    """A process that runs; its outputs are read meanwhile, with their times.

    Attributes:
        process: To ask whether it still runs.
        heard: (`time.monotonic()`, line) of standard output, as they came.
        said: The lines of standard error.
    """

    def __init__(
        self,
        launch: Launcher,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int | None = None,
        eager: bool = True,
    ) -> None:
        """Start it.

        Args:
            launch: How.
            command: The program and its arguments.
            cwd: Its folder.
            env: Its whole environment.
            stdout: A file descriptor to write to; None reads it here.
            eager: Read its output as it comes. Otherwise only `hear` reads, until `wait`: a plugin
                that is ahead waits, as it does for a slow target.
        """
        self._output: IO[bytes] | None = None
        self._listens = False
        self.heard: list[tuple[float, bytes]] = []
        self.said: list[str] = []
        self._threads: list[threading.Thread] = []
        self._input, taken = _to_write()
        self._errors, told = _to_read()
        theirs = [taken, told]
        if stdout is None:
            self._output, stdout = _to_read()
            theirs.append(stdout)
            if eager:
                self._listen()
        self._aside(self._read_errors)
        try:
            self.process = launch(
                command, cwd=cwd, env=env, stdin=taken, stdout=stdout, stderr=told
            )
        except BaseException:
            self.end_input()
            raise
        finally:
            for end in theirs:
                os.close(end)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    # What it says

    @property
    def out(self) -> bytes:
        """Standard output so far."""
        return b"".join(line for _, line in self.heard)

    @property
    def output(self) -> Output:
        """Standard output so far, as messages of a tap."""
        return Output(self.out)

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return "".join(self.said)

    @property
    def sentences(self) -> list[str]:
        """What was logged at level ERROR, without time and name (`... | ERROR | ... | text`)."""
        return [line.split("| ")[-1].strip() for line in self.said if "| ERROR" in line]

    @property
    def states(self) -> list[tuple[float, Any]]:
        """(`time.monotonic()`, STATE) of a target, as they came; a line cut by a kill is none."""
        return [
            (at, json.loads(line))
            for at, line in self.heard
            if line.startswith(b"{") and line.endswith(b"}\n")
        ]

    def hear(self) -> bytes:
        """The next line of standard output, once it is there; nothing when there is no more."""
        if self._output is None or self._output.closed:
            return b""
        if line := self._output.readline():
            self.heard.append((time.monotonic(), line))
        return line

    def deafen(self) -> Self:
        """Close standard output: whoever writes to it learns that nobody reads any more."""
        if self._output is not None:
            self._output.close()
        return self

    # What it is told

    def feed(self, messages: Iterable[Mapping[str, Any] | bytes]) -> Self:
        """Hand it input; a target that reads no more is no fault of its feeder."""
        with suppress(BrokenPipeError, ConnectionResetError, ValueError):
            for line in lines(messages):
                self._input.write(line)
            self._input.flush()
        return self

    def feed_aside(self, messages: Iterable[Mapping[str, Any] | bytes]) -> Self:
        """The same while the caller goes on; then the end of the input."""
        self._aside(lambda: self.feed(messages).end_input())
        return self

    def end_input(self) -> Self:
        """Close its standard input."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._input.close()
        return self

    def send(self, number: int) -> Self:
        """Send it a signal, when it still runs."""
        self.process.send_signal(number)
        return self

    def kill(self) -> Self:
        """SIGKILL: it does nothing more."""
        return self.send(signal.SIGKILL)

    # How it ends

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> int:
        """Its exit code, once all of its output is read; negative for the signal that killed it.

        Raises:
            TimeoutError: It did not end; it was killed then, and its standard error is told.
        """
        self._listen()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise TimeoutError(f"still running after {seconds} s:\n{self.errors}") from None
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
        return code

    @property
    def code(self) -> int:
        """The exit code of a process that comes to its end."""
        return self.wait()

    def close(self) -> None:
        """End it, however it is."""
        self._listen()
        self.kill().process.wait(TIMEOUT_SECONDS)
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
        self.end_input()

    def _aside(self, work: Callable[[], object]) -> None:
        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()

    def _listen(self) -> None:
        if self._output is not None and not self._listens:
            self._listens = True
            self._aside(self._read_output)

    def _read_output(self) -> None:
        while self.hear():
            pass
        self.deafen()

    def _read_errors(self) -> None:
        with self._errors:
            for line in self._errors:
                self.said.append(line.decode(errors="replace"))


def _to_read() -> tuple[IO[bytes], int]:
    """A pipe: our file, and the descriptor of who writes."""
    read, write = os.pipe()
    return os.fdopen(read, "rb"), write


def _to_write() -> tuple[IO[bytes], int]:
    """A pipe: our file, and the descriptor of who reads."""
    read, write = os.pipe()
    return os.fdopen(write, "wb"), read
