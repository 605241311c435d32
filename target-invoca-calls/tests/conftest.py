"""The target as its users run it: a process, a config file, Singer messages on its input."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOCA_TOKEN
from call_sandbox.vendors.invoca_ingestion import InvocaIngestion

COMMAND = Path(sys.executable).with_name("target-invoca-calls")
SETTINGS = {
    "oauth_token": INVOCA_TOKEN,
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "call_prefix": "invox:",
}


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def states(self):
        """The STATEs written, by how many calls they cover."""
        return [json.loads(line)["n"] for line in self.out.splitlines()]

    @property
    def errors(self):
        """The log's lines at level ERROR."""
        return [line for line in self.err.splitlines() if "| ERROR" in line]

    def set_aside(self, ending="singer.jsonl"):
        """The records in the files of calls not delivered."""
        lines = [
            json.loads(line)
            for file in sorted(self.folder.glob(f"rejected/*.{ending}"))
            for line in file.read_text().splitlines()
        ]
        return [line["record"] for line in lines if line["type"] == "RECORD"]


@pytest.fixture(scope="session")
def served():
    with Sandbox(calls=10) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served):
    served.reset()
    defaults = {word: switch.default for word, switch in InvocaIngestion.switches.items()}
    served.switches("invoca", **defaults)
    return served


@pytest.fixture
def start(sandbox, tmp_path):
    """Start the command on these records, each followed by a STATE; its folder stays the same."""

    def start(records, *arguments, types=None, first=1, **settings):
        config = SETTINGS | {"api_url": f"{sandbox.url}/invoca"} | settings
        config = {name: value for name, value in config.items() if value is not ...}
        (tmp_path / "config.json").write_text(json.dumps(config))
        schema = {"type": "SCHEMA", "stream": "calls", "schema": {"properties": types or {}}}
        messages = [schema | {"key_properties": []}]
        for n, record in enumerate(records, first):
            messages.append({"type": "RECORD", "stream": "calls", "record": record})
            messages.append({"type": "STATE", "value": {"n": n}})
        (tmp_path / "input").write_text("".join(f"{json.dumps(one)}\n" for one in messages))
        with (
            (tmp_path / "input").open() as taken,
            (tmp_path / "out").open("w") as out,
            (tmp_path / "err").open("w") as err,
        ):
            return subprocess.Popen(
                [COMMAND, "--config", "config.json", *arguments],
                stdin=taken,
                stdout=out,
                stderr=err,
                cwd=tmp_path,
            )

    return start


@pytest.fixture
def ended(tmp_path):
    """Wait for a command to end; what it left behind."""

    def ended(process):
        code = process.wait(60)
        return Run(code, (tmp_path / "out").read_text(), (tmp_path / "err").read_text(), tmp_path)

    return ended


@pytest.fixture
def run(start, ended):
    """Run the command on these records to its end."""
    return lambda *arguments, **settings: ended(start(*arguments, **settings))
