"""What starting a plugin costs: each line of a crontab, each task of a pipeline pays it."""

import os
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import packages
import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(file.parent.name for file in ROOT.glob("t*-*/pyproject.toml"))

# Each costs as much as a good part of the SDK; whoever needs one imports it then.
LATER = {"aiohttp", "httptools", "sqlalchemy", "psycopg", "obstore"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_nothing_heavy_to_tell_its_version(plugin):
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), plugin), "--version"],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    packages = {module.partition(".")[0] for module in modules}
    assert "singer_sdk" in packages
    assert not packages & LATER


@pytest.mark.parametrize("plugin", packages.plugins(examples=True))
def test_a_plugin_is_run_by_the_name_of_its_package_as_well(plugin, monkeypatch, capsys):
    """``python -m tap_invox``, where its script is not on the PATH."""
    monkeypatch.setattr(sys, "argv", [plugin, "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(plugin.replace("-", "_"), run_name="__main__")
    assert ended.value.code == 0
    assert plugin in capsys.readouterr().out
