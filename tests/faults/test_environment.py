"""``--config=ENV``: whose settings a run obeys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import singer_sdk

PLUGINS = {
    "tap_invox": "API_KEY",
    "tap_iovox": "SECURE_KEY",
    "tap_invoca_calls": "OAUTH_TOKEN",
    "target_impact_calls": "PASSWORD",
    "target_invoca_calls": "OAUTH_TOKEN",
}
SHOW = """
import json, sys
from importlib import import_module
module = import_module(sys.argv[1] + ".tap" if "tap_" in sys.argv[1] else sys.argv[1] + ".target")
name = "".join(part.title() for part in sys.argv[1].split("_"))
plugin = getattr(module, name)(parse_env_config=True, validate_config=False)
import singer_sdk
print(json.dumps([singer_sdk.__file__, dict(plugin.config)]))
"""


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """The SDK below a folder with a ``.env`` of another project."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(
        Path(singer_sdk.__file__).parent,
        folder / "lib" / "singer_sdk",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    lines = [f"{name.upper()}_{key}=above\n{name.upper()}_API_URL=https://above.example\n"
             for name, key in PLUGINS.items()]  # fmt: skip
    (folder / ".env").write_text("".join(lines))
    return folder


@pytest.mark.parametrize("plugin", PLUGINS)
def test_what_is_exported_wins_and_a_file_above_the_installation_is_nobody_s(
    plugin, installation, tmp_path
):
    """The SDK reads the latter, and lets it override the former: calls went to another account."""
    key = f"{plugin.upper()}_{PLUGINS[plugin]}"
    (tmp_path / ".env").write_text(f"{key}=here\n{plugin.upper()}_USER_AGENT=here/1\n")
    ours = {name: value for name, value in os.environ.items() if plugin.upper() not in name}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, plugin],
        cwd=tmp_path,
        env=ours | {key: "exported", "PYTHONPATH": str(installation / "lib")},
        capture_output=True,
        text=True,
        check=True,
    )
    sdk, config = json.loads(done.stdout.splitlines()[-1])
    assert sdk.startswith(str(installation))
    assert config[PLUGINS[plugin].lower()] == "exported"
    assert config["user_agent"] == "here/1"
    assert "above.example" not in config["api_url"]
