"""Runs the real tap and kills it (SIGKILL) at a precise moment of a recording.

    dying_tap.py <moment> <n> <arguments of the tap>

The moment is a row of MOMENTS, `n` says at which of them.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count

from singer_calls.extract.writer import CallWriter
from singer_calls.recordings.store import Store
from tap_iovox.tap import TapIovox

MOMENTS = {
    "before put": (Store, "put", "before", None),
    "after put": (Store, "put", "after", None),
    "before RECORD": (CallWriter, "write_message", "before", "RECORD"),
    "after STATE": (CallWriter, "write_message", "after", "STATE"),
}

moment, nth = sys.argv[1], int(sys.argv[2])
place, name, when, kind = MOMENTS[moment]
real, times = getattr(place, name), count(1)


def dying(self, *arguments):
    """Die at the n-th time."""
    counts = kind is None or arguments[0].type == kind
    last = counts and next(times) == nth
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(self, *arguments)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


setattr(place, name, dying)
sys.argv[1:3] = []
TapIovox.cli()
