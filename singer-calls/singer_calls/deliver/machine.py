"""Which process a run is, and whether a process of this machine is gone for certain."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_AFTER_NAME = 2  # of /proc/<pid>/stat: "(name) " may hold spaces, the state comes after it
_STARTED = 21  # field 22 of it, clock ticks since boot (man 5 proc)
_DEAD = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from all others of all machines.

    Attributes:
        host: Boot id and PID namespace: where ``pid`` means something.
        pid: Its number there.
        started: When it started, clock ticks since boot: numbers are used again.
    """

    host: str
    pid: int
    started: int


class Machine:
    """This machine, as far as Linux tells; elsewhere nothing is certain."""

    def process(self) -> Process | None:
        """This process; None where nobody says."""
        try:
            boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
            namespace = str((_PROC / "self/ns/pid").readlink())
        except OSError:
            return None
        _, started = _stat(os.getpid())
        return Process(f"{boot} {namespace}", os.getpid(), started) if started else None

    def is_gone(self, process: Process) -> bool:
        """True when that process was one of this machine and has ended; it can't come back."""
        me = self.process()
        if me is None or me.host != process.host:
            return False
        state, started = _stat(process.pid)
        return state in _DEAD or started != process.started


def _stat(pid: int) -> tuple[str, int]:
    """State and start of a process; ``("X", 0)`` when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    fields = text[text.rindex(")") + _AFTER_NAME :].split()
    return fields[0], int(fields[_STARTED - _AFTER_NAME])
