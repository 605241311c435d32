"""A pipeline of one's own, by a command."""

from __future__ import annotations

import shutil
from pathlib import Path

import checkout
import new_pipeline
import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path):
    """The project as it is, with pipelines that may be written."""
    made = tmp_path / "root"
    made.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in {"pipelines", "meltano.yml", ".meltano", ".env", ".git", ".demo"}:
            (made / entry.name).symlink_to(entry)
    shutil.copy(ROOT / "meltano.yml", made)  # Meltano wants what it writes to be within
    shutil.copytree(ROOT / "pipelines", made / "pipelines")
    return made


def names(root):
    """Every name in the project, as often as it is given."""
    files = [root / "meltano.yml", *(root / "pipelines").iterdir()]
    return [
        entry["name"]
        for parts in (yaml.safe_load(file.read_text(encoding="utf-8")) for file in files)
        for kind in (parts.get("plugins", {}), parts)
        for entries in ("extractors", "loaders", "jobs")
        for entry in kind.get(entries, ())
    ]


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_what_is_written_runs(root, project, sandbox, monkeypatch):
    """With names of its own, the same mapping, and an account of its own by a variable."""
    monkeypatch.setattr(checkout, "ROOT", root)
    _, variables = new_pipeline.write(root, "invox", "impact", "brand-c")
    assert variables == [
        "TAP_INVOX__BRAND_C_API_KEY",
        *(
            f"TARGET_IMPACT_CALLS__BRAND_C_{name}"
            for name in ("USERNAME", "PASSWORD", "CAMPAIGN_ID", "ACTION_TRACKER_ID")
        ),
    ]
    project(TARGET_IMPACT_CALLS__BRAND_C_CAMPAIGN_ID="3000").run("run", "brand-c")
    sent = [entry["form"] for entry in sandbox.journal("impact")]
    assert len(sent) > 100
    assert {form["CampaignId"] for form in sent} == {"3000"}
    assert {form["CallSessionId"].partition(":")[0] for form in sent} == {"invox"}


@pytest.mark.parametrize("source", ["invox", "iovox"])
@pytest.mark.parametrize("destination", ["impact", "invoca"])
def test_no_name_is_given_twice(root, source, destination):
    """Meltano would refuse every command, and jobs that share a tap share a bookmark."""
    file, _ = new_pipeline.write(root, source, destination, "brand-c")
    found = names(root)
    assert len(found) == len({*found})
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    (job,) = written["jobs"]
    plugins = [p["name"] for kind in written["plugins"].values() for p in kind]
    assert job == {"name": "brand-c", "tasks": [" ".join(plugins)]}
    assert [plan["job"] for plan in written["schedules"]] == ["brand-c"]
    with pytest.raises(new_pipeline.RefusedError, match="brand-c"):
        new_pipeline.write(root, source, destination, "brand-c")


@pytest.mark.parametrize(
    ("source", "destination", "name", "says"),
    [
        ("invox", "nowhere", "brand-c", "FROM=invox TO=impact"),
        ("invox", "impact", "Brand C", "small letters"), ("invox", "impact", "a--b", "dashes"),
        ("invox", "impact", "", "small letters"), ("invox", "impact", "../x", "small letters"),
        ("invox", "impact", "brand-a", "tap-invox--brand-a is in invox-brands-to-impact"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_in_a_sentence(root, source, destination, name, says):
    """And nothing is left behind."""
    before = sorted((root / "pipelines").iterdir())
    with pytest.raises(new_pipeline.RefusedError, match=says):
        new_pipeline.write(root, source, destination, name)
    assert sorted((root / "pipelines").iterdir()) == before


def test_a_file_of_the_user_s_own_may_lack_anything(root):
    """Only one that can't be read is refused, by its name."""
    own = root / "pipelines" / "ours-to-theirs.meltano.yml"
    for number, text in enumerate(("", "plugins:\njobs:\n", "plugins: {extractors: []}\n")):
        own.write_text(text)
        assert new_pipeline.write(root, "invox", "impact", f"brand-{number}")
    for text in ("jobs: [", "- a\n"):
        own.write_text(text)
        with pytest.raises(new_pipeline.RefusedError, match=r"ours-to-theirs\.meltano\.yml can't"):
            new_pipeline.write(root, "invox", "impact", "brand-x")
