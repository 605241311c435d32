"""The bench as its README shows it."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parents[2] / "sandbox" / "README.md"


def test_the_readme_s_test_of_a_target_passes(tmp_path, monkeypatch):
    """As printed there."""
    monkeypatch.chdir(tmp_path)
    example = README.read_text("utf-8").split("<!-- bench -->\n```python\n")[1].split("```")[0]
    exec(compile(example, README, "exec"), {})  # noqa: S102 - our own
