"""Every example of every README is run, here or by the test named, or is listed with the reason."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import tomllib
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import packages
import pytest
import yaml

from call_sandbox import Sandbox
from call_sandbox.credentials import (
    IMPACT_PASSWORD,
    IMPACT_USERNAME,
    INVOCA_TOKEN,
    INVOX_API_KEY,
    IOVOX_SECURE_KEY,
    IOVOX_USERNAME,
)
from singer_calls.deliver.destination import Destination

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PATTERNS = (
    *("*.md", "docs/*.md", "benchmarks/*.md", "*/README.md"),
    *("orchestrate/*/README.md", "docs/examples/*/README.md"),
)
FILES = sorted(file for pattern in PATTERNS for file in ROOT.glob(pattern))


class Example(NamedTuple):
    """A fenced block.

    Attributes:
        file: From the root of the repository.
        language: As it says.
        text: What is in it.
    """

    file: str
    language: str
    text: str

    @property
    def name(self):
        """File, language and first words."""
        return f"{self.file} {self.language}: {' '.join(self.text.split()[:4])}"


EXAMPLES = [
    Example(str(file.relative_to(ROOT)), language, text)
    for file in FILES
    for language, text in re.findall(
        r"^ *```(\S*)\n(.*?)^ *```$", file.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
]

# What runs an example that no test of this file runs: by file, language and a part of its text.
ELSEWHERE = {
    ("README.md", "bash", "make demo"): "tests/pipelines/test_demo.py",
    ("README.md", "bash", "make pipeline"): "tests/pipelines/test_new_pipeline.py",
    ("README.md", "bash", " --ledger"): "tests/pipelines/test_first_steps.py",
    ("README.md", "bash", " --input"): "tests/pipelines/test_first_steps.py",
    ("docs/scaling.md", "bash", "xargs"): "tests/pipelines/test_workers.py",
    **{
        ("docs/new-plugin.md", language, ""): "tests/contract/test_new_plugin.py"
        for language in ("console", "toml", "python", "json", "yaml")
    },
    (
        "docs/examples/target-webhook/README.md",
        "python",
        "",
    ): "docs/examples/target-webhook/tests/conftest.py",
    ("sandbox/README.md", "console", "serve"): "sandbox/tests/test_cli.py",
    ("sandbox/README.md", "python", "ForkServer"): "tests/contract/test_bench.py",
    (
        "orchestrate/airflow/README.md",
        "yaml",
        "PAST_PARTITION",
    ): "tests/orchestrate/test_pipeline.py",
}
# Why an example is not run at all.
NOT_RUN = {
    ("README.md", "mermaid", ""): "a picture",
    ("CONTRIBUTING.md", "mermaid", ""): "a picture",
    ("singer-calls/README.md", "", ""): "a picture",
    ("tap-invoca-calls/README.md", "console", "uv sync"): "make install and make test are these",
    ("tap-iovox/README.md", "json", "Statement"): "a policy for a cloud's own console",
    ("tap-iovox/README.md", "json", "recordings_url"): "its bucket is somebody's",
    (
        "orchestrate/airflow/README.md",
        "bash",
        "backfill create",
    ): "needs Airflow, as make scale-demo",
    ("orchestrate/airflow/README.md", "bash", "standalone"): "needs Airflow, as make scale-demo",
}


def found(file, language, part=""):
    """The one example of a file that has this in it."""
    (one,) = (e for e in EXAMPLES if (e.file, e.language) == (file, language) and part in e.text)
    return one


def commands(example):
    """Its lines after ``$``, without the remark behind them."""
    return [
        line[2:].split(" #")[0].strip() for line in example.text.splitlines() if line[:2] == "$ "
    ]


HERE: set[Example] = set()  # what the tests of this file run


def ours(*examples):
    """Parameters of a test that runs them."""
    HERE.update(examples)
    return pytest.mark.parametrize("example", examples, ids=lambda example: example.name)


INSTALLS = [e for e in EXAMPLES if e.language == "console" and "$ pip install ./" in e.text]


@ours(*INSTALLS)
def test_an_installation_has_all_that_is_not_on_an_index(example):
    """The folders are there, and what they need of each other is among them."""
    (command,) = (line for line in commands(example) if line.startswith("pip "))
    folders = [ROOT / word for word in shlex.split(command)[2:]]
    projects = [
        tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        for folder in folders
    ]
    packages = {file.parent.name for file in ROOT.glob("*/pyproject.toml")}
    needed = {
        re.split(r"[^\w-]", text)[0] for project in projects for text in project["dependencies"]
    }
    assert needed & packages <= {project["name"] for project in projects}


CONFIGS = [
    example
    for example in EXAMPLES
    if Path(example.file).parent.name.startswith(("tap-", "target-")) and example.language == "json"
    if not any(row[:2] == example[:2] and row[2] in example.text for row in NOT_RUN)
]


def config_of(name):
    """The first settings of a plugin's README."""
    return filled(next(e for e in CONFIGS if e.file.endswith(f"{name}/README.md")))


