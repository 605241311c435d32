"""What is generated from --about: Hub definitions, Meltano's locks, the READMEs' tables."""

from __future__ import annotations

import json
import os
from pathlib import Path

import generate
import meltano.schemas
import packages
import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
DEFINITIONS = sorted((ROOT / "hub" / "_data").rglob("*.yml"))
PLUGINS = [file.parent.name for file in DEFINITIONS]

# Hub tooling turns a text setting into a masked password by these parts of its name.
MAGIC = ("password", "id", "token", "key", "secret")


@pytest.fixture(scope="module")
def generated():
    """Path -> text of every generated file."""
    return dict(generate.files())


def test_every_plugin_has_a_definition():
    """A plugin that is added to the repository is described for the Hub."""
    assert sorted(PLUGINS) == packages.plugins()


def test_what_is_committed_is_what_the_plugins_say(generated):
    """A change of a setting without `make generate` fails here."""
    stale = [
        str(path.relative_to(ROOT))
        for path, text in generated.items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert stale == []


def test_a_changed_setting_changes_every_generated_file_of_its_plugin(generated, monkeypatch):
    """Definition, lock and README all show a new setting; the logo has none to show."""
    about = generate.about

    def with_one_more(plugin):
        says = about(plugin)
        says["settings"]["properties"]["shoe_size"] = {"type": ["integer", "null"]}
        return says

    monkeypatch.setattr(generate, "about", with_one_more)
    changed = {path for path, text in generate.files() if text != generated[path]}
    assert changed == {path for path in generated if path.suffix != ".svg"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_readme_shows_every_setting_of_its_plugin(plugin):
    """The table stands between its marks, with a row for each setting."""
    text = (ROOT / plugin / "README.md").read_text(encoding="utf-8")
    for name in generate.about(plugin)["settings"]["properties"]:
        assert f"`{name}`" in text


@pytest.mark.parametrize("file", DEFINITIONS, ids=PLUGINS)
def test_a_definition_is_in_the_form_of_the_hub(file):
    """Sorted keys and lists, known kinds and capabilities, a label and a description each."""
    text = file.read_text(encoding="utf-8")
    found = yaml.safe_load(text)
    family = file.parent.parent.name
    assert list(found) == sorted(found)
    assert found["name"] == file.parent.name
    assert found["variant"] == file.stem
    assert set(found["capabilities"]) <= generate.CAPABILITIES[family]
    assert (ROOT / "hub" / "static" / found["logo_url"].lstrip("/")).is_file()
    names = [setting["name"] for setting in found["settings"]]
    assert names == sorted(names)
    for setting in found["settings"]:
        assert list(setting) == sorted(setting), setting["name"]
        assert setting["label"], setting["name"]
        assert setting["description"], setting["name"]
        assert setting["kind"] != "string" or not any(m in setting["name"] for m in MAGIC)
        secret = setting["kind"] == "password" or setting["name"] == "recordings_storage"
        assert secret == setting.get("sensitive", False)
    for group in found["settings_group_validation"]:
        assert set(group) <= set(names)


@pytest.mark.parametrize("file", DEFINITIONS, ids=PLUGINS)
def test_a_definition_is_valid_for_meltano(file):
    """The settings fit the JSON Schema that Meltano ships for meltano.yml."""
    schema = json.loads(
        Path(meltano.schemas.__file__).with_name("meltano.schema.json").read_text(encoding="utf-8")
    )
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    setting = Draft202012Validator({"$ref": "#/$defs/base_setting", "$defs": schema["$defs"]})
    for item in found["settings"]:
        assert list(setting.iter_errors(item)) == []


@pytest.mark.parametrize("file", DEFINITIONS, ids=PLUGINS)
def test_meltano_adds_a_plugin_from_its_definition(file, meltano, tmp_path):
    """`meltano add --from-ref` takes the file into a project that knows nothing of ours."""
    (tmp_path / "meltano.yml").write_text(
        "project_id: stranger\nsend_anonymous_usage_stats: false\n"
        "cli: {disable_version_check: true}\n",
        encoding="utf-8",
    )
    words = ("add", "--no-install", "--from-ref", file, file.parent.name)
    done = meltano(*words, cwd=tmp_path, env=os.environ)
    assert done.returncode == 0, done.stderr
    added = yaml.safe_load((tmp_path / "meltano.yml").read_text(encoding="utf-8"))
    (plugin,) = added["plugins"][file.parent.parent.name]
    defined = yaml.safe_load(file.read_text(encoding="utf-8"))["settings"]
    assert plugin["name"] == file.parent.name
    assert {item["name"] for item in plugin["settings"]} == {item["name"] for item in defined}
