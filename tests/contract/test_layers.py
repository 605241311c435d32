"""The layers: tap or target -> singer_calls -> libraries, and the sandbox alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import packages
import pytest

ROOT = Path(__file__).parents[2]
VENDORS = re.compile(r"invox|iovox|invoca(?!tion)|\bimpact\b|impactradius|callrail")
# Package folder -> module; those of its files are the wheel. Examples keep the same rules.
MODULES = {
    ROOT / package["folder"]: ROOT / package["folder"] / package["module"]
    for package in packages.packages(examples=True).values()
}
OURS = {module.name for module in MODULES.values()}
PLUGINS = {name for name in OURS if name.startswith(("tap_", "target_"))}


def imports(file: Path) -> list[tuple[str, str]]:
    """Module and name of each import of a file, also those inside functions and for types only."""
    nodes = [*ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    return [
        *(
            (alias.name, "")
            for node in nodes
            if isinstance(node, ast.Import)
            for alias in node.names
        ),
        *(
            (node.module, alias.name)
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        ),
    ]


def imported(folder: Path) -> dict[str, set[str]]:
    """File -> the top-level names it imports."""
    return {
        str(file.relative_to(ROOT)): {module.partition(".")[0] for module, _ in imports(file)}
        for file in folder.rglob("*.py")
    }


def words(file: Path) -> set[str]:
    """Every name and every string of a file but its comments, in lower case."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for field in ("id", "attr", "name", "arg", "value", "module"):
            text = getattr(node, field, None)
            if isinstance(text, str):
                found.add(text.lower())
    return found


@pytest.mark.parametrize("module", sorted(PLUGINS))
def test_a_plugin_imports_none_but_the_shared_library_of_ours(module):
    """No plugin imports another plugin, nor the sandbox."""
    (folder,) = (path for path in MODULES.values() if path.name == module)
    others = OURS - {module, "singer_calls"}
    assert {
        file: names & others for file, names in imported(folder).items() if names & others
    } == {}


@pytest.mark.parametrize("module", ["singer_calls", "call_sandbox"])
def test_what_is_shared_imports_none_of_ours(module):
    """singer_calls knows no plugin; the sandbox is the other side of the wire."""
    (folder,) = (path for path in MODULES.values() if path.name == module)
    others = OURS - {module}
    assert {
        file: names & others for file, names in imported(folder).items() if names & others
    } == {}


def test_the_shared_library_names_no_vendor():
    """A vendor's quirk lives in that vendor's package: no name, no text in singer_calls."""
    named = {
        (str(file.relative_to(ROOT)), vendor)
        for file in (ROOT / "singer-calls" / "singer_calls").rglob("*.py")
        for word in words(file)
        for vendor in VENDORS.findall(word)
    }
    assert named == set()


# The shared library from below: what a row imports stands in a row before it.
LAYERS = (
    {"errors", "output", "progress", "text", "values"},
    {"environment", "http", "sentences", "settings"},
    {"plugin", "recordings"},
    {"deliver", "extract"},
    {"ledger_cli"},
)


