"""The sandbox's iovox against the vendor's documents."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from importlib.resources import files
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests

from call_sandbox import Sandbox
from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME
from call_sandbox.vendors.iovox_calls import FIELDS

HEADERS = {"username": IOVOX_USERNAME, "secureKey": IOVOX_SECURE_KEY}
PUBLISHED = json.loads(
    files("call_sandbox.vendors").joinpath("iovox_documented.json").read_text("utf-8")
)


@pytest.fixture
def sandbox():
    with Sandbox(calls=400, seed=5) as sandbox:
        yield sandbox


def ask(sandbox, **params):
    return requests.get(
        f"{sandbox.url}/iovox/rest/v1/calls/insights", params=params, headers=HEADERS, timeout=10
    )


def everything(sandbox, **params):
    fields = {"response_fields": ",".join(FIELDS), "start_date": "2020-01-01"}
    return ask(sandbox, **(fields | {"order": "call_start_ASC"} | params)).json()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"order": "node_DESC"}, "Order Field Invalid"),
        ({"order": "link_category_id_ASC"}, "Order Field Invalid"),
        ({"order": "call_start_UP"}, "Order Direction Invalid"),
        ({"page": "one"}, "Page number not an integer"),
        ({"page": "0"}, "Page number not an integer"),
        ({"page": "-1"}, "Page number not an integer"),
        ({"date_constant": "TOMORROW"}, "Date Constant invalid"),
        ({"tag_colour": "GOLD,PINK"}, "Tag Colour invalid"),
        ({"limit": "many"}, "Limit not an integer"),
        ({"limit": 0}, "Limit must be between 1 and 20000"),
        ({"limit": 20001}, "Limit must be between 1 and 20000"),
        ({"start_date": "2024-02-30"}, "Start Date invalid"),
        ({"end_date": "26.02.2024"}, "End Date invalid"),
        ({"iovox_number": "+44"}, "Iovox Number not an integer"),
        ({"response_fields": "id,one,two"}, "Required fields olvalid: one, two"),
        ({"nod_id": "1", "from": "2"}, "Unknown or repeated parameter: from, nod_id"),
        ({"page": ["1", "2"]}, "Unknown or repeated parameter: "),
    ],
)
def test_each_documented_error_is_answered_for_what_it_names(sandbox, params, message):
    """Status 400 and the documented string, in each form that clients have met."""
    for form, pattern in {
        "xml": f'<errors><error status="400">{message}</error></errors>',
        "json": f'{{"error": "{message}"}}',
        "json_errors": f'"__content__": "{message}"',
        "text": f"^{message}$",
    }.items():
        sandbox.switches("iovox", errors=form)
        answer = ask(sandbox, **params)
        assert answer.status_code == 400
        assert re.search(pattern, answer.text)


def test_another_method_is_refused_by_name(sandbox):
    """The documented string names the method."""
    url = f"{sandbox.url}/iovox/rest/v1/calls/insights"
    answer = requests.post(url, headers=HEADERS, timeout=10)
    assert (answer.status_code, "Request Method must be GET. POST attempted" in answer.text) == (
        400,
        True,
    )


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_wrong_key_is_refused(sandbox, status):
    """Both headers must be right."""
    sandbox.switches("iovox", bad_key=status)
    url = f"{sandbox.url}/iovox/rest/v1/calls/insights"
    for wrong in ({}, HEADERS | {"username": "x"}, HEADERS | {"secureKey": "x"}):
        assert requests.get(url, headers=wrong, timeout=10).status_code == int(status)


@pytest.mark.parametrize("example", PUBLISHED[1:], ids=["calls", "categories", "insights"])
def test_a_published_request_gets_its_published_answer(sandbox, example):
    """Field by field; the dates of the published requests are not those of their answers."""
    sandbox.switches("iovox", calls="documented")
    asked = dict(parse_qsl(urlsplit(example["request"]).query))
    answer = ask(sandbox, **(asked | {"start_date": "2024-02-26", "end_date": "2024-02-26"}))
    assert answer.json() == example["answer"]


def test_the_default_answer_has_the_published_fields(sandbox):
    """The talk times of the two published calls are swapped there, the keys are the same."""
    sandbox.switches("iovox", calls="documented")
    rows = ask(sandbox, start_date="2024-02-26").json()
    assert [row.keys() for row in rows] == [row.keys() for row in PUBLISHED[0]["answer"]]
    sandbox.switches("iovox", default_talk_time_sec="absent")
    assert "talk_time_sec" not in ask(sandbox, start_date="2024-02-26").json()[0]
    # What the published answers don't tell is not made up.
    alert = ask(sandbox, start_date="2024-02-26", response_fields="id,email_alert").json()
    assert [list(row) for row in alert] == [["id"], ["id"]]


def test_every_documented_field_can_be_asked_for_alone(sandbox):
    """The answer has that field's key and no other."""
    assert len(FIELDS) == 56
    for name, (part, key) in FIELDS.items():
        (row,) = ask(sandbox, response_fields=name, start_date="2020-01-01", limit=1).json()
        expected = "categories" if part.endswith("_categories") else part or key
        assert list(row) == [expected]


