"""For the rules that hold for every plugin: which there are, and what the project gives them."""

from __future__ import annotations

from pathlib import Path

import packages
import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sandbox_settings():
    """``sandbox_settings("tap-invox")``: its settings in meltano.yml, filled in for the sandbox."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (sandbox,) = (one for one in project["environments"] if one["name"] == "sandbox")
    plugins = {one["name"]: one for kind in project["plugins"].values() for one in kind}

    def filled(name):
        known = packages.plugin_class(name).config_jsonschema["properties"]
        for setting, value in plugins[name].get("config", {}).items():
            text = sandbox["env"].get(value[1:]) if str(value).startswith("$") else value
            if setting in known and text is not None:
                types = known[setting]["type"]
                whole = "integer" in types and "string" not in types
                yield setting, int(text) if whole else text

    return lambda name: dict(filled(name))
