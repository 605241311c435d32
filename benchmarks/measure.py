"""Runs programs and takes their time; the vendor's journal says whether they did their work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import IO, TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        seconds: From its start to its end.
        processor: Seconds of all its threads and children, user and system.
        peak: Memory at most, MB.
    """

    seconds: float
    processor: float
    peak: int


@dataclass
class Figure:
    """One number, measured several times.

    Attributes:
        values: Of each round.
        missing: Why there is none.
    """

    values: list[float] = field(default_factory=list)
    missing: str = ""

    @property
    def median(self) -> float:
        """The middle one; 0.0 where there is none."""
        known = self.values and not self.missing and min(self.values) > 0
        return median(self.values) if known else 0.0

    def ratio(self, other: Figure) -> float:
        """How many times another figure it is; 0.0 where one is missing."""
        return self.median / other.median if other.median else 0.0

    def times(self, other: Figure, form: str = ".2f") -> str:
        """The same as text; empty where one is missing."""
        return format(self.ratio(other), form) if self.ratio(other) else ""

    def text(self, digits: int = 0) -> str:
        """Median, least and most."""
        if self.missing or not self.values:
            return self.missing or "none"
        if min(self.values) <= 0:
            return "less than its start varies"
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


class FailedError(Exception):
    """A program has no figure; says why."""


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    environ: Mapping[str, str] | None = None,
) -> Cost:
    """Run a program to its end.

    Raises:
        FailedError: It did not end well.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, stdin=stdin, stdout=stdout, stderr=errors,
            env={**os.environ, **(environ or {})},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            told = errors.read().decode(errors="replace").strip().splitlines()[-5:]
            print(*told, sep="\n", file=sys.stderr)
            raise FailedError(f"ended with {process.returncode}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


@cache
def script(name: str) -> list[str | Path]:
    """The command of a script with dependencies of its own, in its own environment."""
    file = HERE / name
    uv = BIN / "uv"
    subprocess.run([uv, "sync", "--quiet", "--script", file], check=True)
    found = subprocess.run(
        [uv, "python", "find", "--script", file], check=True, capture_output=True, text=True
    )
    return [found.stdout.strip(), file]


class Vendor:
    """The vendor of vendor.py, running.

    Attributes:
        url: Its address.
        tls_url: Its address with TLS.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.tls_url = f"https://127.0.0.1:{ports[1]}"

    def reset(self, **journal: float) -> None:
        """Forget all calls; ``latency`` in seconds, ``retry``: each n-th call is told to wait."""
        self._ask("/reset", json.dumps(journal).encode())

    def replay(self, url: str) -> None:
        """Answer each GET as this address does, which is asked once."""
        self._ask("/upstream", json.dumps({"url": url}).encode())

    def count(self) -> int:
        """How many calls arrived."""
        return int(json.loads(self._ask("/journal"))["calls"])

    def check(self, calls: int) -> None:
        """Each of so many calls arrived, once.

        Raises:
            FailedError: Otherwise.
        """
        told = json.loads(self._ask("/journal"))
        if (told["calls"], told["most"]) != (calls, min(calls, 1)):
            raise FailedError(f"{calls - told['calls']} calls lost, one sent {told['most']} times")

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urlopen(Request(self.url + path, data=body), timeout=30) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found


@contextmanager
def vendor(certificate: Path, key: Path) -> Iterator[Vendor]:
    """Start the vendor in a process of its own."""
    process = subprocess.Popen(
        [*script("vendor.py"), "--tls", certificate, key], stdout=subprocess.PIPE, text=True
    )
    try:
        said = process.stdout.readline() if process.stdout else ""
        yield Vendor([int(port) for port in said.split()])
    finally:
        process.terminate()
        process.wait()


def lines(messages: Iterable[Mapping[str, Any]], file: Path) -> Path:
    """Write Singer messages to a file."""
    with file.open("w") as out:
        out.writelines(f"{json.dumps(message)}\n" for message in messages)
    return file
