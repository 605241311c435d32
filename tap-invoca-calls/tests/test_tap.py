"""The command, against the sandbox."""

from __future__ import annotations

import json
import signal
import time

import pytest

from call_sandbox.testing import wait_until

TOKEN = "sandbox-invoca-token"


def records(messages):
    return [message["record"] for message in messages if message["type"] == "RECORD"]


def states(messages):
    return [message["value"] for message in messages if message["type"] == "STATE"]


def told(log):
    """The error lines of a log, without their decoration."""
    return [line.split("|")[-1].strip() for line in log.splitlines() if "| ERROR" in line]


def test_a_snapshot_has_every_call_on_the_line_once(run, sandbox, settings):
    """Nothing of a watch in it, and no state to resume from."""
    messages, code, _ = run(settings)
    calls = records(messages)
    live = sandbox.state.vendor("invoca-live")
    assert code == 0
    assert [call["transaction_id"] for call in calls] == [
        live.render(call)["transaction_id"] for call in live.on_the_line()
    ]
    assert len({call["observed_at"] for call in calls}) == 1
    assert {call["first_seen_at"] for call in calls} == {None}
    assert states(messages)[-1] == {"bookmarks": {"calls_in_progress": {}}}


@pytest.mark.parametrize(
    "switches",
    [
        {"payload": "attribution"},
        {"keypresses": "plain", "demographics": "sibling", "external_unique_id": "once"},
        {"missing": "absent"},
        {"numbers": "digits"},
        {"numbers": "dashed", "envelope": "calls_in_progress"},
        {"envelope": "both, one of them null"},
        {"profiles": "all"},
    ],
    ids=str,
)
def test_each_quirk_gives_the_same_calls(run, sandbox, settings, switches):
    """However the vendor writes them."""
    sandbox.switches("invoca-live", **switches)
    messages, code, log = run(settings)
    calls = records(messages)
    assert code == 0
    assert len(calls) == sandbox.state.vendor("invoca-live").total() > 0
    assert all(call["transaction_id"] and call["bridge_start_time"] for call in calls)
    assert "WARNING" not in log


def test_demographics_are_left_out_unless_asked_for(run, sandbox, settings):
    """Neither the schema nor any record knows them, wherever they were sent."""
    sandbox.switches("invoca-live", profiles="all")
    without, _, _ = run(settings)
    assert "data_append" not in json.dumps(without)
    assert "demographics_data" not in json.dumps(without)
    asked_for, _, _ = run(settings | {"include_demographics": True})
    profile = records(asked_for)[0]["demographics_data"]
    assert profile["first_name_data_append"] == "Sample"
    assert profile["has_children_data_append"] is False


@pytest.mark.parametrize(
    "name", ["transaction_id", "call_record_id", "external_unique_id", "calling_phone_number"]
)
def test_a_lookup_asks_for_that_call_only(run, sandbox, settings, name):
    """Every documented query, the two numbers together."""
    live = sandbox.state.vendor("invoca-live")
    call = next(row for row in map(live.render, live.on_the_line()) if row[name])
    names = [name, "destination_phone_number"] if name.startswith("calling") else [name]
    lookup = {name: call[name] for name in names}
    messages, code, log = run(settings | {"lookup": lookup})
    assert code == 0
    assert call["transaction_id"] in {row["transaction_id"] for row in records(messages)}
    assert all(row[name] == call[name] for row in records(messages) for name in names)
    assert sandbox.journal("invoca-live")[-1]["query"].items() >= lookup.items()
    assert call[name] not in log


