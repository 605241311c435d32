"""Plugins forked from a process that has imported them: a start costs milliseconds.

What is forked is a process like any other: a pid, pipes, signals, `kill -9`, threads that are
waited for at its end, and `atexit`. It differs from the installed command in this only: modules are
imported already, so whatever the environment says to a module while it is imported, or to the
interpreter, is unheard, but that coverage is to measure a subprocess; and a program that returns or
exits leaves its memory to the system, where an interpreter takes each module apart and so copies
all that the fork shares, for several times what the fork itself costs.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_REQUEST_BYTES = 1 << 20  # of one request at most: a command line and an environment
_SERVER = "from call_sandbox.testing.forking import serve; serve()()"


class ForkServer:
    """Starts plugins by forking; a `Launcher`, and a context manager.

    The server is a child of this process, in a session of its own (a Ctrl-C stays here). It ends,
    and kills what it has started, when the block ends or this process dies, in whatever way.

    Args:
        programs: Console scripts, by name, that are imported beforehand.
        packages: Likewise with all that is in them: what programs import late, only when needed.
    """

    def __init__(self, *programs: str, packages: Sequence[str] = ()) -> None:
        self._programs = programs
        self._packages = packages

    def __enter__(self) -> Self:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._control, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
        with theirs:
            self._server = subprocess.Popen(  # noqa: S603 - this module
                [
                    *(sys.executable, "-P", "-c", _SERVER, str(theirs.fileno())),
                    *(",".join(self._packages), *self._programs),
                ],
                pass_fds=[theirs.fileno()],
                # Like those of a plugin: what is learned of them at the start stays true.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._server.communicate()

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> Forked:
        """Fork a program.

        Raises:
            ConnectionResetError: The server is gone.
        """
        reports, report = os.pipe()
        asked = json.dumps([[*command], str(cwd), {**env}]).encode(errors="surrogateescape")
        pid = b""
        with suppress(BrokenPipeError):
            socket.send_fds(self._control, [asked], [stdin, stdout, stderr, report])
            pid = self._control.recv(32)
        os.close(report)
        if not pid:
            os.close(reports)
            raise ConnectionResetError("the server of forks has ended: its standard error says why")
        return Forked(int(pid), reports)


class Forked:
    """A forked program, with the part of `subprocess.Popen` that a test needs."""

    def __init__(self, pid: int, reports: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._reports = reports

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code when it has ended, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: It runs on.
            ChildProcessError: The server has ended before it.
        """
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._reports, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired([f"process {self.pid}"], timeout or 0)
            code = os.read(self._reports, 32)
            os.close(self._reports)
            if not code:
                raise ChildProcessError("the server of forks has ended before what it had started")
            self.returncode = int(code)
        return self.returncode

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, when it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)


def serve() -> Callable[[], Any]:
    """The server: fork at each request, tell of each end; leave when nobody asks any more.

    Returns:
        What the process is to do now: in each fork the program that was asked for; in the server
        nothing.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    programs = {name: _script(name) for name in sys.argv[3:]}
    _import(programs.values(), filter(None, sys.argv[2].split(",")))
    gc.collect()
    gc.freeze()
    children: dict[int, int] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(children)
            continue
        asked, fds, _, _ = socket.recv_fds(control, _REQUEST_BYTES, 4)
        if not asked:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            return lambda: 0
        *streams, report = fds
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            for end in (woken, wake, report, *children.values()):
                os.close(end)
            return _become(programs, json.loads(asked), streams)
        children[pid] = report
        for end in streams:
            os.close(end)
        control.send(str(pid).encode())


def _import(programs: Iterable[EntryPoint], packages: Iterable[str]) -> None:
    for program in programs:
        # Its module, not the command in it: the SDK sets up logging when that is looked up.
        import_module(program.module)
    for name in packages:
        package = import_module(name)
        for module in walk_packages(getattr(package, "__path__", ()), f"{name}."):
            import_module(module.name)


def _script(name: str) -> EntryPoint:
    (script,) = entry_points(group="console_scripts", name=name)
    return script


def _reap(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        report = children.pop(pid)
        os.write(report, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(report)


def _become(
    programs: Mapping[str, EntryPoint],
    asked: tuple[list[str], str, dict[str, str]],
    streams: list[int],
) -> Callable[[], Any]:
    """Make this process one that was started so; returns the program."""
    command, cwd, env = asked
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    if {"COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"} & env.keys():
        with suppress(ImportError):
            import_module("coverage").process_startup()
    name = command[0]
    if name.endswith(".py"):
        sys.argv = command
        return partial(_end, lambda: runpy.run_path(name, run_name="__main__") and None)
    sys.argv = [str(Path(sysconfig.get_path("scripts")) / name), *command[1:]]
    return partial(_end, (programs.get(name) or _script(name)).load())


def _end(program: Callable[[], Any]) -> None:
    """Run the program and end the process with its code; what it raises ends the interpreter."""
    try:
        sys.exit(program())
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        # What Py_FinalizeEx begins with.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except (OSError, ValueError):
            raise end from None  # the interpreter has words and a code for it
        os._exit((end.code or 0) & 0xFF)
