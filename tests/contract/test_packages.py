"""What the workflows rely on: which packages a change concerns, and which tag may release."""

from __future__ import annotations

from pathlib import Path

import packages
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def known():
    """The packages of this repository."""
    return packages.packages()


def test_every_workspace_member_is_known_by_its_folder(known):
    """A package that is added to the repository is tested and can be released."""
    assert {p["folder"] for p in known.values()} == {
        file.parent.name for file in ROOT.glob("*/pyproject.toml")
    }
    assert known["call-sandbox"]["folder"] == "sandbox"


@pytest.mark.parametrize("file", ["singer-calls/singer_calls/errors.py", "uv.lock", "sandbox/x.py"])
def test_a_change_of_what_all_share_concerns_every_package(known, file):
    """The shared library, the sandbox and the lock can break everything."""
    assert len(packages.changed([file], known)) == len(known)


def test_a_change_of_one_plugin_concerns_that_plugin_alone(known):
    """Plugins do not import each other, so they do not break each other."""
    assert packages.changed(["tap-invox/tap_invox/tap.py", "README.md"], known) == ["tap-invox"]
    assert packages.changed(["docs/scaling.md"], known) == []


def test_a_tag_releases_the_package_and_version_it_names(known):
    """The tag of the version in pyproject.toml is accepted."""
    version = known["tap-invox"]["version"]
    assert packages.released(f"tap-invox-v{version}", known) == "tap-invox"


@pytest.mark.parametrize(
    "tag", ["tap-invox-v9.9.9", "tap-callrail-v0.1.0", "tap-no-v0.1.0", "v0.1.0", "", "tap-invox"]
)
def test_a_tag_that_lies_is_refused(known, tag):
    """Another version, an unknown package or another form never reaches the registry."""
    with pytest.raises(ValueError, match=r"The tag"):
        packages.released(tag, known)
