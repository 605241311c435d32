"""The Meltano project: what its files may say, whatever they say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

HOUSE = Path(__file__).parents[2]
PIPELINES = sorted((HOUSE / "pipelines").glob("*.meltano.yml"))
FILES = [HOUSE / "meltano.yml", *PIPELINES]
MATRIX = {
    "invox-to-impact", "invox-to-invoca", "iovox-to-impact", "iovox-to-invoca",
    "invox-to-warehouse", "iovox-to-warehouse", "invoca-live-to-warehouse",
}  # fmt: skip
CREDENTIALS = ("api_key", "secure_key", "oauth_token", "username", "password", "sqlalchemy_url")


def load(file):
    """A file of the project, parsed."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def example():
    """The variables of .env.example."""
    text = (HOUSE / ".env.example").read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#")


def jobs():
    """Every job: its name and its tasks."""
    return {job["name"]: job["tasks"] for file in PIPELINES for job in load(file).get("jobs", [])}


def test_the_whole_matrix_is_there():
    """Each source reaches each destination, by a job named after both."""
    assert jobs().keys() >= MATRIX


def test_no_two_jobs_share_a_tap():
    """Jobs that share a tap's name share its state file while they run, and can skip calls."""
    taps = Counter(task.split()[0] for tasks in jobs().values() for task in tasks)
    assert [tap for tap, times in taps.items() if times > 1] == []


def test_a_task_is_one_line_of_text():
    """Schedulers that read jobs understand flat lists of text only."""
    assert all(isinstance(task, str) for tasks in jobs().values() for task in tasks)


def test_a_schedule_runs_a_job_that_exists():
    """A renamed job does not leave its schedule behind."""
    named = [plan["job"] for file in PIPELINES for plan in load(file).get("schedules", [])]
    assert named
    assert set(named) <= jobs().keys()


def test_a_pipeline_file_is_whole():
    """Mapping or loaders, job and schedule are together in the file of the pipeline."""
    for file in PIPELINES:
        assert load(file).keys() == {"plugins", "jobs", "schedules"}, file.name
        assert file.name.removesuffix(".meltano.yml") in jobs(), file.name


def test_every_variable_is_in_the_example_and_every_example_is_used():
    """.env.example is complete, and no line of it is left from another day."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    used = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", text)) - {"MELTANO_PROJECT_ROOT"}
    assert used == example().keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_credentials_are_variables(file):
    """No value of a credential is written in a file of the project."""

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in CREDENTIALS and isinstance(value, str):
                    yield key, value
                yield from walk(value)
        elif isinstance(node, list):
            for item in node:
                yield from walk(item)

    assert [found for found in walk(load(file)) if not found[1].startswith("$")] == []


def test_a_variable_that_is_not_set_stops_the_run():
    """Meltano names it; without this it drops the setting silently."""
    assert load(HOUSE / "meltano.yml")["ff"] == {"strict_env_var_mode": True}
