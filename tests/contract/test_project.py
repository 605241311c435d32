"""The Meltano project: what its files may say, whatever they say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections import Counter
from difflib import unified_diff
from pathlib import Path

import packages
import pytest
import yaml
from meltano.core.project_files import ProjectFiles
from meltano.core.utils import expand_env_vars
from singer_sdk.exceptions import ConfigValidationError

ROOT = Path(__file__).parents[2]
PIPELINES = sorted((ROOT / "pipelines").glob("*.meltano.yml"))
FILES = [ROOT / "meltano.yml", *PIPELINES]
MATRIX = {
    "invox-to-impact", "invox-to-invoca", "iovox-to-impact", "iovox-to-invoca",
    "invox-to-warehouse", "iovox-to-warehouse", "invoca-live-to-warehouse",
}  # fmt: skip
CREDENTIALS = ("api_key", "secure_key", "oauth_token", "username", "password", "sqlalchemy_url")


def load(file):
    """A file of the project, parsed."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def example():
    """The variables of .env.example: of this machine, and of the vendors (to be filled in)."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = re.findall(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE)
    ours, theirs = (
        {name: value for sign, name, value in lines if sign == wanted} for wanted in ("", "#")
    )
    return ours, theirs


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


def test_the_project_may_lie_in_a_folder_whose_name_has_a_blank():
    """Meltano reads a pip_url as a shell would: each part is whole, also below such a folder."""
    root = "/srv/Ana's calls, é"
    for file in FILES:
        plugins = load(file)["plugins"]
        for plugin in [*plugins.get("extractors", []), *plugins.get("loaders", [])]:
            url = expand_env_vars(plugin.get("pip_url", ""), {"MELTANO_PROJECT_ROOT": root})
            ours = [part for part in shlex.split(url) if part[0] == "/"]
            assert len(ours) == url.count(root), plugin["name"]
            assert all(part.startswith(f"{root}/") for part in ours), plugin["name"]


def test_every_variable_is_in_the_example_and_every_example_is_used():
    """.env.example is complete, and no line of it is left from another day."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    used = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", text)) - {"MELTANO_PROJECT_ROOT"}
    ours, theirs = example()
    # A setting that no file names: without it, a call to an unknown number has no partner.
    assert used | {"TARGET_IMPACT_CALLS_MEDIA_ID"} == ours.keys() | theirs.keys()


def test_no_value_of_the_example_can_reach_a_vendor():
    """What concerns vendors is empty; the sandbox's environment has its own, for all of them."""
    _, theirs = example()
    assert set(theirs.values()) == {""}
    (sandbox,) = (e for e in load(ROOT / "meltano.yml")["environments"] if e["name"] == "sandbox")
    assert sandbox["env"].keys() == theirs.keys() - {"TARGET_POSTGRES_SQLALCHEMY_URL"}
    others = [e for e in load(ROOT / "meltano.yml")["environments"] if e["name"] != "sandbox"]
    assert all("env" not in environment for environment in others)


@pytest.mark.parametrize("name", packages.plugins())
def test_credentials_of_the_sandbox_are_refused_at_a_vendor(name, sandbox_settings):
    """By the names of the settings; a placeholder that was left costs no request."""
    settings = sandbox_settings(name)
    secret = [key for key, value in settings.items() if str(value).startswith("sandbox-")]
    assert secret
    plugin = packages.plugin_class(name)
    with pytest.raises(ConfigValidationError) as refused:
        plugin(config=settings)
    says = f"{', '.join(secret)} is the sandbox's own: set what the vendor gave you"
    assert str(refused.value) == says
    plugin(config=settings | {"api_url": "http://127.0.0.1:8321/x"})
    with pytest.raises(ConfigValidationError, match="is not a URL"):
        plugin(config=settings | {"api_url": "https://["})


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
    assert load(ROOT / "meltano.yml")["ff"] == {"strict_env_var_mode": True}


