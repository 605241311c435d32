"""What starting a plugin costs: each line of a crontab, each task of a pipeline pays it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(file.parent.name for file in ROOT.glob("t*-*/pyproject.toml"))

# Each costs as much as a good part of the SDK; whoever needs one imports it then.
LATER = {"aiohttp", "httptools", "sqlalchemy", "psycopg", "obstore"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_nothing_heavy_to_tell_its_version(plugin):
    done = subprocess.run(
        [sys.executable, "-m", plugin.replace("-", "_"), "--version"],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    packages = {module.partition(".")[0] for module in modules}
    assert "singer_sdk" in packages
    assert not packages & LATER
