"""The test bench: plugins as real processes, and a verdict from what the vendor saw.

A test of a tap or a target has five parts, and each is here:

- `Plugin`: a command with its settings in a folder; it starts as a process with a pid, pipes and
  signals of its own, as often as the test likes. With a `ForkServer` a start takes milliseconds.
- `messages`: the Singer messages of its input and its output.
- `Run`: one process: what it said and when, how it ended, and `kill -9`.
- `judge`: from the vendor's journal, where each call is: what is lost, what is doubled.
- `Planted`: values that no output may show.

    with Sandbox() as sandbox, ForkServer("target-impact-calls") as programs:
        planted = Planted(numbers=["415555"], secrets=["sandbox-impact-password"])
        with Plugin("target-impact-calls", tmp_path, {...}, programs, planted) as target:
            run = target.start().feed([schema("calls"), record("calls", {...}), state({"n": 1})])
            wait_until(lambda: sandbox.books("impact"), "the call is delivered")
            run.kill()
            target.run([...])
            assert not judge({"call-1"}, sandbox.journal("impact")).lost

It needs nothing but the standard library and a POSIX system, and no test framework.
"""

from __future__ import annotations

from call_sandbox.testing.forking import ForkServer
from call_sandbox.testing.messages import Output, lines, record, schema, state
from call_sandbox.testing.planted import Planted
from call_sandbox.testing.plugin import Plugin
from call_sandbox.testing.run import Launcher, Run, installed, wait_until
from call_sandbox.testing.verdict import Verdict, judge

__all__ = [
    "ForkServer",
    "Launcher",
    "Output",
    "Planted",
    "Plugin",
    "Run",
    "Verdict",
    "installed",
    "judge",
    "lines",
    "record",
    "schema",
    "state",
    "wait_until",
]
