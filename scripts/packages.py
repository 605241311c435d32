"""What the workflows ask about the packages of this repository.

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
from typing import TYPE_CHECKING

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


def packages(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Every package of the repository: its folder, and its version, by its name on the registry."""
    found = {}
    for file in sorted(root.glob("*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        found[project["name"]] = {"folder": file.parent.name, "version": project["version"]}
    return found


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
    ask.add_parser("changed").add_argument("base")
    ask.add_parser("released").add_argument("tag")
    options = parser.parse_args()
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
