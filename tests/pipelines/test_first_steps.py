"""A new user's first steps: a filled .env, an unfilled one, a wrong one."""

from __future__ import annotations

import pytest

JOB = "invox-to-impact"


def test_a_filled_env_file_is_all_that_a_run_needs(project, sandbox):
    """`meltano install && meltano run invox-to-impact` delivers each final call once."""
    mine = project()
    mine.run("install", "tap-invox", "target-impact-calls")
    mine.run("run", JOB)
    books = sandbox.books("impact")
    assert len(books) > 100
    assert set(books.values()) == {1}


@pytest.mark.parametrize("variable", ["TAP_INVOX_API_KEY", "LEDGER_URL", "SANDBOX_URL"])
def test_a_missing_variable_is_named_and_nothing_is_sent(project, sandbox, variable):
    """Strict variables: the sentence says which one, before a plugin starts."""
    mine = project()
    file = mine.folder / "env"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{variable}=")]
    file.write_text("\n".join(lines))
    done = mine.meltano("run", JOB)
    assert done.returncode == 1
    assert f"'{variable}' referenced but not set" in done.stdout
    assert "Traceback" not in done.stdout
    assert sandbox.journal() == []


def test_an_empty_variable_is_named_by_the_plugin(project, sandbox):
    """`TAP_INVOX_API_KEY=` is not a key: it fails at the start, not at the vendor."""
    done = project(TAP_INVOX_API_KEY="").meltano("run", JOB)
    assert done.returncode == 1
    assert "api_key" in done.stdout
    assert "Traceback" not in done.stdout
    assert sandbox.journal() == []


def test_a_wrong_key_ends_in_a_sentence_without_the_key(project, sandbox):
    """The vendor's 401 becomes a sentence; no call moves and no key is shown."""
    done = project(TAP_INVOX_API_KEY="planted-wrong-key").meltano("run", JOB)
    assert done.returncode == 1
    assert "api_key" in done.stdout
    assert "planted-wrong-key" not in done.stdout
    assert "Traceback" not in done.stdout
    assert sandbox.books("impact") == {}


def test_a_dry_run_reads_the_source_and_sends_nothing(project, sandbox):
    """Environment dev: the real source, everything but the requests, no state, no ledger."""
    mine = project()
    urls = {
        "TAP_INVOX_API_URL": f"{sandbox.url}/invox",
        "TARGET_IMPACT_CALLS_API_URL": f"{sandbox.url}/impact",
    }
    log = mine.run("--environment=dev", "run", JOB, **urls)
    assert "would_send=1" in log
    assert sandbox.journal("invox")
    assert sandbox.journal("impact") == []
    assert not (mine.folder / "calls.ledger.db").exists()


def test_two_brands_are_read_with_keys_of_their_own(project, sandbox):
    """The example of several accounts: one tap each, and each program gets each call once."""
    project().run("run", "invox-brands-to-impact")
    programs = [entry["form"]["CampaignId"] for entry in sandbox.journal("impact")]
    assert set(programs) == {"1000", "2000"}
    assert programs.count("1000") == programs.count("2000") == len(sandbox.books("impact"))


def test_rejected_calls_are_replayed_after_the_cause_is_corrected(project, sandbox):
    """What impact.com refused is kept as INVOX sent it; once it is taken, --input sends it."""
    mine = project()
    sandbox.faults("impact", "400")
    done = mine.meltano("run", JOB)
    assert done.returncode == 1
    assert sandbox.books("impact") == {}
    sandbox.faults("impact")
    (rejected,) = (mine.folder / "rejected").glob("*.singer.jsonl")
    mine.run("invoke", "target-impact-calls--invox", "--input", str(rejected))
    mine.run("run", JOB)
    books = sandbox.books("impact")
    assert len(books) > 100
    assert set(books.values()) == {1}