def modules() -> dict[str, Path]:
    """Every module of ours, by the name under which it is imported."""
    return {
        ".".join(file.relative_to(module.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): file
        for module in MODULES.values()
        for file in module.rglob("*.py")
    }


def arrows() -> dict[str, set[str]]:
    """Module -> those of ours that it imports."""
    known = modules()
    return {
        name: {
            f"{module}.{one}" if f"{module}.{one}" in known else module
            for module, one in imports(file)
            if module in known
        }
        - {name}
        for name, file in known.items()
    }


def test_no_arrow_of_the_shared_library_runs_up():
    """From the ledger's desk to the values; extract and deliver know nothing of each other."""
    height = {name: row for row, names in enumerate(LAYERS) for name in names}
    upwards = {
        (name, to)
        for name, targets in arrows().items()
        for to in targets
        if name.startswith("singer_calls.") and to.startswith("singer_calls.")
        for here, there in [(name.split(".")[1], to.split(".")[1])]
        if here != there and height[here] <= height[there]
    }
    assert upwards == set()


def test_no_two_modules_import_each_other():
    """Not even around a corner, or for types only: each can be read before those that use it."""
    TopologicalSorter(arrows()).prepare()


def test_the_shared_words_of_http_know_no_library_of_http():
    """Each direction has its own table from its library's exceptions to these words."""
    names = imported(ROOT / "singer-calls" / "singer_calls" / "http").values()
    assert not {"requests", "urllib3", "aiohttp"} & set().union(*names)


def test_a_plugin_needs_of_ours_only_the_shared_library():
    """What pyproject.toml asks for says the same as the imports."""
    for package, module in MODULES.items():
        needs = (
            (package / "pyproject.toml").read_text(encoding="utf-8").split("[project.scripts]")[0]
        )
        ours = {path.name for path in MODULES if f'"{path.name}' in needs} - {package.name}
        assert ours <= ({"singer-calls"} if module.name in PLUGINS else set()), package.name


SHARED = ROOT / "singer-calls" / "singer_calls"
# Who may use what is public: the plugins, their tests, and the examples of docs/new-plugin.md.
USERS = [*(folder for folder, module in MODULES.items() if module.name in PLUGINS), ROOT / "docs"]


def public(place: Path) -> set[str]:
    """What ``__all__`` of a package lists."""
    tree = ast.parse((place / "__init__.py").read_text(encoding="utf-8"))
    (listed,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return set(ast.literal_eval(listed))


def through(module: str, name: str) -> list[str]:
    """Each step of one import from the shared library: package, name in it, and so on."""
    path = [*module.split("."), name]
    steps, place = [], SHARED.parent
    for step in path:
        if (place / "__init__.py").is_file():
            steps.append(".".join([*place.relative_to(SHARED.parent).parts, step]))
        place /= step
    return steps


def used(file: Path) -> set[str]:
    """What a file imports of the shared library, each step: ``singer_calls.extract.Client``."""
    return {
        step
        for module, name in imports(file)
        if module.partition(".")[0] == SHARED.name
        for step in through(module, name)
    }


DOORS = {
    f"{'.'.join(place.relative_to(SHARED.parent).parts)}.{name}"
    for place in (
        SHARED,
        *(SHARED / name for name in ("deliver", "extract", "http", "recordings", "values")),
    )
    for name in public(place)
}


def test_a_plugin_imports_what_is_public_and_nothing_behind_it():
    """Each step of an import is listed in ``__all__`` of the package it goes through."""
    behind = {
        (str(file.relative_to(ROOT)), step)
        for folder in USERS
        for file in folder.rglob("*.py")
        if "tests" not in file.relative_to(folder).parts or folder == ROOT / "docs"
        for step in used(file) - DOORS
    }
    assert behind == set()


def test_what_no_plugin_uses_is_not_public():
    """Else it could not change without asking anybody."""
    wanted = {step for folder in USERS for file in folder.rglob("*.py") for step in used(file)}
    assert DOORS - wanted == {"singer_calls.extract.cursor"}  # docs/new-plugin.md shows it


def test_what_is_public_is_there():
    """Also what is imported only when it is asked for."""
    for package in sorted({door.rpartition(".")[0] for door in DOORS}):
        exec(f"from {package} import *", {})  # noqa: S102


def test_what_happens_when_is_found_in_three_files():
    """At most, each way, and they are there."""
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Where to look")[2]
    rows = re.findall(r"^\| (the|one|sending|another|a) .*? \| (.*) \|$", told, re.MULTILINE)
    assert len(rows) == 6
    for _, found in rows:
        for way in found.split(";"):
            files = re.findall(r"`(\w+/\w+\.py)`", way)
            assert len(files) <= 3
            assert all((SHARED / file).is_file() for file in files), files


def test_the_door_for_targets_brings_no_sdk():
    """``call-ledger`` goes through it too, and is started by people who wait."""
    program = "import sys, singer_calls.deliver; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = done.stdout.decode().split()
    assert "singer_calls.deliver.destination" in loaded
    assert not {"singer_sdk", "sqlalchemy", "aiohttp", "requests"} & {*loaded}
