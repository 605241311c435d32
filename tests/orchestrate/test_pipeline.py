"""What a task runs and becomes: the part of the DAGs that needs no engine."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / "orchestrate" / "airflow"
sys.path.append(str(AIRFLOW / "dags"))

import pipeline  # noqa: E402
from pipeline import Job, Pools, WrongError  # noqa: E402
from verdict import Log, Verdict  # noqa: E402

IMPACT = Job("a", "@hourly", (("tap-invox--impact", "target-impact-calls--invox"),), {})
INVOCA = Job("b", "@hourly", (("tap-invox--invoca", "target-invoca-calls--invox"),), {})
ROWS = Job("c", "@hourly", (("tap-invox--postgres", "target-postgres--invox"),), {})


@pytest.fixture
def pools(tmp_path):
    """``pools(impact={"slots": 1}, ...)``: the shipped file, with changes."""

    def make(jobs=(IMPACT, INVOCA, ROWS), **changes):
        told = json.loads((AIRFLOW / "pools.json").read_text())
        told = {name: pool | changes.get(name, {}) for name, pool in told.items()}
        (tmp_path / "pools.json").write_text(json.dumps(told))
        return Pools(tmp_path / "pools.json", list(jobs))

    return make


def hear(*events):
    """A log of these (level, text)."""
    log = Log()
    for level, text in events:
        log.hear(json.dumps({"level": level, "event": text, "name": "x"}))
    return log


def summary(**counts):
    """A log with this summary line."""
    return hear(("info", "Summary: " + " ".join(f"{n}={c}" for n, c in counts.items())))


def test_a_partition_is_read_whole_whatever_an_earlier_run_did():
    """With its two dates, not from a bookmark, under a state of its own."""
    day = datetime(2026, 1, 4, tzinfo=UTC)
    command = pipeline.past("a", *IMPACT.tasks[0], day, day.replace(day=11))
    assert command.line[:4] == ("el", "--no-install", "--force", "--full-refresh")
    assert "--state-id=past-a-tap-invox--impact-2026-01-04" in command.line
    assert command.env == {
        "TAP_INVOX__IMPACT_START_DATE": "2026-01-04T00:00:00Z",
        "TAP_INVOX__IMPACT_END_DATE": "2026-01-11T00:00:00Z",
    }


@pytest.mark.parametrize("name", ["rejected", "held", "still_rejected", "still_held"])
def test_calls_set_aside_are_never_green(name):
    """Also those of an earlier run, where this one repeats it."""
    verdict, said = summary(read=9, accepted=8, **{name: 1}).verdict(0, counted=True, again=True)
    assert verdict is Verdict.ASIDE
    assert f"1 {name}" in said


def test_a_task_says_where_the_calls_are_that_were_set_aside():
    """Also one that failed for another reason; a path may have a space."""
    places = ["s3://calls/rejected/x-*.singer.jsonl", "/var/my calls/x.held.singer.jsonl"]
    log = summary(read=9, accepted=7, rejected=1, held=1)
    log.hear(json.dumps({"level": "warning", "event": f"Rejected calls are in {places[0]}."}))
    log.hear(json.dumps({"level": "warning", "event": f"Held calls are in {places[1]}: see at"}))
    for code in (0, 1):
        said = log.verdict(code, counted=True, again=True)[1]
        assert f"1 rejected, 1 held, in {' and '.join(places)}." in said


@pytest.mark.parametrize(
    ("counts", "code", "again", "verdict"),
    [
        ({"read": 3, "accepted": 3}, 0, True, Verdict.DONE),
        ({"read": 3, "unchanged": 3}, 0, True, Verdict.DONE),
        ({"read": 3, "still_held": 3}, 0, False, Verdict.DONE),
        ({"read": 3, "pending": 1}, 0, True, Verdict.PENDING),
        ({"read": 3, "pending": 1, "held": 1}, 0, True, Verdict.ASIDE),
        ({"read": 3, "held": 1}, 1, True, Verdict.AGAIN),
    ],
)
def test_what_became_of_the_calls_is_what_a_task_becomes(counts, code, again, verdict):
    """Counts and exit code decide."""
    assert summary(**counts).verdict(code, counted=True, again=again)[0] is verdict


def test_a_target_that_counts_and_ends_without_a_count_is_not_green():
    """Nobody knows what became of its calls."""
    assert Log().verdict(0, counted=True, again=False)[0] is Verdict.AGAIN
    assert Log().verdict(0, counted=False, again=False)[0] is Verdict.DONE


@pytest.mark.parametrize(
    "sentence",
    [
        "Setting start_date is not a date: give one such as 2026-01-31T00:00:00Z.",
        "INVOX refuses the credentials (HTTP 401): check the setting api_key.",
        "The mapping in stream_maps fails on a call of stream calls (TypeError): make it fit every",
        "The environment variable HTTPS_PROXY names no usable proxy: give scheme, host and port",
        "The vendor refused the credentials: correct them",
        "Invoca refused oauth_token: correct it; it is sent raw, without Bearer",
        "The vendor denied permission: ask it for access",
        "Environment variable 'TAP_INVOX_API_KEY' referenced but not set. Make sure it is set.",
        "Extractor 'tap-invox--removed' is not known to Meltano.",
        "The ledger (ledger_url) needs a database driver: install the extra [postgres]",
        "ELT could not be completed: Cannot start loader: Executable 'x' could not be found.",
    ],
)
def test_what_a_person_must_correct_is_not_tried_again(sentence):
    """The sentence is what the page shows."""
    log = hear(("error", sentence), ("error", "ELT could not be completed: Extractor failed."))
    assert log.verdict(1, counted=True, again=True) == (Verdict.WRONG, sentence)


def test_a_machine_whose_meltano_lacks_a_driver_says_what_to_install():
    """Meltano says what is missing only."""
    verdict, said = hear(("error", "No module named 'psycopg'")).verdict(
        1, counted=True, again=True
    )
    assert verdict is Verdict.WRONG
    assert said.startswith("No module named 'psycopg': ")
    assert "meltano[postgres]" in said


def test_what_may_heal_is_tried_again_in_the_plugins_words():
    """Meltano's own last words say less."""
    said = "The vendor is down (HTTP 503) for longer than retry_after_max: run again later."
    log = hear(("error", said), ("error", "ELT could not be completed: Loader failed."))
    assert log.verdict(1, counted=True, again=True) == (Verdict.AGAIN, said)


