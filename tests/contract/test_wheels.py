"""What a user installs: the built wheels, in an environment that has nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import packages
import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
# The examples are built and installed too, and released never.
PLUGINS = packages.plugins(examples=True)
# Of this process; and what is started once or twice is not worth compiling.
SETTINGS = ("TAP_", "TARGET_", "COV", "UV_COMPILE_BYTECODE")
TAPS = [plugin for plugin in PLUGINS if plugin.startswith("tap-")]


def run(*command, cwd=None, **variables):
    """A command's standard output; nothing of this process' settings reaches it."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=keep | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """One of each package."""
    folder = tmp_path_factory.mktemp("wheels")
    built = (UV, "build", "--quiet", "--all-packages", "--wheel", "--no-build-isolation")
    run(*built, "--python", sys.executable, "--out-dir", folder / "dist", cwd=ROOT)
    wheels = sorted((folder / "dist").glob("*.whl"))
    assert len(wheels) == len(PLUGINS) + len(["singer-calls", "call-sandbox"])
    return wheels


def environment(folder, python, *packages):
    """The bin folder of a new environment that has these."""
    run(UV, "venv", "--quiet", "--no-project", "--python", python, folder)
    run(UV, "pip", "install", "--quiet", "--python", folder, *packages)
    run(UV, "pip", "check", "--quiet", "--python", folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def empty(wheels, tmp_path_factory):
    """An environment with the wheels and what they ask for, as uv.lock has it.

    It was fetched when .venv was made: no network is needed.
    """
    folder = tmp_path_factory.mktemp("empty") / "venv"
    named = ("--frozen", "--all-packages", "--no-dev", "--no-install-workspace")
    pip = ("--quiet", "--python", folder)
    run(UV, "sync", "--quiet", *named, cwd=ROOT, UV_PROJECT_ENVIRONMENT=str(folder))
    run(UV, "pip", "install", *pip, "--offline", "--no-deps", *wheels)
    run(UV, "pip", "check", *pip)
    return folder / "bin"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_an_installed_plugin_says_what_it_is(empty, plugin, tmp_path):
    """--about and --version answer without settings, network or the checkout."""
    about = json.loads(run(empty / plugin, "--about", "--format=json", cwd=tmp_path))
    assert about["name"] == plugin
    assert plugin in run(empty / plugin, "--version", cwd=tmp_path)


@pytest.mark.parametrize("tap", TAPS)
def test_an_installed_tap_shows_its_streams(empty, tap, tmp_path):
    """--discover answers without settings, with the schemas that the wheel carries."""
    catalog = json.loads(run(empty / tap, "--discover", cwd=tmp_path))
    assert catalog["streams"]
    for stream in catalog["streams"]:
        assert stream["key_properties"]
        assert stream["schema"]["properties"]


def test_the_installed_sandbox_shows_its_help(empty, tmp_path):
    """The sandbox's page and data are in the wheel's reach, its command starts."""
    assert "serve" in run(empty / "call-sandbox", "--help", cwd=tmp_path)
    page = "from importlib.resources import files; print(files('call_sandbox').joinpath('page'))"
    assert (Path(run(empty / "python", "-c", page, cwd=tmp_path).strip()) / "page.html").is_file()


def test_every_package_says_that_it_is_typed_and_licensed(empty):
    """py.typed and the licence text are in every wheel."""
    site = next((empty.parent / "lib").glob("python3.*/site-packages"))
    for folder in (*ROOT.glob("*/*/py.typed"), *ROOT.glob("docs/examples/*/*/py.typed")):
        name = folder.parent.name
        if (folder.parent.parent / "pyproject.toml").is_file():
            assert (site / name / "py.typed").is_file(), name
            assert list(site.glob(f"{name}-*.dist-info/licenses/LICENSE")), name


# Those of the classes that singer_sdk.testing makes.
SUITES = "TestStandard or TestOfTheSdk or TestTap or TestSnapshot or TestWatch"


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_suites_of_the_sdk_pass_with_the_wheels_on_the_newest_python(wheels, tmp_path):
    """Of those on the PATH, with the newest releases of everything that is asked for."""
    pythons = json.loads(run(UV, "python", "list", "--only-installed", "--output-format=json"))
    stable = [one for one in pythons if one["version"].replace(".", "").isdigit()]
    newest = max(
        (one for one in stable if one["implementation"] == "cpython"),
        key=lambda one: [int(part) for part in one["version"].split(".")],
    )
    tools = ("singer-sdk[testing]", "pytest", "pytest-timeout", "pyyaml")
    bin_ = environment(tmp_path / "venv", newest["path"], *wheels, *tools)
    known = packages.packages(examples=True)
    tests = [
        file
        for plugin in PLUGINS
        for file in (ROOT / known[plugin]["folder"] / "tests").glob("test_*.py")
        if "_test_class" in file.read_text("utf-8")
    ]
    assert len(tests) == len(PLUGINS)
    told = run(
        bin_ / "pytest", "-q", "-W", "default", "--timeout=600", "-p", "no:cacheprovider",
        "-k", SUITES, f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}", *tests,
        cwd=tmp_path,
    )  # fmt: skip
    (passed,) = re.findall(r"^(\d+) passed", told, re.MULTILINE)
    assert int(passed) > len(PLUGINS) * 10
    where = run(bin_ / "python", "-c", "import singer_calls; print(singer_calls.__file__)")
    assert "site-packages" in where
