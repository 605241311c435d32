"""The promises, each broken once in a copy of its package: the tests must see it.

A row whose text is gone fails with a sentence: find where the promise lives now, and break it
there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
UNIT, FAULTS = "singer-calls/tests/test_", "tests/faults/test_"
CALLS, DELIVER = "singer-calls/singer_calls/", "singer-calls/singer_calls/deliver/"


class Mutation(NamedTuple):
    """A promise, how to break it, and a test that must fail then."""

    promise: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = [
    Mutation(
        "a STATE goes out after its calls only", f"{DELIVER}watermark.py",
        "while self._waiting and self._waiting[0][0] <= self._low:", "while self._waiting:",
        f"{UNIT}watermark.py::test_a_state_is_true_only_when_all_calls_before_it_are_settled",
    ),
    Mutation(
        "no STATE passes a call that is left for the next run", f"{DELIVER}watermark.py",
        "if self._stop is None or number < self._stop:", "if False:",
        f"{UNIT}watermark.py::test_no_state_behind_a_call_that_is_not_settled_is_ever_true",
    ),
    Mutation(
        "an empty STATE erases no bookmark", f"{DELIVER}watermark.py",
        "if not value:", "if value is None:",
        f"{UNIT}watermark.py::test_an_empty_state_erases_nothing",
    ),
    Mutation(
        "a delivered call is not sent again", f"{DELIVER}judgement.py",
        "if row.state in DELIVERED:", "if row.state in DELIVERED and row.released:",
        f"{UNIT}judgement.py::test_what_is_known_decides",
    ),
    Mutation(
        "a call of unknown outcome is held", f"{DELIVER}judgement.py",
        "(not policy.retry_unknown or row.remedy == PERSON)", "row.remedy == PERSON",
        f"{FAULTS}simulation.py::test_no_schedule_breaks_the_promise",
    ),
    Mutation(
        "another call under a known id is not taken for the first", f"{DELIVER}judgement.py",
        "if row.binds and delivery.identity.contradicts(row.identity):", "if False:",
        f"{UNIT}judgement.py::test_what_is_known_decides",
    ),
    Mutation(
        "the same call under another id is not paid again", f"{DELIVER}judgement.py",
        "    return Twin(OTHER_ID)", "    return None",
        f"{UNIT}judgement.py::test_a_known_call_under_another_id_goes_by_the_setting",
    ),
    Mutation(
        "a corrected time zone makes no other call", f"{DELIVER}identity.py",
        "return moved >= _MINUTE_SECONDS and not zone", "return moved >= _MINUTE_SECONDS",
        f"{UNIT}identity.py::test_a_moment_may_move_by_seconds_or_as_a_corrected_zone_moves_it",
    ),
    Mutation(
        "of two runs one gets the call", f"{DELIVER}transitions.py",
        "if not self.open or _version(row) != _version(claim.seen)", "if not self.open",
        f"{UNIT}ledger_contract.py::test_of_two_runs_that_saw_the_same_row_one_gets_the_call",
    ),
    Mutation(
        "what a dead run was sending is of unknown outcome", f"{DELIVER}transitions.py",
        "return replace(row, state=UNKNOWN,", "return replace(row, state=REJECTED,",
        f"{UNIT}ledger_contract.py::test_calls_of_a_run_that_died_here_are_unknown_at_once",
    ),
    Mutation(
        "a run whose lease is over sends nothing", f"{DELIVER}transport.py",
        "if not self._may_send():", "if False:",
        f"{UNIT}transport.py::test_a_run_that_may_not_send_writes_no_byte",
    ),
    Mutation(
        "a request without a response may have arrived", f"{DELIVER}transport.py",
        "return Unknown(reply.fault.reason)", "return Retry(reply.fault.reason)",
        f"{UNIT}transport.py::test_what_is_no_answer_leaves_the_call_unknown",
    ),
    Mutation(
        "a success that says nothing known is no success",
        "target-impact-calls/target_impact_calls/responses.py",
        'return Unknown("impact.com answered with success, but not with its Status")',
        "return Accepted()",
        "target-impact-calls/tests/test_responses.py::test_a_success_that_says_nothing_known_is_unknown",
    ),
    Mutation(
        "the rate limit holds in any minute", f"{CALLS}http/rate_limit.py",
        "return max(0.0, self._ended[-free] + span - now)",
        "return max(0.0, self._ended[-free] + span / 2 - now)",
        f"{UNIT}http_rate_limit.py::test_never_more_than_the_limit_reaches_the_vendor_in_any_minute",
    ),
    Mutation(
        "a vendor that asks for a pause gets it", f"{CALLS}http/retry.py",
        "RetryAfter(max(self.backoff(tries), wish or 0.0))", "RetryAfter(self.backoff(tries))",
        f"{UNIT}http_retry.py::test_no_wish_of_the_vendor_is_shortened_and_none_is_below_our_own_backoff",
    ),
    Mutation(
        "a run that rejects everything fails", f"{DELIVER}thresholds.py",
        "if _NONE_GOOD_CALLS <= tried == aside:", "if False:",
        f"{UNIT}thresholds.py::test_the_share_is_of_the_calls_tried",
    ),
    Mutation(
        "what is set aside is its owner's to read", f"{DELIVER}dead_letters.py",
        "os.O_WRONLY, 0o600)", "os.O_WRONLY, 0o644)",
        f"{UNIT}dead_letters.py::test_only_the_owner_can_read_file_and_folder",
    ),
    Mutation(
        "windows have no gap", f"{CALLS}extract/windows.py",
        "for index in range(count)]", "for index in range(1, count)]",
        f"{UNIT}windows.py::test_windows_have_no_gap_and_no_overlap",
    ),
    Mutation(
        "a call that changes late is read again", f"{CALLS}extract/windowed_stream.py",
        'timedelta(days=self.config["lookback_days"])', "timedelta()",
        f"{UNIT}extract_stream.py::test_the_lookback_is_asked_for_and_never_stored",
    ),
    Mutation(
        "an answer that was cut is not taken for a whole one", f"{CALLS}extract/json_array.py",
        "        if more is None or", "        if more is None:\n            return\n        if",
        f"{UNIT}extract_answer.py::test_a_cut_body_is_never_taken_for_a_whole_one",
    ),
    Mutation(
        "no number is shown", f"{CALLS}values/phone.py",
        "national: str = field(repr=False)", "national: str = field()",
        f"{UNIT}phone.py::test_a_number_does_not_show_its_digits",
    ),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.promise)
def test_a_broken_promise_is_seen(mutation, tmp_path):
    """By the test that is to prove it, which passes in `make test` and fails on the broken copy."""
    package = Path(mutation.file).parts[1]
    source = Path(mutation.file).parents[-2]  # the folder of the distribution
    copy = tmp_path / package
    shutil.copytree(ROOT / source / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / Path(mutation.file).relative_to(source)
    text = file.read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file} has not this any more: {mutation.old}"
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    options = (
        "-x",
        "-q",
        "-n0",
        "--no-cov",
        "-pno:cacheprovider",
        f"--basetemp={tmp_path / 'run'}",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, mutation.test],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-3000:]