def test_a_line_that_is_no_json_is_shown_as_it_is():
    """And a METRIC is not shown."""
    assert Log().hear("Killed\n") == ("info", "Killed")
    assert Log().hear('{"level": "info", "event": "METRIC"}') is None


def test_who_receives_limits_a_delivery_and_who_is_read_limits_the_rest(pools):
    """The pool of a task; an inheriting plugin has its parent's account, or one of its own."""
    made = pools(invoca={"plugins": ["target-invoca-calls", "target-impact-calls--brand-b"]})
    assert made.pool(*IMPACT.tasks[0]) == "impact"
    assert made.pool("tap-invox--brand-b", "target-impact-calls--brand-b") == "invoca"
    assert made.pool(*ROWS.tasks[0]) == "invox"
    assert made.pool("tap-csv", "target-jsonl") is None


def test_processes_together_never_ask_more_than_an_account_allows(pools):
    """Each gets an equal share; who is read meets the slots of all who read from it."""
    made = pools(
        impact={"slots": 4, "requests_per_minute": 600},
        invoca={"slots": 3},
        invox={"slots": 2, "requests_per_minute": 90},
    )
    assert pipeline.limits(made, *IMPACT.tasks[0]) == {
        "TAP_INVOX__IMPACT_REQUESTS_PER_MINUTE": "10",
        "TARGET_IMPACT_CALLS__INVOX_REQUESTS_PER_MINUTE": "150",
    }
    assert pipeline.limits(made, INVOCA.tasks[0][1]) == {}
    assert pipeline.limits(made, ROWS.tasks[0][0]) == {
        "TAP_INVOX__POSTGRES_REQUESTS_PER_MINUTE": "10"
    }


def test_a_pool_that_nothing_could_run_in_is_named(pools):
    """No slots, or less than a request a minute for each."""
    with pytest.raises(WrongError, match="impact has no slots"):
        pools(impact={"slots": 0}).check("impact")
    with pytest.raises(WrongError, match="4 runs may use the account impact"):
        pools(impact={"slots": 4, "requests_per_minute": 3}).share("target-impact-calls")


def test_a_missing_or_foreign_file_is_a_sentence(tmp_path):
    """Of the page: what to run."""
    with pytest.raises(WrongError, match="make airflow"):
        pipeline.read_jobs(tmp_path / "schedules.json")
    (tmp_path / "pools.json").write_text('{"impact": []}')
    with pytest.raises(WrongError, match=r"pools.json is missing or not in its form"):
        Pools(tmp_path / "pools.json", [])


def test_only_a_tap_with_dates_has_a_past():
    """As its settings say; who is on the line now has none."""
    pipeline.check_dates("tap-invox--impact", ROOT)
    for tap in ("tap-invoca-calls--postgres", "tap-nobody-locked"):
        with pytest.raises(WrongError, match=f"{tap} has no start_date and end_date"):
            pipeline.check_dates(tap, ROOT)


def test_plugins_do_not_see_the_engines_secrets(monkeypatch):
    """Its keys and its database are in its environment, and no plugin's business."""
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "secret")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "secret")
    monkeypatch.setenv("TAP_INVOX_API_KEY", "theirs")
    seen = pipeline.surroundings()
    assert "secret" not in seen.values()
    assert seen["TAP_INVOX_API_KEY"] == "theirs"


def closure(lock, *names):
    """What is installed with these, extras left out."""
    packages = {package["name"]: package for package in lock["package"]}
    found = list(names)
    for name in found:
        needs = (need["name"] for need in packages[name].get("dependencies", []))
        found += [need for need in needs if need not in found]
    return set(found)


def test_who_never_scales_out_installs_nothing_of_it():
    """Nothing of the engine is needed by a plugin, nor locked in this repository's own lock."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    plugins = [p.parent.name for p in ROOT.glob("*/pyproject.toml") if p.parent.name != "sandbox"]
    assert len(plugins) > 5
    wanted = (AIRFLOW / "requirements.in").read_text()
    engine = {
        re.split(r"[\[=<>~]", line)[0] for line in wanted.splitlines() if line[:1] not in "# "
    }
    assert "apache-airflow" in engine
    assert closure(lock, *plugins) & engine == set()
    assert [p["name"] for p in lock["package"] if "airflow" in p["name"]] == []


def test_the_engines_lock_holds_what_it_is_asked_for():
    """Each line of requirements.in has one exact version in requirements.txt."""
    wanted = re.findall(r"^([a-z0-9-]+)", (AIRFLOW / "requirements.in").read_text(), re.MULTILINE)
    locked = re.findall(
        r"^([a-z0-9-]+)==", (AIRFLOW / "requirements.txt").read_text(), re.MULTILINE
    )
    assert set(wanted) <= set(locked)