def test_an_advertiser_sees_its_own_calls(run, sandbox, settings):
    """The type goes with its capitals, the organization as a number."""
    organization = {"organization_type": "Advertiser", "organization_id": 4}
    messages, _, _ = run(settings | organization)
    assert {row["advertiser_id"] for row in records(messages)} == {"4"}
    assert sandbox.journal("invoca-live")[-1]["query"] == {
        "organization_type": "Advertiser",
        "id": "4",
    }


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"organization_type": "network"}, "organization_type must be one of Network, Advertiser"),
        ({"organization_id": "1"}, "organization_id must be of type integer"),
        ({"oauth_token": ""}, "oauth_token is empty"),
        (
            {"lookup": {"calling_phone_number": "+15550001111"}},
            "lookup.calling_phone_number stands",
        ),
        (
            {"lookup": {"destination_phone_number": "+15550001111"}},
            "lookup.destination_phone_number stands alone",
        ),
        (
            {"lookup": {"caller": "+15550001111"}},
            "lookup.caller is unknown: lookup can have transaction_id, call_record_id, ",
        ),
        ({"lookup": {"transaction_id": None}}, "lookup has nothing but null in it"),
        ({"lookup": {"x\n\x1b[31m": 1}}, r"lookup.x\n\x1b[31m is unknown"),
        ({"poll_seconds": 0}, "poll_seconds must be at least 1"),
        ({"api_url": "http://invoca.example"}, "api_url must begin with https://"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("covered")
def test_a_wrong_setting_is_one_sentence_before_anything_is_asked(
    run, sandbox, settings, wrong, sentence
):
    """It names the setting, and shows neither a number nor the token."""
    messages, code, log = run(settings | wrong)
    assert (code, messages) == (1, [])
    (error,) = told(log)
    assert sentence in error
    assert not sandbox.journal("invoca-live")
    assert "5550001111" not in log
    assert TOKEN not in log


@pytest.mark.usefixtures("covered")
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("401", "check the setting oauth_token"),
        ("403", "check organization_type, organization_id and lookup"),
        ("404", "check organization_type, organization_id and lookup, and api_url"),
        ("429 retry-after 999", "more than retry_after_max (300 s)"),
        ("503", "Invoca answered HTTP 503, 1 times in a row"),
        ("302", "check the setting api_url"),
        ("html", "something that is not a list of calls"),
        ("empty", "something that is not a list of calls"),
        ("reset_after_body", "could not be reached"),
        ("reset_half_answer", "cut its answer short"),
    ],
)
def test_a_snapshot_that_fails_is_one_sentence(run, sandbox, settings, fault, sentence):
    """What happened and what to do; no number of the lookup and no token in it."""
    sandbox.faults("invoca-live", fault)
    lookup = dict.fromkeys(("calling_phone_number", "destination_phone_number"), "+15550001111")
    messages, code, log = run(settings | {"lookup": lookup})
    assert code == 1
    assert not records(messages)
    (error,) = told(log)
    assert sentence in error
    assert sandbox.fired("invoca-live")
    assert "Traceback" not in log
    assert "5550001111" not in log
    assert TOKEN not in log


def test_the_wrong_token_is_one_sentence(run, settings):
    """The sandbox answers 401 as the vendor does."""
    _, code, log = run(settings | {"oauth_token": "planted-token-4711"})
    assert code == 1
    assert told(log) == [
        "Invoca refuses the credentials (HTTP 401): check the setting oauth_token."
    ]
    assert "4711" not in log


def test_not_even_the_debug_log_shows_a_lookup(run, settings, monkeypatch):
    """The HTTP library would write the whole query there."""
    monkeypatch.setenv("TAP_INVOCA_CALLS_LOGLEVEL", "DEBUG")
    lookup = dict.fromkeys(("calling_phone_number", "destination_phone_number"), "+15550001111")
    _, code, log = run(settings | {"lookup": lookup})
    assert code == 0
    assert "DEBUG" in log
    assert "5550001111" not in log
    assert TOKEN not in log


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_watch_with_its_state(tap, stop):
    """While it waits for the next poll: exit code 128 + signal, state as of the last poll."""
    tap.settings |= {"watch_seconds": 600, "poll_seconds": 300}
    watch = tap.start(eager=False)
    while b'"STATE"' not in watch.hear():
        pass
    heard = len(watch.heard)
    assert watch.send(stop).wait(20) == 128 + stop
    assert len(watch.heard) == heard
    messages, log = watch.output.messages, watch.errors
    open_calls = states(messages)[-1]["bookmarks"]["calls_in_progress"]["open_calls"]
    assert [row["transaction_id"] for row in open_calls] == [
        row["transaction_id"] for row in records(messages)
    ]
    assert "Traceback" not in log