def filled(example):
    """The settings of an example, with something in place of what its reader fills in."""
    return json.loads(example.text.replace("…", "given"))


@ours(*CONFIGS)
def test_settings_are_taken_as_they_stand(example):
    """In JSON, and the same in YAML; those that are an extract, beside the others."""
    name = Path(example.file).parent.name
    assert yaml.safe_load(example.text) == json.loads(example.text)
    settings = filled(example)
    plugin = packages.plugin_class(name)(config=config_of(name) | settings)
    assert plugin.config.items() >= settings.items()


@ours(found("tap-iovox/README.md", "yaml"))
def test_a_selection_selects_what_is_there(example):
    """Each pattern is a stream of the tap, and one of its fields or all."""
    (extractor,) = yaml.safe_load(example.text)["extractors"]
    streams = packages.plugin_class("tap-iovox")(config=config_of("tap-iovox")).streams
    for pattern in extractor["select"]:
        stream, field = pattern.lstrip("!").split(".")
        assert field == "*" or field in streams[stream].schema["properties"]


@ours(found("tap-invoca-calls/README.md", "yaml"), found("tap-invoca-calls/README.md", "sql"))
def test_what_a_watch_tells_becomes_one_row_a_call(example):
    """The keys are fields of the stream; the query runs on a table of its fields."""
    tap = packages.plugin_class("tap-invoca-calls")(config=config_of("tap-invoca-calls"))
    stream = tap.streams["calls_in_progress"]
    fields = stream.schema["properties"].keys()
    if example.language == "yaml":
        (keys,) = yaml.safe_load(example.text)["stream_maps"]["calls_in_progress"].values()
        assert set(keys) <= fields
        return
    rows = [("a", None, "1"), ("a", "+14155550123", None)]
    names = "transaction_id, calling_phone_number, first_seen_at"
    insert = f"INSERT INTO calls_in_progress ({names}) VALUES (?, ?, ?)"  # noqa: S608 - see above
    with closing(sqlite3.connect(":memory:")) as table:
        table.execute(f"CREATE TABLE calls_in_progress ({', '.join(fields)})")
        table.executemany(insert, rows)
        calls = table.execute(example.text).fetchall()
    assert calls == [("a", "+14155550123", None, "1", None, None)]


@ours(found("singer-calls/README.md", "python"))
def test_a_target_is_what_a_destination_asks_for(example):
    """Every attribute and method that a vendor must define, and no other."""
    vendor, target = ast.parse(example.text).body
    methods = {node.name for node in vendor.body if isinstance(node, ast.FunctionDef)}
    names = {
        name.id
        for node in vendor.body
        if isinstance(node, ast.Assign)
        for name in ast.walk(node.targets[0])
        if isinstance(name, ast.Name)
    }
    assert methods == Destination.__abstractmethods__
    assert names == {
        name
        for base in Destination.__mro__
        for name, kind in inspect.get_annotations(base).items()
        if "ClassVar" in kind
    }
    assert {node.targets[0].id for node in target.body} == {
        "name", "config_jsonschema", "destination_class", "empty_ledger_is_fatal",
    }  # fmt: skip