def test_pages_hold_each_call_once(sandbox):
    """In the asked order, with an empty page past the end."""
    rows = everything(sandbox, limit=20000)
    pages = [everything(sandbox, limit=90, page=page) for page in range(1, 7)]
    assert [len(page) for page in pages[:3]] == [90, 90, 90]
    assert [row["id"] for page in pages for row in page] == [row["id"] for row in rows]
    assert pages[-1] == []
    newest = everything(sandbox, limit=20000, order="call_start_DESC")
    assert [row["id"] for row in newest] == [row["id"] for row in reversed(rows)]
    called = [row["call_destination"] for row in rows]
    for direction, by_destination in (("ASC", sorted(called)), ("DESC", sorted(called)[::-1])):
        found = everything(sandbox, limit=20000, order=f"call_destination_{direction}")
        assert [row["call_destination"] for row in found] == by_destination
    sandbox.switches("iovox", past_end="last")
    assert everything(sandbox, limit=90, page=99) == pages[(len(rows) - 1) // 90]


def test_yesterday_is_the_day_before_the_sandbox_s_own(sandbox):
    """Whole, in the zone of the account, and whatever the dates say."""
    days = {row["call_start"][:10] for row in everything(sandbox, limit=20000)}
    zone = ZoneInfo("Europe/London")
    yesterday = (datetime.fromtimestamp(sandbox.now, zone) - timedelta(days=1)).date().isoformat()
    assert yesterday in days
    asked = everything(sandbox, date_constant="YESTERDAY")
    assert asked == [row for row in everything(sandbox) if row["call_start"][:10] == yesterday]


def test_every_filter_lets_through_what_it_names(sandbox):
    """Each documented filter, with a value taken from a call, finds that call and not all."""
    sandbox.switches("iovox", outcomes="text")
    rows = everything(sandbox)
    told = next(row for row in rows if row["keyword_rules"] and row["call_outcomes"])
    sold = next(row for row in rows if row["categories"]["call_categories"])
    values = {
        "id": f"{told['id']},{rows[0]['id']}",
        **{
            name: told[name]
            for name in (
                *("node_id", "node_name", "link_id", "link_name", "call_result", "rule_result"),
                *("call_origin", "iovox_number", "call_destination", "direction"),
            )
        },
        "tag_text": told["tags"][0]["text"],
        "tag_colour": told["tags"][0]["colour"],
        "keyword_rules": told["keyword_rules"][0]["keyword_rule"],
        "call_outcomes": told["call_outcomes"][0],
        "node_category_ids": f"{told['categories']['node_categories'][0]['category_id']},99",
        "call_origin_encoded": told["call_origin"][:4] + told["call_origin"][:3:-1],
    }
    for name, value in values.items():
        found = everything(sandbox, **{name: value})
        assert told["id"] in {row["id"] for row in found}, name
        assert len(found) < len(rows), name
    category = sold["categories"]["call_categories"][0]["category_id"]
    assert sold in everything(sandbox, call_category_ids=category)
    assert everything(sandbox, link_type="other", node_type="other") == []


def test_what_is_known_of_a_call_grows(sandbox):
    """Transcriptions come within half an hour, comments within 18 days, in the same call."""
    before = {row["id"]: row for row in everything(sandbox)}
    sandbox.advance(19 * 86400)
    after = {row["id"]: row for row in everything(sandbox)}
    assert before.keys() < after.keys()
    for part in ("comments", "transcriptions"):
        grown = [key for key in before if len(after[key][part]) > len(before[key][part])]
        assert grown
    assert all(after[key]["call_start"] == row["call_start"] for key, row in before.items())


def test_a_call_shows_when_it_has_ended(sandbox):
    """With `started`, calls that go on are listed too."""
    listed = everything(sandbox)
    sandbox.switches("iovox", listed="started")
    assert len(everything(sandbox)) > len(listed)


def test_the_ends_of_a_range_are_as_the_switch_says(sandbox):
    """`end_date` names a second that is in or out."""
    second = everything(sandbox)[10]["call_start"]
    assert everything(sandbox, start_date=second, end_date=second)
    sandbox.switches("iovox", end_date="exclusive")
    assert everything(sandbox, start_date=second, end_date=second) == []


def test_switches_change_the_form_of_values(sandbox):
    """Ids, flags, duration keys and missing values come in the forms that clients have met."""
    row = everything(sandbox)[0]
    assert isinstance(row["id"], int)
    assert row["has_recording"] in {"TRUE", "FALSE"}
    assert row["node_type"] == ""
    sandbox.switches("iovox", id="string", flag="1", seconds="seconds", none="absent")
    row = everything(sandbox)[0]
    assert isinstance(row["id"], str)
    assert row["has_recording"] in {"0", "1"}
    assert "call_time_seconds" in row
    assert "node_type" not in row


def test_calls_that_come_and_go_and_ties(sandbox):
    """Some calls show, or are gone, only some requests later; many share a second."""
    sandbox.switches("iovox", arrivals=10, ties=50)
    first, *_, last = (everything(sandbox) for _ in range(8))
    assert {row["id"] for row in first} < {row["id"] for row in last}
    assert len({row["call_start"] for row in last}) <= 400 / 50
    sandbox.switches("iovox", arrivals=0, removals=10)
    sandbox.reset()
    whole, *_, rest = (everything(sandbox) for _ in range(8))
    assert {row["id"] for row in rest} < {row["id"] for row in whole}
    sandbox.switches("iovox", removals=0, tie_order="shuffled")
    one, other = everything(sandbox), everything(sandbox)
    assert one != other
    assert [row["call_start"] for row in one] == [row["call_start"] for row in other]


def test_a_limit_above_the_cap_is_a_timeout(sandbox):
    """504 in the vendor's own form."""
    sandbox.switches("iovox", row_cap=100)
    assert ask(sandbox, limit=101).status_code == 504
    assert ask(sandbox, limit=100).status_code == 200


def test_the_page_shows_no_number(sandbox):
    """Callers are masked."""
    shown = requests.get(f"{sandbox.url}/_summary", timeout=10).json()
    (iovox,) = [vendor for vendor in shown["vendors"] if vendor["name"] == "iovox"]
    assert iovox["newest"]
    assert not re.search(r"\d{6}", "".join(call["caller"] for call in iovox["newest"]))
