"""The tap against the sandbox's iovox, over real sockets."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME
from call_sandbox.testing import Output as Messages
from tap_iovox.tap import TapIovox


class Output(Messages):
    """What one run of the tap wrote."""

    @property
    def kinds(self):
        """(type, stream) of each message."""
        return [(message["type"], message.get("stream")) for message in self.messages]

    @property
    def by_stream(self):
        """Stream -> its records, of the streams that have some."""
        found = {}
        for message in self.messages:
            if message["type"] == "RECORD":
                found.setdefault(message["stream"], []).append(message["record"])
        return found

    @property
    def calls(self):
        return self.records("calls")

    @property
    def ids(self):
        return [call["id"] for call in self.calls]


class Bench:
    """The tap and a sandbox side by side."""

    def __init__(self, sandbox):
        self.sandbox = sandbox

    def settings(self, **config):
        """All of the sandbox's past in one window, unless told otherwise; None leaves one out."""
        config = {
            "username": IOVOX_USERNAME,
            "secure_key": IOVOX_SECURE_KEY,
            "api_url": f"{self.sandbox.url}/iovox",
            "start_date": "2025-08-01T00:00:00Z",
            "end_date": "2025-11-04T00:00:00Z",
            "window_days": 365,
            **config,
        }
        return {name: value for name, value in config.items() if value is not None}

    def catalog(self, selected):
        """A catalog with these streams: stream -> its fields, or None for all of them."""
        made = TapIovox(config=self.settings()).catalog_dict
        for stream in made["streams"]:
            wanted = selected.get(stream["stream"], ())
            for entry in stream["metadata"]:
                path = entry["breadcrumb"]
                entry["metadata"]["selected"] = stream["stream"] in selected and (
                    wanted is None or not path or path[1] in wanted
                )
        return made

    def run(self, selected=None, state=None, catalog=None, **config):
        """Run the tap in this process."""
        tap = TapIovox(
            config=self.settings(**config),
            state=state,
            catalog=self.catalog(selected) if selected else catalog,
        )
        raw = io.BytesIO()
        with redirect_stdout(io.TextIOWrapper(raw, write_through=True)):
            tap.sync_all()
            text = raw.getvalue().decode()
        return Output(text)

    def asked(self):
        """The queries that iovox was sent, oldest first."""
        return [entry["query"] for entry in self.sandbox.journal("iovox")]


@pytest.fixture(scope="module")
def shared():
    with Sandbox(calls=600, seed=3) as sandbox:
        yield sandbox


@pytest.fixture
def bench(shared):
    """A sandbox whose journal is empty and whose switches are as at its start."""
    before = shared.state.switches()
    shared.reset()
    yield Bench(shared)
    for vendor, values in before.items():
        shared.switches(vendor, **values)


@pytest.fixture
def bench_of():
    """Makes a bench with a sandbox of its own, as a context manager."""

    class Own:
        def __init__(self, **arguments):
            self._sandbox = Sandbox(**arguments)

        def __enter__(self):
            return Bench(self._sandbox.__enter__())

        def __exit__(self, *error):
            self._sandbox.__exit__(*error)

    return Own
