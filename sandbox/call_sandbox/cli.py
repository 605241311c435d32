"""The command `call-sandbox`: `serve` the vendors on a port, or `wait` until one is served."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep, time
from urllib.error import URLError
from urllib.request import urlopen

from call_sandbox.app import new_state
from call_sandbox.sandbox import start

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code (1: one sentence on stderr says why)."""
    asked = _parser().parse_args(arguments)
    try:
        return _wait(asked) if asked.command == "wait" else asyncio.run(_serve(asked))
    except OSError as error:
        sys.stderr.write(f"call-sandbox: {_sentence(error, asked.host, asked.port)}\n")
        return 1


def moment(text: str) -> int:
    """A time for `--now`, epoch seconds: ISO-8601 (bare: UTC), `now`, or `2h-ago`.

    Raises:
        argparse.ArgumentTypeError: It is none of these.
    """
    if text == "now":
        return int(time())
    if back := re.fullmatch(r"(\d+)([smhd])-ago", text):
        return int(time()) - int(back[1]) * UNITS[back[2]]
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2026-01-31T12:00:00Z, now, or 2h-ago"
        ) from None
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp())


def _sentence(error: OSError, host: str, port: int) -> str:
    """What went wrong, and what to do."""
    if error.filename:
        return f"{error.filename} cannot be written ({error.strerror}): name another file."
    if error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is taken: stop what uses it, or choose another with --port."
    return f"{host}:{port} cannot be used ({error}): choose another with --host and --port."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="call-sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve all vendors until SIGTERM or Ctrl-C")
    wait = commands.add_parser("wait", help="return when a sandbox answers on a port")
    for command in (serve, wait):
        command.add_argument("--host", default="127.0.0.1")
        command.add_argument("--port", type=int, default=8484, help="0 takes any free one")
    wait.add_argument("--timeout", type=float, default=30, help="seconds")
    serve.add_argument("--seed", type=int, default=1, help="equal seeds give equal calls")
    serve.add_argument("--calls", type=int, default=1000, help="calls that exist at the start")
    serve.add_argument("--days", type=int, default=60, help="the span in which they lie")
    serve.add_argument(
        "--now", type=moment, default="now",
        help="the sandbox's time: ISO-8601, now, or e.g. 2h-ago; it moves by POST /_clock only",
    )  # fmt: skip
    serve.add_argument("--journal", type=Path, help="file that gets each request as a JSON line")
    serve.add_argument(
        "--recordings", type=Path, help="folder whose files are served below /recordings/"
    )
    serve.add_argument("--port-file", type=Path, help="file that gets the port once it is open")
    return parser


async def _serve(asked: argparse.Namespace) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as files:
        journal = asked.journal and files.enter_context(asked.journal.open("a", encoding="utf-8"))
        state = new_state(
            seed=asked.seed, calls=asked.calls, now=asked.now, days=asked.days, journal=journal
        )
        runner, port = await start(state, asked.host, asked.port, asked.recordings)
        try:
            if asked.port_file:
                asked.port_file.write_text(f"{port}\n", encoding="utf-8")
            sys.stdout.write(f"call-sandbox serves on http://{asked.host}:{port}\n")
            sys.stdout.flush()
            await stop.wait()
        finally:
            await runner.cleanup()
    return 0


def _wait(asked: argparse.Namespace) -> int:
    address = f"http://{asked.host}:{asked.port}/_ready"
    deadline = monotonic() + asked.timeout
    while monotonic() < deadline:
        with contextlib.suppress(URLError, OSError), urlopen(address, timeout=1):
            return 0
        sleep(0.05)
    sys.stderr.write(
        f"call-sandbox does not answer on {asked.host}:{asked.port}"
        f" after {asked.timeout:g} seconds: start it with `call-sandbox serve`.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
