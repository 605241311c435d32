"""INVOX, over real sockets."""

from __future__ import annotations

import json
import re
import tracemalloc
from datetime import datetime, timedelta

import pytest
import requests

from call_sandbox import Sandbox, credentials
from call_sandbox.calls import DEFAULT_NOW, HOME
from call_sandbox.vendors.invox import FIRST_ID, Invox

DOCUMENTED = (
    "call_id", "date", "duration", "status", "caller", "receivingnumber", "destinationnumber",
    "source", "keyword", "referrer", "medium", "campaign", "page", "campaignid", "adgroupid",
    "network", "matchtype", "creative", "adposition", "device", "day", "hour", "recording_uri",
    "gclid", "fbclid", "gacid", "ttclid", "reason", "summary", "client_sentiment",
    "operator_sentiment", "utm_content", "utm_term", "utm_source", "account",
)  # fmt: skip
"""In the order of the vendor's documents (14.03.2024)."""

STATUS = {
    "Answered", "No answer", "User busy", "Call Rejected", "Voice Mail", "Calling",
    "Unallocated (unassigned) number",
}  # fmt: skip


def ids(answer):
    return [call["call_id"] for call in answer.json()]


def test_without_parameters_all_calls_come_as_a_bare_array(invox):
    """All calls of the account, oldest first, keys in the documented order."""
    answer = invox()
    assert answer.headers["Content-Type"].startswith("application/json")
    assert ids(answer) == [FIRST_ID + n for n in range(300)]
    assert {call["status"] for call in answer.json()} > STATUS
    for call in answer.json():
        assert [key for key in DOCUMENTED if key in call] == list(call)


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1234])
def test_the_stream_is_one_array_whatever_its_length(count):
    """Also where its chunks meet, and when it is empty."""
    with Sandbox(calls=count) as sandbox:
        answer = requests.get(
            f"{sandbox.url}/invox/api/v2/calls",
            headers={"X-API-Key": credentials.INVOX_API_KEY},
            timeout=30,
        )
    assert ids(answer) == [FIRST_ID + n for n in range(count)]


def test_no_value_is_empty_or_null_or_absent(invox, sandbox):
    """All three spellings occur by default; the switch makes it one."""
    calls = invox().json()
    assert any(call.get("caller", 0) is None for call in calls)
    assert any(call.get("caller", 0) == "" for call in calls)
    assert any("caller" not in call for call in calls)
    for word, check in {
        "empty": lambda call: None not in call.values() and len(call) == 35,
        "null": lambda call: "" not in call.values() and len(call) == 35,
        "absent": lambda call: None not in call.values() and "" not in call.values(),
    }.items():
        sandbox.switches("invox", missing=word)
        assert all(check(call) for call in invox().json()), word


@pytest.mark.parametrize("key", [None, "", "wrong", credentials.INVOX_API_KEY + "x"])
def test_without_the_key_nothing_is_told(invox, key):
    """A missing or wrong X-API-Key is a 401."""
    answer = invox(key=key)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_only_get_is_accepted(invox, method):
    """The documented request type is GET."""
    assert invox(method=method).status_code == 405


@pytest.mark.parametrize(
    "parameters",
    [
        {"page": "1"}, {"From_date": "2025-10-01"}, {"from_date": "01.10.2025"}, {"from_date": ""},
        {"to_date": "2025-10-01T00:00:00"}, {"to_date": "2025-02-30"}, {"last_call_id": "x"},
        {"to_date": "2025-10-01 25:00:00"}, {"last_call_id": "-1"},
        {"from_date": ["2025-10-01"] * 2},
    ],
)  # fmt: skip
def test_unknown_and_malformed_parameters_are_refused(invox, parameters):
    """The sandbox is strict where the vendor may be lenient."""
    assert invox(**parameters).status_code == 400


def test_windows_that_meet_hold_every_call_once_but_in_the_repeated_hour(invox):
    """Local windows cut outside of the repeated hour are a partition of all calls."""
    day = datetime(2025, 9, 3, tzinfo=HOME).replace(tzinfo=None)
    found = []
    for _ in range(10):
        last = day + timedelta(days=7, seconds=-1)
        found += ids(invox(from_date=f"{day:%Y-%m-%d %H:%M:%S}", to_date=f"{last:%F %T}"))
        day += timedelta(days=7)
    assert found == ids(invox())