def needed(job):
    """The variables that the plugins of a job refer to, themselves or by inheritance."""
    plugins = {
        plugin["name"]: plugin
        for file in FILES
        for kind in load(file).get("plugins", {}).values()
        for plugin in kind
    }
    text, names = "", [name for task in jobs()[job] for name in task.split()]
    while names:
        plugin = plugins[names.pop()]
        text += yaml.safe_dump(plugin)
        names += [plugin["inherit_from"]] if "inherit_from" in plugin else []
    return set(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", text)) - {"MELTANO_PROJECT_ROOT"}


def told(row):
    """The variables of a row of README's table; ``..._X`` has the beginning of the one before."""
    found = []
    for name in re.findall(r"`([A-Z._]+)`", row):
        whole = name.replace("...", re.sub(r"_CALLS_.*", "_CALLS", found[-1]) if found else "")
        found.append(whole)
    return set(found)


@pytest.mark.parametrize("job", jobs())
def test_the_readme_says_what_each_pipeline_needs(job):
    """No more and no less: what is missing would be named only once the pipeline is run."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("| Pipeline | needs |")[2]
    rows = dict(re.findall(r"^ +\| (.+?) \| (.+) \|$", text.partition("\n3.")[0], re.MULTILINE))
    source, _, destination = job.partition("-to-")
    kinds = {
        "all": True,
        "from INVOX": source == "invox",
        "from iovox": source == "iovox",
        "to impact.com": destination == "impact",
        "to Invoca": destination == "invoca",
        "`invoca-live-...`": source == "invoca-live",
        "`...-to-postgres`": destination == "postgres",
        "`invox-brands-to-impact`": source == "invox-brands",
    }
    assert kinds.keys() == rows.keys() - {"---"}
    say = set().union(*(told(rows[kind]) for kind, applies in kinds.items() if applies))
    recordings = {"INVOX_RECORDING_URL", "RECORDINGS_URL", "RECORDINGS_STORAGE"}
    local = {"LEDGER_URL", "REJECTED_PATH", "OUTPUT_PATH"}
    # Brands have keys instead of the one that their taps inherit.
    inherited = {"TAP_INVOX_API_KEY"} if source == "invox-brands" else set()
    assert say - recordings - local == needed(job) - recordings - local - inherited
    assert (needed(job) & recordings) <= say


def test_meltanos_own_changes_are_one_line_each(meltano, tmp_path):
    """The files are as Meltano writes them: a setting that it sets is all that it changes."""
    for name in ("meltano.yml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("pipelines", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name)
    files = [tmp_path / file.relative_to(ROOT) for file in FILES]
    before = [line for file in files for line in file.read_text("utf-8").splitlines()]
    own = {"MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/db", "XDG_STATE_HOME": str(tmp_path)}
    words = ("config", "set", "tap-invox", "lookback_days", "3")
    assert meltano(*words, cwd=tmp_path, env=os.environ | own).returncode == 0
    after = [line for file in files for line in file.read_text("utf-8").splitlines()]
    changed = [line for line in unified_diff(before, after, n=0) if line[0] in "+-"]
    assert changed[2:] == ["+      lookback_days: 3"]


def test_meltano_changes_a_line_of_any_plugin_in_any_file_and_no_other(tmp_path):
    """With what `meltano config set` writes by: each plugin gets one more setting."""
    shutil.copy(ROOT / "meltano.yml", tmp_path)
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    writer = ProjectFiles(root=tmp_path, meltano_file_path=tmp_path / "meltano.yml")
    project = writer.load()
    for kind in ("extractors", "loaders"):
        for plugin in project["plugins"][kind]:
            plugin.setdefault("config", {})["new"] = 3
    writer.update(project)
    for file in FILES:
        after = (tmp_path / file.relative_to(ROOT)).read_text("utf-8").splitlines()
        before = file.read_text("utf-8").splitlines()
        changed = [line for line in unified_diff(before, after, n=0) if line[0] in "+-"][2:]
        assert {*changed} <= {"+      new: 3", "+    config:"}, file
        assert changed, file