@ours(found("sandbox/README.md", "python", "fired"))
def test_the_sandbox_in_a_test_is_as_shown(example):
    """With two requests where the example leaves them out."""
    text = example.text.replace("...  # run", "post(sandbox)  # run")

    def post(sandbox):
        login = b64encode(f"{IMPACT_USERNAME}:{IMPACT_PASSWORD}".encode()).decode()
        body = {
            "CallSessionId": "1284007", "CampaignId": 1000, "MediaId": 1, "ActionTrackerId": 4000,
            "EventDate": "NOW", "CallProvider": "Example", "CallerId": "+14155550123",
            "CalledPhoneNumber": "2125550123", "CallDuration": 1, "TalkDuration": 1,
        }  # fmt: skip
        for error in (HTTPError, ConnectionError):
            request = Request(  # noqa: S310 - this machine
                f"{sandbox.url}/impact/calldata/logCallData",
                urlencode(body).encode(),
                {"Authorization": f"Basic {login}"},
            )
            with pytest.raises(error):
                urlopen(request, timeout=10)  # noqa: S310 - this machine

    exec(compile(text, example.file, "exec"), {"post": post})  # noqa: S102 - our own


@pytest.fixture(scope="module")
def vendors():
    """All of them."""
    with Sandbox(calls=30, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def shell(tmp_path):
    """``shell(command, **settings)``: in a folder with the files that the READMEs name.

    What they print as a mapping stands there in JSON, beside credentials and addresses.
    """
    (tmp_path / "target-jsonl").write_text("#!/bin/sh\ncat >out.jsonl\n")
    (tmp_path / "target-jsonl").chmod(0o700)

    def shell(command, **settings):
        for name, known in settings.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(known))
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{BIN}:{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    return shell


def sources(vendors):
    """The settings of the taps, by the name of their file."""
    start = {"start_date": "2020-01-01T00:00:00Z"}
    return {
        "invox": start | {"api_key": INVOX_API_KEY, "api_url": f"{vendors.url}/invox"},
        "iovox": start
        | {"username": IOVOX_USERNAME, "secure_key": IOVOX_SECURE_KEY}
        | {"api_url": f"{vendors.url}/iovox"},
    }


def pipe_of(example):
    """The line that reads and loads."""
    return next(command for command in commands(example) if "|" in command)


TAP_LINES = [
    *(example for example in INSTALLS if example.file.startswith("tap-")),
    found("tap-invox/README.md", "console", "--discover"),
]


@ours(*TAP_LINES)
def test_a_tap_s_command_reads(example, shell, vendors, tmp_path):
    """Into a program that keeps what it is given; the catalog as it is shown with jq."""
    live = config_of("tap-invoca-calls") | {
        "oauth_token": INVOCA_TOKEN, "api_url": f"{vendors.url}/invoca", "watch_seconds": 0,
    }  # fmt: skip
    shell("true", **sources(vendors), invoca=live)
    if "--discover" in example.text:
        (command,) = commands(example)
        command = command if shutil.which("jq") else command.partition("|")[0]
        assert "Personal data." in shell(command)
        return
    shell(pipe_of(example))
    written = (tmp_path / "out.jsonl").read_text()
    assert '"SCHEMA"' in written
    assert '"RECORD"' in written or "calls_in_progress" in written  # perhaps none at this moment


TARGET_LINES = [e for e in EXAMPLES if e.language == "console" and e.file.startswith("target-")]
MAPPINGS = [e for e in EXAMPLES if e.language == "yaml" and e.file.startswith("target-")]
DESTINATIONS = {
    "impact": {
        "username": IMPACT_USERNAME, "password": IMPACT_PASSWORD, "campaign_id": 1000,
        "media_id": 10000, "action_tracker_id": 4000,
    },
    "invoca": {"oauth_token": INVOCA_TOKEN, "advertiser_campaign_id_from_network": 85},
}  # fmt: skip
HERE.update(TARGET_LINES, MAPPINGS)


@pytest.mark.parametrize("vendor", DESTINATIONS)
def test_a_target_s_commands_deliver_show_and_replay(vendor, shell, vendors, tmp_path):
    """Each line as printed, with the printed mapping: all refused, shown, replayed, one held."""
    name = f"target-{vendor}-calls"
    (mapping,) = (example for example in MAPPINGS if example.file.startswith(name))
    (install, *others) = (example for example in TARGET_LINES if example.file.startswith(name))
    settings = {
        **yaml.safe_load(mapping.text),
        **DESTINATIONS[vendor],
        "api_url": f"{vendors.url}/{vendor}",
        "max_rejected_percent": 100,
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
    }
    shell("true", **sources(vendors), **{vendor: settings})
    vendors.faults(vendor, "422")
    shell(pipe_of(install))
    vendors.faults(vendor)
    assert vendors.books(vendor) == {}
    (rejected,) = (tmp_path / "rejected").iterdir()
    marks = [json.loads(line).get("set_aside") for line in rejected.read_text().splitlines()]
    keys = [mark["key"] for mark in marks if mark]
    lines = [command for example in others for command in commands(example)]
    replays = [line for line in lines if "--input" in line]
    for show in [line for line in lines if line not in replays]:
        assert keys[0] in shell(show)
    vendors.script(vendor, {keys[0]: ["empty"]})  # held where it isn't asked again
    for replay, calls in zip(replays, (len(keys) - (vendor == "impact"), len(keys)), strict=False):
        *words, printed = replay.split()
        ending = re.sub(r"^.*?Z", "", printed)
        (file,) = (tmp_path / "rejected").glob(f"{name}-*Z{ending}")
        shell(" ".join([*words, f"rejected/{file.name}"]))
        assert len(vendors.books(vendor)) == calls
    assert set(vendors.books(vendor).values()) == {1}


@ours(found("README.md", "console", ":ledger"))
def test_the_morning_after_is_as_shown(example, shell, vendors, tmp_path):
    """Each of its commands, on what a run left; what it prints has the printed form."""
    pipeline = yaml.safe_load((ROOT / "pipelines" / "invox-to-impact.meltano.yml").read_text())
    (loader,) = pipeline["plugins"]["loaders"]
    impact = DESTINATIONS["impact"] | loader["config"] | {
        "api_url": f"{vendors.url}/impact", "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
        "max_rejected_percent": 100,
    }  # fmt: skip
    vendors.reset()
    vendors.script("impact", {"invox:1284001": ["reset_after_body"], "invox:1284002": ["400"]})
    shell("true", **sources(vendors), impact=impact)
    shell("tap-invox --config invox.json | target-impact-calls --config impact.json")
    vendors.reset()
    told = re.split(r"^\$ .*:ledger (.*)\n", example.text, flags=re.MULTILINE)[1:]
    for arguments, printed in zip(told[::2], told[1::2], strict=True):
        shown = forms(shell(f"call-ledger --config impact.json {arguments} 2>&1"))
        for line in forms(printed):
            # What waits, and the values of a call, are others in a world of 30 calls.
            alike = line if line.startswith("N call") else line.split()[0]
            assert line.startswith("N rejected") or any(alike in one for one in shown), (
                line,
                shown,
            )


def forms(text):
    """Lines with N for each number and single spaces, one or several calls alike."""
    lines = [" ".join(re.sub(r"\d+", "N", line).split()) for line in text.splitlines()]
    return [line.replace("calls", "call") for line in lines if line]


@ours(found("README.md", "cron"))
def test_the_line_for_cron_finds_its_folder_and_keeps_files_private(example, tmp_path):
    """With a program in Meltano's place that tells what it was given."""
    *when, command = example.text.strip().split(maxsplit=5)
    assert len(when) == 5
    meltano = tmp_path / ".venv" / "bin" / "meltano"
    meltano.parent.mkdir(parents=True)
    meltano.write_text('#!/bin/sh\necho "$@"; pwd; touch made\n')
    meltano.chmod(0o700)
    subprocess.run(
        ["sh", "-c", command.replace("/srv/call-pipelines", str(tmp_path))],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},  # all that cron gives
        check=True,
    )
    (log,) = (tmp_path / "log").iterdir()
    assert log.read_text() == f"--environment=prod run invox-to-impact\n{tmp_path}\n"
    for file in (log, tmp_path / "made"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


# What README says before its first table, and the test that would fail if it were not so.
CLAIMS = {
    "none lost": "tests/faults/test_kill.py",
    "none counted twice": "tests/faults/test_many_runs.py",
    "no phone number in a log": "tests/contract/test_personal_data.py",
    "to a warehouse": "tests/pipelines/test_warehouse.py",
    "no account is needed": "tests/pipelines/test_demo.py",
    "all that it installs stays in this folder": "scripts/left_behind.py",
    "says what it does while it does it": "tests/pipelines/test_demo.py",
    "`PORT=8400` takes another port": "tests/pipelines/test_demo.py",
    "what became of four calls that met trouble": "tests/pipelines/test_demo.py",
    "what the ledger knows and what waits for a person": "singer-calls/tests/test_ledger_page.py",
    "`meltano invoke <target>:ledger page`": "tests/faults/test_desk.py",
    "Every call that precedes a STATE emitted by a target is": "tests/faults/test_kill.py",
    "running again from the last STATE loses no call": "tests/faults/test_kill.py",
    "A call is sent again only if": "singer-calls/tests/test_judgement.py",
    "the effect is once": "tests/faults/test_kill.py",
    "over all runs, workers and spellings": "tests/faults/test_many_runs.py",
    "a record costs at most itself": "tests/faults/test_input.py",
}


def test_nothing_is_claimed_at_first_sight_without_its_proof():
    """The words stand there, and the file that proves them is there."""
    first = (ROOT / "README.md").read_text("utf-8").partition("## Pipelines")[0]
    words = " ".join(re.sub(r"^> ", "", first, flags=re.MULTILINE).split())
    for claim, proof in CLAIMS.items():
        assert claim in words, claim
        assert (ROOT / proof).is_file(), proof


def test_every_example_is_run_or_listed():
    """In one way; and nothing is listed that is gone."""
    listed = ELSEWHERE | NOT_RUN
    for where in ELSEWHERE.values():
        assert (ROOT / where).is_file(), where
    used = set()
    for example in EXAMPLES:
        rows = {row for row in listed if row[:2] == example[:2] and row[2] in example.text}
        used |= rows
        assert len(rows) + (example in HERE) == 1, f"{example.name} is run by {len(rows)}"
    assert set(listed) == used


def test_a_command_within_a_sentence_exists():
    """`make x` is a rule; `meltano run` has a job; nothing unpublished comes from an index."""
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    jobs = {file.name.partition(".")[0] for file in (ROOT / "pipelines").iterdir()}
    packages = {file.parent.name for file in ROOT.glob("*/pyproject.toml")}
    for file in FILES:
        for code in re.findall(r"`([^`\n]+)`", file.read_text("utf-8")):
            words = shlex.split(code) if "'" not in code or code.count("'") % 2 == 0 else [code]
            if words[:1] == ["make"] and len(words) > 1:
                assert words[1] in rules, (file, code)
            if words[0] == "meltano" and "run" in words and "<" not in code:
                named = [word for word in words[words.index("run") + 1 :] if word[0] != "-"]
                assert {*named} <= jobs, (file, code)
            if words[:2] == ["pip", "install"]:
                names = {re.split(r"[\[=]", word)[0] for word in words[2:]}
                assert not names & packages, (file, code)
