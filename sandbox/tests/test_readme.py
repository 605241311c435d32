"""The README's tables are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from call_sandbox import credentials
from call_sandbox.app import VENDORS
from call_sandbox.faults import WORDS

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")

FAULTS = [f"| `{word.form.replace(' | ', '`, `')}` | {word.meaning} |" for word in WORDS]
SWITCHES = [
    f"| `{vendor.name}` | `{name}` | {switch.meaning} | "
    f"{', '.join(f'`{value}`' for value in switch.choices or (switch.default,))} |"
    for vendor in VENDORS
    for name, switch in vendor.switches.items()
]


@pytest.mark.parametrize("row", [*FAULTS, *SWITCHES])
def test_every_word_and_switch_has_its_row(row):
    """The row to add is in the message of this test."""
    assert row in README.splitlines()


def test_no_row_is_left_of_what_is_gone():
    """The tables hold nothing else."""
    for heading, rows in (("## Fault words", FAULTS), ("## Switches", SWITCHES)):
        section = README.partition(heading)[2].partition("\n## ")[0]
        shown = [line for line in section.splitlines() if line.startswith("| `")]
        assert sorted(shown) == sorted(rows)


def test_every_credential_and_prefix_is_told():
    """What a person has to type is there."""
    told = [value for name, value in vars(credentials).items() if name.isupper()]
    assert len(told) == 6
    for value in (*told, *(vendor.prefix for vendor in VENDORS)):
        assert f"`{value}`" in README


def test_the_first_value_of_a_switch_is_its_default():
    """As the README says."""
    for vendor in VENDORS:
        for name, switch in vendor.switches.items():
            assert switch.accepts(switch.default), name
            assert switch.default in switch.choices[:1] or not switch.choices, name
