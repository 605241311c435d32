"""The layers: tap or target -> singer_calls -> libraries, and the sandbox alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENDORS = re.compile(r"invox|iovox|invoca(?!tion)|\bimpact\b|impactradius")
# Package folder -> module; a module's files are those of the wheel.
MODULES = {
    file.parent.parent: file.parent
    for file in ROOT.glob("*/*/py.typed")
    if (file.parent.parent / "pyproject.toml").is_file()
}
OURS = {module.name for module in MODULES.values()}
PLUGINS = {name for name in OURS if name.startswith(("tap_", "target_"))}


def imported(module: Path) -> dict[str, set[str]]:
    """File -> the top-level names it imports, also those inside functions and strings of typing."""
    return {
        str(file.relative_to(ROOT)): {
            name.split(".")[0]
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom) and node.module and not node.level
                else []
            )
        }
        for file in module.rglob("*.py")
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


def test_all_seven_packages_are_found():
    """The other tests here walk what they claim to walk."""
    assert {
        "singer_calls", "call_sandbox", "tap_invox", "tap_iovox", "tap_invoca_calls",
        "target_impact_calls", "target_invoca_calls",
    } == OURS  # fmt: skip


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


@pytest.mark.parametrize("layer", ["values", "http", "extract", "deliver"])
def test_the_layers_of_the_shared_library_do_not_import_each_other(layer):
    """Extract and deliver may use values and http; nothing else crosses."""
    library = ROOT / "singer-calls" / "singer_calls"
    allowed = {layer, "values"} | ({"http"} if layer in {"extract", "deliver"} else set())
    crossing = {
        (str(file.relative_to(ROOT)), node.module)
        for file in (library / layer).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("singer_calls.")
        if node.module.split(".")[1] in {"values", "http", "extract", "deliver"} - allowed
    }
    assert crossing == set()


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
