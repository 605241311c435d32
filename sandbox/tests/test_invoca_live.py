"""Invoca calls in progress, over real sockets."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import requests

from call_sandbox import Sandbox, credentials
from call_sandbox.vendors.invoca_live import ATTRIBUTION, PROFILE

DOCUMENTED = {
    *ATTRIBUTION, "advertiser_campaign_country", "advertiser_campaign_id",
    "advertiser_campaign_id_from_network", "advertiser_campaign_name", "advertiser_id",
    "advertiser_id_from_network", "advertiser_name", "affiliate_campaign_id_from_network",
    "affiliate_commissions_ranking", "affiliate_conversion_rate_ranking", "affiliate_id",
    "affiliate_id_from_network", "affiliate_name", "affiliate_volume_ranking", "city",
    "keypress_1", "keypress_2", "keypress_3", "keypress_4", "keypresses", "media_type",
    "phone_type", "promo_number_description", "promo_number_id", "qualified_regions", "region",
    "repeat_calling_phone_number", "source", "start_time", "verified_zip_code", "zip_code",
    "custom_data", "demographics_data",
}  # fmt: skip
"""The general fields of the vendor's table, and the two nested ones."""


@pytest.fixture(scope="module")
def busy():
    """So many calls that some 50 are on the line at any time."""
    with Sandbox(calls=480_000, seed=2) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(busy):
    busy.reset()
    live = busy.state.vendor("invoca-live")
    busy.switches("invoca-live", **{name: switch.default for name, switch in live.switches.items()})
    return busy


@pytest.fixture
def live(sandbox):
    """Ask who is on the line; None removes a parameter."""

    def ask(
        token=credentials.INVOCA_TOKEN,
        method="GET",
        version="2022-08-01",
        path="calls_in_progress/current_calls.json",
        **changes,
    ):
        asked = {"organization_type": "Network", "id": "1", **changes}
        return requests.request(
            method,
            f"{sandbox.url}/invoca/api/{version}/{path}",
            params={name: value for name, value in asked.items() if value is not None},
            headers={"Authorization": token} if token else {},
            timeout=30,
        )

    return ask


def calls(answer):
    return answer.json()["current_calls"]


def test_all_41_fields_are_there_with_nulls(sandbox, live):
    """The answer is an object with one list; without quirks each call has the table's keys."""
    sandbox.switches("invoca-live", keypresses="plain", demographics="sibling")
    answer = live()
    assert answer.json().keys() == {"current_calls"}
    assert len(DOCUMENTED) == 41
    assert len(calls(answer)) > 20
    assert all(call.keys() == DOCUMENTED for call in calls(answer))


def test_a_call_begins_ends_and_never_comes_back(sandbox, live):
    """With the sandbox's time and nothing else."""
    runs = {}
    for poll in range(60):
        for call in calls(live()):
            runs.setdefault(call["transaction_id"], []).append(poll)
        assert calls(live()) == calls(live())
        sandbox.advance(10)
    assert all(polls == list(range(polls[0], polls[-1] + 1)) for polls in runs.values())
    assert any(polls[0] > 0 and polls[-1] < 59 for polls in runs.values())


def test_a_call_changes_while_it_lasts(sandbox, live):
    """Keys are pressed and an external id is applied; nothing that was said is taken back."""
    versions = {}
    for _ in range(20):
        for call in calls(live()):
            versions.setdefault(call["transaction_id"], []).append(call)
        sandbox.advance(10)
    for name in ("key presses", "external_unique_id"):
        stories = [[call[name] or "" for call in story] for story in versions.values()]
        assert any(len(set(story)) > 1 for story in stories)
        assert all(b.startswith(a) for story in stories for a, b in pairwise(story))


def test_the_latest_bridged_is_first(live):
    """The order that the vendor documents for its lookups."""
    bridged = [call["bridge_start_time"] for call in calls(live())]
    assert bridged == sorted(bridged, reverse=True)
    assert all(time.endswith("-08:00") for time in bridged)


@pytest.mark.parametrize("token", [None, "", "wrong", f"Bearer {credentials.INVOCA_TOKEN}"])
def test_only_the_raw_token_opens(live, token):
    """401, as the withdrawn draft shows it."""
    answer = live(token)
    assert (answer.status_code, answer.json()) == (401, {"error": "NotAuthorized"})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"organization_type": "network"}, "'organization_type' must be Network or Advertiser"),
        ({"organization_type": None}, "'organization_type' is required"),
        ({"id": None}, "'id' is required"),
        ({"id": "one"}, "'id' must be a number"),
        ({"limit": "10"}, "limit"),
        ({"oauth_token": credentials.INVOCA_TOKEN}, "oauth_token"),
        ({"transaction_id": ["A", "B"]}, "unique"),
        ({"calling_phone_number": "8005551234"}, "require each other"),
        ({"destination_phone_number": "8005551234"}, "require each other"),
    ],
    ids=str,
)
def test_a_wrong_request_is_a_403_with_its_problem(live, changes, problem):
    """Invoca's convention: a class and the problems in words."""
    answer = live(**changes)
    assert answer.status_code == 403
    assert answer.json()["errors"]["class"] == "InvalidInput"
    assert problem in answer.json()["errors"]["invalid_data"]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"method": "POST"}, 404),
        ({"version": "latest"}, 400),
        ({"version": "2099-01-01"}, 400),
        ({"version": "2022-03-01"}, 400),
    ],
    ids=str,
)
def test_another_method_or_version_has_no_route(live, how, status):
    """Each of Invoca's APIs has one documented version."""
    assert live(**how).status_code == status
    assert live().status_code == 200


