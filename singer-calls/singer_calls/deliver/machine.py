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
        found = _stat(os.getpid())
        return Process(f"{boot} {namespace}", os.getpid(), found[1]) if found else None

    def is_gone(self, process: Process) -> bool:
        """True when that process was one of this machine and has ended; it can't come back."""
        me = self.process()
        if me is None or me.host != process.host:
            return False
        found = _stat(process.pid)
        if found is None:
            return not _exists(process.pid)
        state, started = found
        return state in _DEAD or started != process.started


def _exists(pid: int) -> bool:
    """Whether there is such a process, also of another user (mount option hidepid, man 5 proc)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is not ours
        return True
    return True


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start of a process; None where it is not to be seen."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + _AFTER_NAME :].split()
    return fields[0], int(fields[_STARTED - _AFTER_NAME])
