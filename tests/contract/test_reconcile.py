"""The demo's verdict, before vendors to which nothing was sent."""

from __future__ import annotations

import re
import time

import reconcile

from call_sandbox import Sandbox


def test_a_call_that_its_mapping_leaves_to_a_later_run_is_not_lost(tmp_path, capsys):
    """Of iovox what ended in the last hour, and ten minutes for the runs; all else is missing."""
    with Sandbox(calls=3000, days=2, now=int(time.time())) as sandbox:
        assert not reconcile.compare(sandbox.url, tmp_path)
        invox, iovox = (
            [call for call in reconcile.at_sources(sandbox.url)[one.source] if one.final(call)]
            for one in reconcile.DELIVERIES[:2]
        )
        border = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(sandbox.now - 4200))
    young = sum(call["call_end"] > border for call in iovox)
    assert young > 0
    lost = re.search(r"impact: 0 calls, 0 rejected, (\d+) lost", capsys.readouterr().out)[1]
    assert int(lost) == len(invox) + len(iovox) - young