def test_a_signal_does_not_wait_for_an_answer(tap, sandbox):
    """A poll that hangs is given up."""
    sandbox.faults("invoca-live", "late 30")
    watch = tap.start(watch_seconds=600)
    wait_until(lambda: sandbox.fired("invoca-live"), "it asks")
    assert watch.send(signal.SIGTERM).wait(10) == 128 + signal.SIGTERM


def test_a_call_that_is_listed_twice_is_told_once(run, sandbox, settings, monkeypatch):
    """The transaction id is the key of the answer, too."""
    live = sandbox.state.vendor("invoca-live")
    on_the_line = live.on_the_line()
    monkeypatch.setattr(live, "on_the_line", lambda: on_the_line * 2)
    messages, code, _ = run(settings)
    assert code == 0
    assert len(records(messages)) == len(on_the_line)


def test_a_call_without_its_key_costs_itself_and_ends_no_other(
    run, sandbox, settings, tmp_path, monkeypatch
):
    """The answer lacks something: what it does not show may still be on the line."""
    live, broken = sandbox.state.vendor("invoca-live"), []
    write = live._written

    def written(row):
        call = write(row)
        if row["transaction_id"] not in broken:
            return call
        return call.replace('"transaction_id"', '"transaction"')

    monkeypatch.setattr(live, "_written", written)
    watching = settings | {"watch_seconds": 1, "poll_seconds": 2}
    first, _, _ = run(watching)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(states(first)[-1]))
    broken.append(records(first)[0]["transaction_id"])
    second, code, log = run(watching, "--state", state)
    assert code == 0
    assert not [row for row in records(second) if row["ended_at"]]
    assert "sent something without transaction_id" in log
    assert "sent 1 elements that are no usable calls" in log
    assert "element 1 of the list of current calls (without a usable transaction_id)" in log


@pytest.mark.parametrize("way", ["both", "status", "flag"])
def test_an_answer_that_says_it_is_partial_ends_nothing(run, sandbox, settings, tmp_path, way):
    """Said by the status, by the body, or by both."""
    watching = settings | {"watch_seconds": 1, "poll_seconds": 2}
    first, _, _ = run(watching)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(states(first)[-1]))
    sandbox.advance(7200)
    sandbox.switches("invoca-live", partial_every=1, partial_told=way)
    partial, _, log = run(watching, "--state", state)
    assert "could not ask all of its regions" in log
    assert not [row for row in records(partial) if row["ended_at"]]
    state.write_text(json.dumps(states(partial)[-1]))
    sandbox.switches("invoca-live", partial_every=0)
    whole, _, _ = run(watching, "--state", state)
    ended = {row["transaction_id"] for row in records(whole) if row["ended_while_stopped"]}
    assert ended >= {row["transaction_id"] for row in records(first)}


@pytest.mark.parametrize("told", ["null", "false", "number", "text"])
def test_an_answer_that_says_it_is_whole_ends_the_calls_that_it_lacks(
    run, sandbox, settings, tmp_path, told
):
    """Whatever its form of false is: taken for partial, no call would ever end."""
    watching = settings | {"watch_seconds": 1, "poll_seconds": 2}
    sandbox.switches("invoca-live", whole_told=told)
    first, _, _ = run(watching)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(states(first)[-1]))
    sandbox.advance(7200)
    second, code, log = run(watching, "--state", state)
    assert (code, "all of its regions" in log) == (0, False)
    ended = {row["transaction_id"] for row in records(second) if row["ended_while_stopped"]}
    assert ended == {row["transaction_id"] for row in records(first)}


