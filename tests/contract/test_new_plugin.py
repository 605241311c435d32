"""docs/new-plugin.md, word for word: an empty folder becomes a tap that is tested."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "new-plugin.md").read_text("utf-8")
EXAMPLES = sorted(file.parent for file in (ROOT / "docs" / "examples").glob("*/pyproject.toml"))
# A name on a line of its own is that of the file that the next block holds.
BLOCKS = re.findall(r"(?:^`([\w.]+)`\n\n)?^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
UV = Path(sys.executable).with_name("uv")


def environment(folder):
    """What a block runs in: the folder's own .venv first, and no settings of this process."""
    keep = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("COV", "PYTEST", "TAP_", "VIRTUAL_ENV"))
    }
    return keep | {"PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a virtual environment that has what this one has, in place of an index."""
    folder = tmp_path_factory.mktemp("new")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=folder, check=True)
    (packages,) = (folder / ".venv" / "lib").glob("python3.*/site-packages")
    ours = sysconfig.get_path("purelib")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    pip = folder / ".venv" / "bin" / "pip"
    alone = "--quiet --no-deps --no-build-isolation"  # no index is asked for anything
    pip.write_text(f'#!/bin/sh\nexec {UV} pip "$@" {alone} --python {folder}/.venv\n')
    pip.chmod(0o700)
    yield folder
    shutil.rmtree(folder)


def test_an_empty_folder_becomes_a_tap_that_is_tested(folder):
    """Every file and every command in their order; only a free port, and no second download."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    commands = 0
    for name, language, printed in BLOCKS:
        text = printed.replace("8322", port)
        if name:
            (folder / name).write_text(text)
        elif language == "console":
            block = [line.removeprefix("$ ").split(" #")[0] for line in text.splitlines()]
            if block[0].startswith("export CALL_PIPELINES"):
                installed = re.findall(r"\$CALL_PIPELINES/(\S+)", block[-1])
                assert all((ROOT / one / "pyproject.toml").is_file() for one in installed)
                continue
            done = subprocess.run(
                ["bash", "-mec", "\n".join(["trap 'kill $(jobs -p) 2>&- || true' EXIT", *block])],
                cwd=folder, env=environment(folder), capture_output=True, text=True,
                timeout=200, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            commands += len(block)
    lines = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
    assert len({line["record"]["id"] for line in lines if line["type"] == "RECORD"}) == 500
    assert lines[-1]["type"] == "STATE"
    assert commands >= 8


def test_the_definition_for_meltano_is_that_of_the_tap(folder):
    """Its settings and capabilities are there, and what is secret is marked."""
    (text,) = (text for _, language, text in BLOCKS if language == "yaml")
    (plugin,) = yaml.safe_load(text)["plugins"]["extractors"]
    about = json.loads(
        subprocess.run(
            [folder / ".venv" / "bin" / plugin["executable"], "--about", "--format=json"],
            cwd=folder, env=environment(folder), capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    assert about["name"] == plugin["name"]
    assert set(plugin["capabilities"]) <= set(about["capabilities"])
    known = about["settings"]["properties"]
    for setting in plugin["settings"]:
        assert setting.get("sensitive", False) == known[setting["name"]].get("secret", False)
        assert setting.get("value") == known[setting["name"]].get("default")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_short(example):
    """Less than 250 lines of Python for a whole plugin."""
    (package,) = (file.parent for file in example.glob("*/py.typed"))
    assert sum(len(file.read_text("utf-8").splitlines()) for file in package.rglob("*.py")) < 250


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_s_settings_are_taken_as_they_stand(example):
    """The first block of its README."""
    text = (example / "README.md").read_text("utf-8").split("```json\n")[1].split("```")[0]
    module = example.name.replace("-", "_")
    plugin = import_module(f"{module}.{module.partition('_')[0]}")
    (cls,) = (
        one for one in vars(plugin).values()
        if isinstance(one, type) and one.__module__ == plugin.__name__
    )  # fmt: skip
    settings = json.loads(text.replace("…", "given"))
    assert cls(config=settings).config.items() >= settings.items()
