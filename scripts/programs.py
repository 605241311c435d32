"""Programs that others start, watch and kill: the parts of a machine (machines.py)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_SECONDS = 300.0

T = TypeVar("T")


def wait_for(what: str, found: Callable[[], T | None], timeout: float = TIMEOUT_SECONDS) -> T:
    """Look twice a second until there is something to see.

    Raises:
        TimeoutError: There is not.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if seen := found():
            return seen
        time.sleep(0.5)
    raise TimeoutError(f"{what}: not within {timeout:.0f} s")


def descendants(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def command_of(pid: int) -> str:
    """The command line of a process, empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


class Program:
    """A program with its output in a file, started again when it ends: systemd's Restart=always.

    Args:
        log: The file.
        line: Its command line.
        env: All of its environment.
        cwd: Its folder.
    """

    def __init__(self, log: Path, line: list[str], env: Mapping[str, str], cwd: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log, self._line, self._env, self._cwd = log, line, dict(env), cwd
        self._over = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen(
                self._line,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def _keep(self) -> None:
        while not self._over.wait(1):
            if self._process.poll() is not None:
                self._process = self._start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """End it and all that it started, at once and for good: a machine without current."""
        self._over.set()
        self._keeper.join()
        for pid in descendants(self.pid) if self._process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, timeout: float = 15.0) -> None:
        """Ask it to end; what is left after a while is killed."""
        self._over.set()
        self._keeper.join()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
            return
        self.kill()
