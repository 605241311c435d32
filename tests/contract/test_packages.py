"""What the workflows rely on: which packages a change concerns, and which tag may release."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import generate
import packages
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def known():
    """The packages of this repository."""
    return packages.packages()


@pytest.fixture
def with_one_more(tmp_path):
    """The root of a tree with one more plugin, which nothing but its own folder names."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("Makefile", "meltano.yml", "pyproject.toml", "uv.lock", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    for folder in (file.parent for file in ROOT.glob("*/pyproject.toml")):
        (tmp_path / folder.name).symlink_to(folder)
    new = tmp_path / "tap-new"
    (new / "tap_new").mkdir(parents=True)
    (new / "tap_new" / "py.typed").touch()
    (new / "tests").mkdir()
    (new / "pyproject.toml").write_text('[project]\nname = "tap-new"\nversion = "0.1.0"\n')
    (new / "hub.toml").write_text(
        "".join(f'{key} = "New"\n' for key in ("label", "description", "domain_url", "colour"))
        + "".join(f'{key} = ""\n' for key in ("settings_preamble", "usage"))
    )
    (new / "README.md").write_text("\n".join(generate.TABLE))
    return tmp_path


def test_a_new_plugin_is_known_by_its_folder_alone(known, with_one_more, monkeypatch):
    """To make, mypy, coverage, pytest, uv, the workflows and what is generated."""
    more = packages.packages(with_one_more)
    assert more.keys() - known.keys() == {"tap-new"}
    assert packages.plugins(with_one_more) == sorted([*packages.plugins(), "tap-new"])
    commands = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "types", "test"],
        cwd=with_one_more, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert " -p tap_new" in commands
    assert " --cov=tap_new" in commands
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    for patterns, path in (
        (tool["uv"]["workspace"]["members"], "tap-new"),
        (tool["ruff"]["src"], "tap-new"),
        (tool["pytest"]["ini_options"]["testpaths"], "tap-new/tests"),
    ):
        found = {file for pattern in patterns for file in with_one_more.glob(pattern)}
        assert with_one_more / path in found
    monkeypatch.setattr(generate, "ROOT", with_one_more)
    monkeypatch.setattr(generate, "about", lambda _: generate_about())
    made = {path.relative_to(with_one_more).parts[0] for path, _ in generate.files()
            if "tap-new" in str(path) or path.name == "new.svg"}  # fmt: skip
    assert made == {"hub", "plugins", "tap-new"}


def generate_about():
    """What a plugin says of itself at least."""
    return {"settings": {"properties": {}}, "capabilities": [], "supported_python_versions": []}


def test_no_list_of_the_plugins_is_kept_by_hand():
    """What is asked for instead is scripts/packages.py.

    orchestrate/airflow/pools.json is none: it says which limits an account at a vendor has; nor is
    what is expected of pipelines, one by one, where each of them is given a wrong input.
    """
    folders = (".ci", ".github", "benchmarks", "orchestrate", "sandbox", "scripts", "tests")
    files = [*ROOT.glob("*"), *(file for name in folders for file in (ROOT / name).rglob("*"))]
    code = [
        file
        for file in files
        if file.is_file()
        and file.suffix in {"", ".py", ".toml", ".yml"}
        and not file.name.startswith(".coverage")
    ]
    assert len(code) > 100
    by_name = {ROOT / "meltano.yml", ROOT / "tests" / "orchestrate" / "test_machines.py"}
    for file in {*code} - by_name:
        text = file.read_bytes().replace(b"_", b"-")
        assert not all(plugin.encode() in text for plugin in packages.plugins()), file


def test_all_packages_name_the_same_authors_and_the_same_place(known):
    """On the index they are one project's; and a URL that only some have is a forgotten one."""
    projects = [
        tomllib.loads((ROOT / package["folder"] / "pyproject.toml").read_text("utf-8"))["project"]
        for package in known.values()
    ]
    assert all(project["authors"] == projects[0]["authors"] for project in projects)
    assert len({project.get("urls", {}).get("Repository") for project in projects}) == 1


@pytest.mark.parametrize("file", ["singer-calls/singer_calls/errors.py", "uv.lock", "sandbox/x.py"])
def test_a_change_of_what_all_share_concerns_every_package(known, file):
    """The shared library, the sandbox and the lock can break everything."""
    assert len(packages.changed([file], known)) == len(known)


def test_a_change_of_one_plugin_concerns_that_plugin_alone(known):
    """Plugins do not import each other, so they do not break each other."""
    assert packages.changed(["tap-invox/tap_invox/tap.py", "README.md"], known) == ["tap-invox"]
    assert packages.changed(["docs/scaling.md"], known) == []


def test_a_tag_releases_the_package_and_version_it_names(known):
    """The tag of the version in pyproject.toml is accepted."""
    version = known["tap-invox"]["version"]
    assert packages.released(f"tap-invox-v{version}", known) == "tap-invox"


@pytest.mark.parametrize(
    "tag", ["tap-invox-v9.9.9", "tap-callrail-v0.1.0", "tap-no-v0.1.0", "v0.1.0", "", "tap-invox"]
)
def test_a_tag_that_lies_is_refused(known, tag):
    """Another version, an unknown package or another form never reaches the registry."""
    with pytest.raises(ValueError, match=r"The tag"):
        packages.released(tag, known)
