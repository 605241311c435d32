"""What recordings need is an extra: without it nothing changes, and nothing is imported."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib.resources import files

import pytest

from singer_calls.recordings import checks
from singer_calls.recordings.audio import inspect

LIBRARIES = ("obstore", "tinytag", "miniaudio")


@pytest.mark.parametrize("module", ["tap_iovox.tap", "target_invoca_calls.target"])
def test_a_plugin_imports_no_library_of_the_extra(module):
    program = f"import sys, {module}; print(*(sys.modules.keys() & {{*{LIBRARIES}}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_without_the_library_that_decodes_two_equal_channels_count_as_two(monkeypatch):
    """They are one only by their sound."""
    data = (files("call_sandbox") / "audio" / "dual-mono.mp3").read_bytes()
    assert inspect(io.BytesIO(data), len(data)).channels == 1
    monkeypatch.setitem(sys.modules, "miniaudio", None)  # an import of it fails
    monkeypatch.delitem(sys.modules, "singer_calls.recordings.decode")
    assert inspect(io.BytesIO(data), len(data)).channels == 2


def test_without_the_libraries_the_setting_names_the_extra(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)
    (told,) = checks.errors({"recordings_url": "s3://calls"})
    assert "singer-calls[recordings]" in told