def test_bounds_are_compared_in_bare_local_time(invox):
    """Both passes of the repeated hour match its local time."""
    window = invox(from_date="2025-10-26 03:00:00", to_date="2025-10-26 03:59:59").json()
    assert all(call["date"].startswith("2025-10-26 03:") for call in window)
    times = [call["date"] for call in window]
    assert times != sorted(times)
    assert ids(invox(from_date="2025-10-26", to_date="2025-10-26")) == [
        call["call_id"] for call in invox().json() if call["date"].startswith("2025-10-26")
    ]


def test_edges_follow_the_switches(invox, sandbox):
    """Inclusive or exclusive: the last call id, the last second, a day without a time."""
    first, middle = invox().json()[10], invox().json()[200]
    assert ids(invox(last_call_id=first["call_id"]))[0] == first["call_id"] + 1
    assert middle["call_id"] in ids(invox(to_date=middle["date"]))
    assert middle["call_id"] in ids(invox(to_date=middle["date"][:10]))
    sandbox.switches(
        "invox", last_call_id="inclusive", to_date="exclusive", bare_to_date="midnight"
    )
    assert ids(invox(last_call_id=first["call_id"]))[0] == first["call_id"]
    assert middle["call_id"] not in ids(invox(to_date=middle["date"]))
    assert middle["call_id"] not in ids(invox(to_date=middle["date"][:10]))
    assert middle["call_id"] in ids(invox(from_date=middle["date"]))


def test_last_call_id_and_dates_are_combined_as_the_switch_says(invox, sandbox):
    """Together they narrow the answer; switched, the dates are ignored."""
    middle = invox().json()[200]
    both = {"last_call_id": middle["call_id"], "to_date": middle["date"]}
    assert invox(**both).json() == []
    sandbox.switches("invox", combined="last_call_id")
    assert len(ids(invox(**both))) == 99


