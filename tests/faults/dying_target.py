"""Runs the real target and kills it (SIGKILL) at a precise moment.

    dying_target.py <moment> <n> <arguments of the target>

The moment is a row of MOMENTS, `n` says at which of them, counted in calls.
"""

from __future__ import annotations

import os
import signal
import sys

from singer_calls.deliver.ledger import Claim, Note
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.transport import Transport
from target_impact_calls.target import TargetImpactCalls

MOMENTS = {
    "before the claim is written": (Claim, "before"),
    "after the claim, before the send": (Claim, "after"),
    "after the answer": (None, "after"),
    "before the outcome is written": (Note, "before"),
    "after the outcome, before STATE": (Note, "after"),
}

moment, nth = sys.argv[1], int(sys.argv[2])
kind, when = MOMENTS[moment]
seen = 0


def count(calls):
    """Die when the n-th call has come to this moment."""
    global seen  # noqa: PLW0603
    seen += calls
    if seen >= nth:
        os.kill(os.getpid(), signal.SIGKILL)


apply, post = SqlLedger.apply, Transport.post


def dying_apply(self, requests):
    calls = sum(isinstance(request, kind) for request in requests)
    if when == "before":
        count(calls)
    results = apply(self, requests)
    if when == "after":
        count(calls)
    return results


async def dying_post(self, *arguments):
    answer = await post(self, *arguments)
    count(1)
    return answer


if kind is None:
    Transport.post = dying_post
else:
    SqlLedger.apply = dying_apply

sys.argv[1:3] = []
TargetImpactCalls.cli()