@pytest.mark.usefixtures("covered")
def test_a_watch_without_any_answer_fails(run, sandbox, settings, tmp_path):
    """In one sentence, and with the state that it was given."""
    watching = settings | {"watch_seconds": 2, "poll_seconds": 1}
    first, _, _ = run(watching)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(states(first)[-1]))
    sandbox.faults("invoca-live", "503")
    messages, code, log = run(watching, "--state", state)
    assert code == 1
    assert len(told(log)) == 1
    assert "Invoca answered HTTP 503" in told(log)[0]
    assert sandbox.fired("invoca-live") == {"503": 3}
    assert {json.dumps(value) for value in states(messages)} == {json.dumps(states(first)[-1])}


def test_a_refusal_ends_a_watch_with_its_state(run, sandbox, settings):
    """A token that is taken away will not come back by itself."""
    sandbox.faults("invoca-live", {"fault": "401", "after": 1})
    messages, code, log = run(settings | {"watch_seconds": 60, "poll_seconds": 1})
    assert code == 1
    assert "check the setting oauth_token" in told(log)[0]
    open_calls = states(messages)[-1]["bookmarks"]["calls_in_progress"]["open_calls"]
    assert len(open_calls) == len(records(messages)) > 0


def test_a_poll_is_tried_again_when_the_vendor_says(run, sandbox, settings):
    """backoff_max_tries and Retry-After count for each poll."""
    sandbox.faults("invoca-live", {"fault": "429 retry-after 1", "times": 1})
    started = time.monotonic()
    messages, code, log = run(settings | {"backoff_max_tries": 2})
    assert code == 0
    assert time.monotonic() - started > 1
    assert records(messages)
    assert "asking again in 1.0 s" in log


@pytest.mark.usefixtures("covered")
@pytest.mark.parametrize(
    "other",
    [
        {"organization_type": "Advertiser", "organization_id": 3},
        {"lookup": {"call_record_id": "Z6E5-0"}},
    ],
    ids=str,
)
def test_a_watch_of_something_else_ends_no_call_of_the_first(run, settings, tmp_path, other):
    """Its answers say nothing about them: they are forgotten, with a warning."""
    watching = settings | {"watch_seconds": 1, "poll_seconds": 1}
    first, _, _ = run(watching)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(states(first)[-1]))
    messages, code, log = run(watching | other, "--state", state)
    assert code == 0
    assert not [row for row in records(messages) if row["ended_at"]]
    assert "are forgotten" in log


def test_a_connection_test_is_one_poll(run, sandbox, settings):
    """Whether or not anybody is on the line, and however long the watch would be."""
    nobody = {"watch_seconds": 600, "lookup": {"transaction_id": "NOBODY"}}
    _, code, _ = run(settings | nobody, "--test")
    assert code == 0
    assert len(sandbox.journal("invoca-live")) == 1


def test_the_state_shows_nothing_of_a_call(run, settings):
    """Other tools print it: no number, no name, no token, no float."""
    messages, _, _ = run(settings | {"watch_seconds": 1, "poll_seconds": 1})
    state = json.dumps(states(messages)[-1])
    assert records(messages)
    for call in records(messages):
        for name in ("calling_phone_number", "destination_phone_number", "advertiser_name"):
            assert (call[name] or "none") not in state
    assert TOKEN not in state
    assert "." not in state.replace("127.0.0.1", "")


@pytest.mark.usefixtures("covered")
def test_a_state_of_something_else_is_one_sentence(run, settings, tmp_path):
    """It is not taken for an empty one: the ends of its calls would be lost."""
    state = tmp_path / "state.json"
    state.write_text('{"bookmarks": {"calls_in_progress": {"open_calls": [{"id": 1}]}}}')
    _, code, log = run(settings | {"watch_seconds": 1}, "--state", state)
    assert code == 1
    assert len(told(log)) == 1
    assert "calls_in_progress is not one of a watch" in told(log)[0]


def test_a_snapshot_leaves_the_state_of_a_watch_alone(run, settings, tmp_path):
    """Both can share a pipeline's state."""
    watched, _, _ = run(settings | {"watch_seconds": 1, "poll_seconds": 1})
    state = tmp_path / "state.json"
    state.write_text(json.dumps(states(watched)[-1]))
    snapshot, _, _ = run(settings, "--state", state)
    assert states(snapshot)[-1] == states(watched)[-1]
