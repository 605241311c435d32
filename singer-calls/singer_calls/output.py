"""Standard output and error, when whoever reads them does so no more."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO


def write_at_once(text: str) -> None:
    """Write to standard output, past its buffer.

    A thread that waits for a reader in the buffer holds its lock, for which an interpreter that
    ends waits a second, and aborts.

    Raises:
        OSError: The reader is gone, or the disk is full.
        ValueError: The stream was closed.
    """
    try:
        file = sys.stdout.fileno()
    except OSError:  # a stream in memory
        sys.stdout.write(text)
        return
    rest = text.encode()
    while rest:
        rest = rest[os.write(file, rest) :]


def let_go(stream: TextIO | None) -> None:
    """What a stream still holds goes nowhere, if nobody takes it now; None is a closed one.

    Else the interpreter would try again on its way out: it would wait, or change the exit code to
    120.
    """
    if stream is None:
        return
    with suppress(ValueError):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nothing:  # noqa: PTH123
                os.dup2(nothing.fileno(), stream.fileno())