@pytest.mark.parametrize("name", ["transaction_id", "call_record_id", "external_unique_id"])
def test_a_lookup_finds_its_call(live, name):
    """And an empty list when nothing matches."""
    wanted = next(call for call in calls(live()) if call[name])
    assert calls(live(**{name: wanted[name]})) == [wanted]
    assert calls(live(**{name: "nothing"})) == []


WRITE = {
    "as sent": lambda number: number,
    "without plus": lambda number: number[1:],
    "national": lambda number: f"0{number[3:]}",
    "with dashes": lambda number: f"{number[1:3]}-{number[3:6]}-{number[6:]}",
}


@pytest.mark.parametrize("form", WRITE)
def test_a_pair_of_numbers_finds_its_call_in_any_form(live, form):
    """With or without plus sign, country code and punctuation."""
    wanted = next(call for call in calls(live()) if call["calling_phone_number"])
    names = ("calling_phone_number", "destination_phone_number")
    assert wanted in calls(live(**{name: WRITE[form](wanted[name]) for name in names}))


def test_an_advertiser_has_its_own_calls(live):
    """Together they are those of the network."""
    parts = [calls(live(organization_type="Advertiser", id=number)) for number in "12345"]
    assert sum(map(len, parts)) == len(calls(live()))
    assert all(call["advertiser_id"] == "1" for call in parts[0])
    assert parts[4] == []


def test_the_documented_quirks(sandbox, live):
    """On by default: a key with a space, nested demographics, a key that occurs twice."""
    sandbox.switches("invoca-live", profiles="all")
    answer = live()
    for call in calls(answer):
        assert "key presses" in call
        assert "keypresses" not in call
        assert "demographics_data" not in call
        assert len(call["custom_data"]["demographics_data"]) == len(PROFILE) == 25
    ((_, listed),) = json.loads(answer.text, object_pairs_hook=list)
    ids = [[value for key, value in call if key == "external_unique_id"] for call in listed]
    assert {len(values) for values in ids} == {1, 2}
    assert all(values[0] is None and values[-1] for values in ids if len(values) == 2)


def test_an_account_for_attribution_gets_8_fields(sandbox, live):
    """And not more, whatever the other switches say."""
    sandbox.switches("invoca-live", payload="attribution", external_unique_id="once")
    assert all(tuple(call) == ATTRIBUTION for call in calls(live()))
    assert len(ATTRIBUTION) == 8


@pytest.mark.parametrize("path", ["calls_in_progress", "calls_in_progress.json"])
def test_the_printed_path_of_attribution_gives_the_same_calls_in_8_fields(sandbox, live, path):
    """With the same parameters, and the same refusals."""
    sandbox.switches("invoca-live", external_unique_id="once")
    full = [{name: call[name] for name in ATTRIBUTION} for call in calls(live())]
    assert calls(live(path=path)) == full
    wanted = full[0]["transaction_id"]
    assert calls(live(path=path, transaction_id=wanted)) == full[:1]
    assert live(path=path, id=None).status_code == 403
    assert live(path=path, version="2022-03-01").status_code == 400


def test_no_value_can_be_absent(sandbox, live):
    """As commit messages of the vendor's documents had it once."""
    sandbox.switches("invoca-live", missing="absent")
    assert all(None not in call.values() for call in calls(live()))


@pytest.mark.parametrize(("told", "status", "flag"), [
    ("both", 202, True), ("status", 202, None), ("flag", 200, True),
])  # fmt: skip
def test_each_nth_answer_can_be_partial(sandbox, live, told, status, flag):
    """It says so in one way or the other, and lacks calls of the full one."""
    sandbox.switches("invoca-live", partial_every=3, partial_told=told)
    whole, again, partial = live(), live(), live()
    assert calls(whole) == calls(again)
    assert (partial.status_code, partial.json().get("partial_data")) == (status, flag)
    assert ("CallsInProgressAPI::UnreachableRegion" in partial.text) is bool(flag)
    assert calls(partial) == calls(whole)[::2]


def test_the_list_can_have_the_name_of_the_first_draft(sandbox, live):
    """As a client might still meet it."""
    sandbox.switches("invoca-live", envelope="calls_in_progress")
    assert live().json().keys() == {"calls_in_progress"}


def test_the_page_masks_the_callers(sandbox, live):
    """It shows who is on the line without telling who."""
    shown = json.dumps(sandbox.state.summary(), ensure_ascii=False)
    numbers = [call["calling_phone_number"] for call in calls(live())]
    assert calls(live())[0]["transaction_id"] in shown
    assert not any(number in shown for number in numbers if number)
