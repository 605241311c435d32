"""A pipeline of one's own: new_pipeline.py <from> <to> <name>, such as ``invox impact brand-c``.

Writes ``pipelines/<name>.meltano.yml``, a copy of ``pipelines/<from>-to-<to>.meltano.yml`` in which
tap, target, job and schedule have the new name: Meltano knows each name once in the whole project,
and a job whose tap is another's too would read that one's bookmark.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
ENDING = ".meltano.yml"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Of the whole project, not of one pipeline.
SHARED = {"ledger_url", "rejected_path"}


class RefusedError(ValueError):
    """What can't be written; the message is for people."""


def _parts(file: Path) -> dict[str, Any]:
    """What stands in a file; the user's own may lack any part, or be none yet."""
    try:
        parts = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError):
        parts = None
    if not isinstance(parts, dict):
        raise RefusedError(f"{file.name} can't be read: correct it, or Meltano won't run either.")
    return parts


def _plugins(parts: dict[str, Any]) -> list[dict[str, Any]]:
    plugins = parts.get("plugins") or {}
    return [*(plugins.get("extractors") or ()), *(plugins.get("loaders") or ())]


def _names(parts: dict[str, Any]) -> Iterator[str]:
    """Every name of a plugin, a job or a schedule."""
    yield from (plugin["name"] for plugin in _plugins(parts))
    for kind in ("jobs", "schedules"):
        yield from (entry["name"] for entry in parts.get(kind) or ())


def _patterns(root: Path) -> dict[tuple[str, str], Path]:
    """The pipelines that can be copied, by source and destination: those of one job."""
    files = sorted((root / "pipelines").glob(f"*-to-*{ENDING}"))
    return {
        (source, destination): file
        for file in files
        for source, _, destination in [file.name.removesuffix(ENDING).partition("-to-")]
        if [job["name"] for job in _parts(file).get("jobs") or ()] == [f"{source}-to-{destination}"]
        and len(_plugins(_parts(file))) == 2  # noqa: PLR2004 - one tap, one target
    }


def write(root: Path, source: str, destination: str, name: str) -> tuple[Path, list[str]]:
    """Write the file of a new pipeline.

    Args:
        root: The project's folder.
        source: As in the name of a pipeline, such as ``invox``.
        destination: Likewise, such as ``impact``.
        name: Of the new one.

    Returns:
        The file, and the variables by which the pipeline can have credentials or a program that
        differ from those of the others.

    Raises:
        RefusedError: There is no such pipeline to copy, or the name can't be used.
    """
    patterns = _patterns(root)
    if (source, destination) not in patterns:
        known = ", ".join("FROM={} TO={}".format(*pair) for pair in patterns)
        raise RefusedError(f"There is no pipeline {source}-to-{destination} to copy: {known}.")
    if not NAME.fullmatch(name):
        raise RefusedError("A name is of small letters, digits and single dashes: NAME=brand-c.")
    pattern = patterns[source, destination]
    plugins = _plugins(_parts(pattern))
    new = {plugin["name"]: f"{plugin['inherit_from']}--{name}" for plugin in plugins}
    new[f"{source}-to-{destination}"] = name
    files = [root / "meltano.yml", *(root / "pipelines").glob(f"*{ENDING}")]
    taken = {word: file for file in files for word in _names(_parts(file))}
    if clash := next((word for word in new.values() if word in taken), None):
        raise RefusedError(f"{clash} is in {taken[clash].name} already: choose another name.")
    text = pattern.read_text(encoding="utf-8")
    for old, word in new.items():
        text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", word, text)
    file = root / "pipelines" / f"{name}{ENDING}"
    with file.open("x", encoding="utf-8") as written:
        written.write(text)
    parents = {plugin["name"]: plugin for plugin in _plugins(_parts(root / "meltano.yml"))}
    return file, [
        re.sub(r"\W", "_", f"{new[plugin['name']]}_{setting}").upper()
        for plugin in plugins
        for setting, value in parents[plugin["inherit_from"]]["config"].items()
        if str(value).startswith("$") and setting not in SHARED
    ]


def main() -> None:
    """Write the file and say what comes next; exit 1 with a sentence when that can't be."""
    parser = argparse.ArgumentParser(description="A pipeline of one's own, from one that is there.")
    parser.add_argument("source", help="FROM, such as invox")
    parser.add_argument("destination", help="TO, such as impact")
    parser.add_argument("name", help="NAME of the new pipeline, such as brand-c")
    asked = parser.parse_args()
    try:
        file, variables = write(ROOT, asked.source, asked.destination, asked.name)
    except (RefusedError, FileExistsError) as error:
        sys.exit(str(error))
    print(f"{file.relative_to(ROOT)} is written, with the job {asked.name} and its schedule. Now:")
    print("  1. look at its mapping, and put your own numbers into its table if it has one")
    print("  2. set in .env what this pipeline does not share with the others, for example")
    for variable in variables:
        print(f"       {variable}=")
    print(f"  3. meltano install, and meltano --environment=dev run {asked.name}: nothing is sent")


if __name__ == "__main__":
    main()
