"""What the workflows ask about the packages of this repository.

packages.py modules          the module of each, in one line
packages.py changed <base>   which packages a change since <base> can break, as a JSON list
packages.py released <tag>   the package that <tag> releases; refuses when the tag lies

A package is a folder with a pyproject.toml; nothing is listed by hand.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parent.parent

# A change here can break every package: what all import, and what all are tested with.
SHARED = (
    "singer-calls/",
    "sandbox/",
    "tests/",
    "scripts/",
    "pyproject.toml",
    "uv.lock",
    ".github/",
)


def packages(root: Path = ROOT, *, examples: bool = False) -> dict[str, dict[str, str]]:
    """Every package of the repository, by its name on the registry.

    Args:
        root: Of the repository.
        examples: Those of docs/examples too, which keep all rules and are never released.

    Returns:
        The folder, the module in it, and the version of each.
    """
    found = {}
    patterns = ("*/pyproject.toml", *["docs/examples/*/pyproject.toml"] * examples)
    for file in (file for pattern in patterns for file in sorted(root.glob(pattern))):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        (typed,) = file.parent.glob("*/py.typed")
        found[project["name"]] = {
            "folder": str(file.parent.relative_to(root)),
            "module": typed.parent.name,
            "version": project["version"],
        }
    return found


def plugins(root: Path = ROOT, *, examples: bool = False) -> list[str]:
    """The names of taps and targets, which are also those of their folders and commands."""
    known = packages(root, examples=examples)
    return [name for name in known if name.startswith(("tap-", "target-"))]


def plugin_class(name: str, root: Path = ROOT) -> Any:  # noqa: ANN401 - of the SDK
    """The class of a tap or target, as its command names it."""
    file = root / packages(root, examples=True)[name]["folder"] / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return resolve_name(project["scripts"][name].removesuffix(".cli"))


def changed(files: Iterable[str], known: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The folders of the packages that a change of these files can break.

    Args:
        files: Paths relative to the root.
        known: As from :func:`packages`.
    """
    files = list(files)
    folders = sorted(package["folder"] for package in known.values())
    if any(file.startswith(SHARED) for file in files):
        return folders
    return [folder for folder in folders if any(f.startswith(f"{folder}/") for f in files)]


def released(tag: str, known: Mapping[str, Mapping[str, str]]) -> str:
    """The package that a tag releases.

    Args:
        tag: ``<package>-v<version>``, such as ``tap-invox-v0.1.0``.
        known: As from :func:`packages`.

    Raises:
        ValueError: The tag names no package, or another version than the package has.
    """
    name, _, version = tag.rpartition("-v")
    if name not in known:
        raise ValueError(f"The tag {tag} names no package here: write <package>-v<version>.")
    if version != known[name]["version"]:
        raise ValueError(
            f"The tag says {version}, {known[name]['folder']}/pyproject.toml says "
            f"{known[name]['version']}: change the version first, then tag that commit."
        )
    return name


def main() -> None:
    """Answer one question on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    ask = parser.add_subparsers(dest="question", required=True)
    ask.add_parser("modules")
    ask.add_parser("changed").add_argument("base")
    ask.add_parser("released").add_argument("tag")
    options = parser.parse_args()
    if options.question == "modules":
        print(*(package["module"] for package in packages(examples=True).values()))
        return
    if options.question == "changed":
        diff = subprocess.run(
            ["git", "diff", "--name-only", f"{options.base}...HEAD"],  # noqa: S607
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        print(json.dumps(changed(diff.stdout.splitlines(), packages())))
        return
    try:
        print(released(options.tag, packages()))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
