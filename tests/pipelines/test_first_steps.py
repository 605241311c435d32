"""A new user's first steps: a filled .env, an unfilled one, a wrong one."""

from __future__ import annotations

import pytest

JOB = "invox-to-impact"


def test_a_filled_env_file_is_all_that_a_run_needs(project, sandbox):
    """`meltano run invox-to-impact` delivers each final call once (the demo tests `install`).

    The sandbox has credentials of its own: what is filled in for real vendors is not sent there.
    """
    mine = project(TAP_INVOX_API_KEY="mine", TARGET_IMPACT_CALLS_PASSWORD="mine")
    log = mine.run("--log-level=debug", "run", JOB)
    books = sandbox.books("impact")
    assert len(books) > 100
    assert set(books.values()) == {1}
    # As README warns, Meltano writes the tap's messages down; nothing else tells who called.
    messages, others = [], []
    for line in log.splitlines():
        (messages if '"type":"RECORD"' in line else others).append(line)
    callers = {entry["form"]["CallerId"][-9:] for entry in sandbox.journal("impact")} - {
        "anonymous"
    }
    assert any(caller in "".join(messages) for caller in callers)
    assert not any(caller in "".join(others) for caller in callers)


@pytest.fixture
def real(project, sandbox):
    """``real(VARIABLE=value)``: a filled .env; in dev and prod, the sandbox is the real vendors."""
    filled = {
        "TAP_INVOX_API_KEY": "sandbox-invox-key",
        "TAP_INVOX_API_URL": f"{sandbox.url}/invox",
        "TARGET_IMPACT_CALLS_USERNAME": "sandbox-user",
        "TARGET_IMPACT_CALLS_PASSWORD": "sandbox-password",
        "TARGET_IMPACT_CALLS_CAMPAIGN_ID": "1000",
        "TARGET_IMPACT_CALLS_ACTION_TRACKER_ID": "4000",
        "TARGET_IMPACT_CALLS_API_URL": f"{sandbox.url}/impact",
    }
    return lambda **variables: project(**filled | variables)


@pytest.mark.parametrize("variable", ["TAP_INVOX_API_KEY", "TARGET_IMPACT_CALLS_CAMPAIGN_ID"])
def test_a_missing_variable_is_named_and_nothing_is_sent(real, sandbox, variable):
    """Strict variables: the sentence says which one, before a plugin starts."""
    mine = real()
    file = mine.folder / "env"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{variable}=")]
    file.write_text("\n".join(lines))
    done = mine.meltano("--environment=prod", "run", JOB)
    assert done.returncode == 1
    assert f"'{variable}' referenced but not set" in done.stdout
    assert "Traceback" not in done.stdout
    assert sandbox.journal() == []


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_a_wrong_key_ends_in_a_sentence_without_the_key(real, sandbox):
    """At the vendor, and no call moves; an empty one the tap refuses itself."""
    done = real(TAP_INVOX_API_KEY="planted-key").meltano("--environment=prod", "run", JOB)
    assert done.returncode == 1
    assert "api_key" in done.stdout
    assert "planted-key" not in done.stdout
    assert "Traceback" not in done.stdout
    assert sandbox.journal("invox")
    assert sandbox.books("impact") == {}


@pytest.mark.long  # several runs of Meltano: `.ci/run` has them after `make test`
def test_a_number_without_a_partner_is_rejected_unless_one_is_named(real, sandbox):
    """No partner is paid by default: the calls wait in the file, and go when there is one."""
    mine = real(TARGET_IMPACT_CALLS__INVOX_MAX_REJECTED_PERCENT="100")
    log = mine.run("--environment=prod", "run", JOB)
    first = sandbox.books("impact")
    partners = {entry["form"]["MediaId"] for entry in sandbox.journal("impact")}
    assert partners == {"10001", "10002", "10003"}
    assert "MediaId" in log
    (rejected,) = (mine.folder / "rejected").glob("*.singer.jsonl")
    assert rejected.name.startswith("target-impact-calls--invox-")
    assert f"Rejected calls are in {rejected}" in log
    with (mine.folder / "env").open("a") as file:
        file.write("TARGET_IMPACT_CALLS_MEDIA_ID=77\n")
    invoke = ("invoke", "target-impact-calls--invox", "--input", str(rejected))
    mine.run("--environment=prod", *invoke)
    sent = [entry["form"]["MediaId"] for entry in sandbox.journal("impact")]
    assert {*sent} - partners == {"77"}
    assert len(first) < len(sandbox.books("impact")) == len(sent)
    for words in (("", "--ledger"), (":ledger", "status")):
        invoke = ("invoke", f"target-impact-calls--invox{words[0]}", words[1])
        assert "accepted" in mine.run("--environment=prod", *invoke)


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_a_dry_run_reads_the_source_and_sends_nothing(real, sandbox):
    """Environment dev: the real source, everything but the requests, no state, no ledger."""
    mine = real(TARGET_IMPACT_CALLS_MEDIA_ID="77")
    log = mine.run("--environment=dev", "run", JOB)
    assert "would_send=1" in log
    assert sandbox.journal("invox")
    assert sandbox.journal("impact") == []
    assert not (mine.folder / "calls.ledger.db").exists()


@pytest.mark.long  # several runs of Meltano: `.ci/run` has them after `make test`
def test_two_brands_are_read_with_keys_of_their_own(project, sandbox):
    """The example of several accounts: one tap each, and each program gets each call once.

    The sandbox gives both keys the calls of one account.
    """
    both = {"TARGET_IMPACT_CALLS__BRAND_B_SAME_CALL_OTHER_ID": "send"}
    project(**both).run("run", "invox-brands-to-impact")
    programs = [entry["form"]["CampaignId"] for entry in sandbox.journal("impact")]
    assert set(programs) == {"1000", "2000"}
    assert programs.count("1000") == programs.count("2000") == len(sandbox.books("impact"))


@pytest.mark.long  # `.ci/run` has it after `make test`: it runs a pipeline whole
def test_rejected_calls_are_replayed_after_the_cause_is_corrected(pipeline, sandbox, tmp_path):
    """What impact.com refused is kept as INVOX sent it; once it is taken, --input sends it."""
    job = pipeline(JOB)
    sandbox.faults("impact", "400")
    assert job.run().code == 1
    assert sandbox.books("impact") == {}
    sandbox.faults("impact")
    (rejected,) = (tmp_path / "rejected").glob("*.singer.jsonl")
    assert job.target.run((), "--input", str(rejected)).code == 0
    assert job.run(full_refresh=True).code == 0
    books = sandbox.books("impact")
    assert len(books) > 100
    assert set(books.values()) == {1}