@pytest.mark.parametrize(
    ("switch", "field", "form"),
    [
        ({"duration": "number"}, "duration", r"\d+"),
        ({"duration": "string"}, "duration", r'"\d+"'),
        ({"duration": "hms"}, "duration", r'"\d\d:\d\d:\d\d"'),
        ({"date": "documented"}, "date", r'"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"'),
        ({"date": "iso"}, "date", r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[23]:00"'),
        ({"day": "number"}, "day", r"\d{1,2}"),
        ({"day": "name"}, "day", r'"[MTWFS][a-z]+day"'),
        ({"id_key": "id"}, "id", r"\d+"),
        ({"id_key": "call_id"}, "call_id", r"\d+"),
    ],
)
def test_forms_follow_the_switches(invox, sandbox, switch, field, form):
    """Every unknown form can be had."""
    sandbox.switches("invox", **switch)
    values = [call[field] for call in invox().json() if call.get(field) not in {None, ""}]
    assert len(values) > 250
    assert all(re.fullmatch(form, json.dumps(value)) for value in values)


def test_order_follows_the_switch(invox, sandbox):
    """Descending and shuffled hold the same calls."""
    ascending = ids(invox())
    sandbox.switches("invox", order="desc")
    assert ids(invox()) == ascending[::-1]
    sandbox.switches("invox", order="shuffled")
    shuffled = ids(invox())
    assert sorted(shuffled) == ascending
    assert shuffled not in (ascending, ascending[::-1])


def test_the_zone_of_bare_times_follows_the_switch(invox, sandbox):
    """The same call is two or three hours earlier in UTC."""
    local = datetime.fromisoformat(invox().json()[0]["date"])
    sandbox.switches("invox", timezone="UTC")
    assert local - datetime.fromisoformat(invox().json()[0]["date"]) == timedelta(hours=3)


def test_errors_can_hide_in_a_200(invox, sandbox):
    """An error object instead of the array, with a good status."""
    sandbox.switches("invox", errors="in_200")
    answer = invox(key="wrong")
    assert (answer.status_code, set(answer.json())) == (200, {"error"})
    sandbox.switches("invox", errors="status", bad_key="403")
    assert invox(key="wrong").status_code == 403


def test_more_rows_than_the_cap_are_a_504(invox, sandbox):
    """Exactly the cap still comes."""
    sandbox.switches("invox", row_cap=300)
    assert len(ids(invox())) == 300
    sandbox.switches("invox", row_cap=299)
    assert invox().status_code == 504
    assert invox(last_call_id=FIRST_ID).status_code == 200


def test_status_words_outside_of_the_documents_occur_on_request(invox, sandbox):
    """Some in any case; Q.850 causes can replace the documented words, or only these be used."""
    foreign = {call["status"] for call in invox().json()} - STATUS
    assert 0 < sum(call["status"] in foreign for call in invox().json()) < 12
    sandbox.switches("invox", status="q850")
    assert {call["status"] for call in invox().json()} - STATUS
    sandbox.switches("invox", status="documented")
    assert {call["status"] for call in invox().json()} == STATUS


def test_calls_lack_what_a_call_can_lack(invox, sandbox):
    """A destination that no mailbox has, a duration of who never talked, and no final answer."""
    sandbox.switches("invox", missing="null", status="documented")
    final = [call for call in invox().json() if call["status"] != "Calling"]
    assert {c["status"] for c in final if not c["destinationnumber"]} == {"Voice Mail"}
    assert any(c["destinationnumber"] for c in final if c["status"] == "Voice Mail")
    silent = {call["status"] for call in final if call["duration"] is None}
    assert silent
    assert not silent & {"Answered", "Voice Mail"}


def test_a_partners_click_is_in_the_address_of_the_page(invox):
    """Under either name, beside another parameter and before a fragment."""
    pages = [call["page"] for call in invox().json() if "clickid" in str(call.get("page")).lower()]
    names = {re.findall(r"&(\w+)=Q[\w-]+#form$", page)[0] for page in pages}
    assert names == {"irclickid", "CLICKID"}


def test_calls_change_and_appear_as_time_goes_on(invox, sandbox):
    """`Calling` becomes final, AI fields come later, new calls start; nothing else changes."""
    sandbox.switches("invox", missing="null")
    before = {call["call_id"]: call for call in invox().json()}
    sandbox.advance(3 * 86400)
    after = {call["call_id"]: call for call in invox().json()}
    calling = {key for key, call in before.items() if call["status"] == "Calling"}
    assert calling
    assert all(after[key]["status"] != "Calling" for key in calling)
    assert all(before[key]["duration"] is None for key in calling)
    late = [key for key, call in before.items() if not call["summary"] and after[key]["summary"]]
    assert late
    assert len(after) > len(before)
    told = {"reason", "summary", "client_sentiment", "operator_sentiment"}
    final = {"status", "duration", "recording_uri"}
    for key, call in before.items():
        changed = {name for name in call if call[name] != after[key][name]}
        assert changed <= (told | final if key in calling else told)


def test_nothing_from_the_future_is_served(invox):
    """No call starts after the sandbox's now."""
    latest = max(call["date"] for call in invox().json())
    assert latest <= f"{datetime.fromtimestamp(DEFAULT_NOW, HOME):%F %T}"
    assert invox(from_date="2025-11-03 12:00:01").json() == []


def test_click_ids_fit_the_channel(invox, sandbox):
    """Gclid comes with paid search, fbclid and ttclid with their networks, none twice."""
    sandbox.switches("invox", missing="null")
    for call in invox().json():
        paid = call["source"] == "paid search"
        assert paid == (call["gclid"] is not None) == (call["campaignid"] is not None)
        assert (call["fbclid"] is not None) == (call["utm_source"] == "facebook")
        assert (call["ttclid"] is not None) == (call["utm_source"] == "tiktok")
        assert call["utm_term"] == call["keyword"]


def test_a_billion_calls_begin_to_flow_at_once_in_flat_memory():
    """Rows are computed while they are sent: neither time nor memory grows with their number."""
    with Sandbox(calls=10**9) as sandbox:
        tracemalloc.start()
        with requests.get(
            f"{sandbox.url}/invox/api/v2/calls",
            headers={"X-API-Key": credentials.INVOX_API_KEY},
            stream=True,
            timeout=30,
        ) as answer:
            received = sum(
                len(chunk) for chunk, _ in zip(answer.iter_content(2**16), range(150), strict=False)
            )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert received > 5_000_000
    assert peak < 5_000_000


def test_every_choice_of_every_switch_is_served(invox, sandbox):
    """No choice is only a word."""
    for word, switch in Invox.switches.items():
        for choice in switch.choices or (0, 1000):
            sandbox.switches("invox", **{word: choice})
            assert len({row.get("call_id") or row["id"] for row in invox().json()}) == 300
        sandbox.switches("invox", **{word: switch.default})
