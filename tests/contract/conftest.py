"""The house's own scripts, as modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]


def script(name):
    """A file of scripts/, imported."""
    spec = importlib.util.spec_from_file_location(name, HOUSE / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def packages():
    """scripts/packages.py."""
    return script("packages")


@pytest.fixture(scope="session")
def generate():
    """scripts/generate.py."""
    return script("generate")
