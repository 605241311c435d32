"""``--config=ENV``: whose settings a run obeys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import packages
import pytest
import singer_sdk

ROOT = Path(__file__).parents[2]

LOCKS = [json.loads(file.read_text("utf-8")) for file in ROOT.glob("plugins/*/*.lock")]
# Plugin -> its first credential, both as they stand in the names of variables.
PLUGINS = {
    lock["namespace"]: next(
        setting["name"].upper() for setting in lock["settings"] if setting["kind"] == "password"
    )
    for lock in LOCKS
    if lock["name"] in packages.plugins()
}
SHOW = """
import json, sys
from packages import plugin_class
plugin = plugin_class(sys.argv[1].replace("_", "-"))(parse_env_config=True, validate_config=False)
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
        env=ours | {key: "exported", "PYTHONPATH": f"{installation / 'lib'}:{ROOT / 'scripts'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    sdk, config = json.loads(done.stdout.splitlines()[-1])
    assert sdk.startswith(str(installation))
    assert config[PLUGINS[plugin].lower()] == "exported"
    assert config["user_agent"] == "here/1"
    assert "above.example" not in config["api_url"]
