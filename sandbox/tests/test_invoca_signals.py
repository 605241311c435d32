"""Invoca's Signal API, over real sockets: what is learned of a call after its ingestion."""

from __future__ import annotations

import pytest
import requests

from call_sandbox.credentials import INVOCA_TOKEN

CALL = {
    "external_call_unique_id": "invox:1",
    "start_time": 1460404800000,
    "destination_phone_number": "+442079460104",
    "calling_phone_number": "+447700900123",
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "recording_url": "https://recordings.example/1.wav",
}
SEARCH = {"external_call_unique_id": "invox:1"}


def post(sandbox, path, body, token=INVOCA_TOKEN, method="POST"):
    return requests.request(
        method,
        f"{sandbox.url}/invoca/api/{path}",
        json=body,
        headers={"Authorization": token} if token else {},
        timeout=30,
    )


@pytest.fixture
def tell(sandbox):
    """Ingest a call, then tell Invoca of it: signals as a dict of name and value."""
    signals = [{"name": "Quote", "value": False}]
    answer = post(sandbox, "2022-03-01/calls.json", {"call": CALL, "signals": signals})
    assert answer.status_code == 201

    def tell(told=None, version="2018-02-01", how=None, **body):
        body = {"search": SEARCH, "partner_unique_id": "ours", **body}
        if told is not None:
            body["signals"] = [{"name": name, "value": value} for name, value in told.items()]
        body = {name: value for name, value in body.items() if value is not ...}
        return post(sandbox, f"{version}/transactions.json", body, **(how or {}))

    return tell


def problem(answer):
    assert answer.status_code == 403
    return answer.json()["errors"]["class"], answer.json()["errors"]["invalid_data"]


def test_signals_and_custom_data_are_added_to_an_ingested_call(tell, sandbox):
    """Over what was known; the answer joins the names of a transaction by commas."""
    answer = tell(
        {"Sale": "YES", "quote": 1}, custom_data=[{"name": "channel", "value": "Paid Search"}]
    )
    assert answer.status_code == 200
    (shown,) = answer.json()["signals"]
    assert (shown["name"], shown["value"], shown["partner_unique_id"]) == (
        *("Sale,quote", "true,true"), "ours",
    )  # fmt: skip
    assert shown["corrects_transaction_id"] is None
    assert sandbox.signals() == {
        "invox:1": {
            "signals": {"sale": True, "quote": True},
            "custom_data": {"channel": "Paid Search"},
            "updates": 1,
        }
    }
    assert sandbox.books("invoca-signals") == {"invox:1": 1}


def test_the_same_again_creates_nothing_and_another_corrects(tell, sandbox):
    """So a repetition after a broken line is safe."""
    first, again = tell({"sale": True}), tell({"sale": True})
    assert again.json() == first.json()
    assert sandbox.signals()["invox:1"]["updates"] == 1
    again = tell({"sale": False})
    assert sandbox.signals()["invox:1"]["updates"] == 2
    assert (
        again.json()["signals"][0]["corrects_transaction_id"]
        == (first.json()["signals"][0]["transaction_id"])
    )


@pytest.mark.parametrize(("updates", "left"), [("all", False), ("names", True)])
def test_what_an_update_leaves_out_is_gone_or_stays_as_the_switch_says(
    tell, sandbox, updates, left
):
    """Who always sends all that is known, false ones too, ends alike in both readings."""
    sandbox.switches("invoca-signals", updates=updates)
    tell({"sale": True, "test drive": True})
    tell({"test drive": False})
    signals = sandbox.signals()["invox:1"]["signals"]
    assert ("sale" in signals) == left
    assert signals["test drive"] is False
    tell({"sale": False, "test drive": True})
    assert sandbox.signals()["invox:1"]["signals"] == {
        "quote": False, "sale": False, "test drive": True,
    }  # fmt: skip


def test_the_page_shows_what_is_so_of_a_call_and_what_is_not(tell, sandbox):
    """From its ingestion and from what came later; and how many calls have a signal."""

    def shown():
        vendors = requests.get(f"{sandbox.url}/_summary", timeout=30).json()["vendors"]
        (card,) = (one for one in vendors if one["name"] == "invoca-signals")
        (call,) = card["newest"]
        assert call["key"] == "invox:1"
        return call["when"], call["status"], card["statuses"]

    assert shown() == ("0 updates", "not quote", {})
    tell({"Sale": True, "quote": True})
    assert shown() == ("1 updates", "quote, sale", {"quote": 1, "sale": 1})
    tell({"Sale": False, "quote": True})
    assert shown() == ("2 updates", "quote, not sale", {"quote": 1})


def test_a_call_is_found_once_it_is_processed(tell, sandbox):
    """Until then, and for a call that was never ingested, 404."""
    sandbox.switches("invoca-signals", found_after=3600)
    missing = tell({"sale": True})
    assert (missing.status_code, missing.json()["errors"]) == (
        404, {"class": "RecordNotFound", "invalid_data": "No call found"},
    )  # fmt: skip
    sandbox.advance(3600)
    assert tell({"sale": True}).status_code == 200
    assert tell({"sale": True}, search={"external_call_unique_id": "x"}).status_code == 404
    call = tell({"sale": True}).json()["call"]["transaction_id"]
    assert tell({"sale": True}, search={"transaction_id": call}).status_code == 200


def test_a_call_in_progress_is_answered_without_a_look(tell, sandbox):
    """201 and no body, whatever the call."""
    answer = tell({"sale": True}, search={"call_record_id": "x"}, call_in_progress=True)
    assert (answer.status_code, answer.content) == (201, b"")
    assert sandbox.books("invoca-signals") == {}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"search": ...}, "'search' is required"),
        ({"search": {**SEARCH, "transaction_id": "1"}}, "'search' needs one of"),
        ({"search": {**SEARCH, "network_id": "1"}}, "params in 'search' are not supported"),
        ({"revenue": "1.00"}, "The following params in the request are not supported"),
        ({"signals": {}}, "'signals' must be an array of hashes"),
        ({"signals": [{"name": "resale"}]}, "signals[0] 'name' does not exist"),
        ({"signals": [{"name": "sale", "value": "maybe"}]}, "must be true or false"),
        ({"signals": [{"name": "sale", "revenue": "1,000.00"}]}, "signals[0] 'revenue' is invalid"),
        ({"signals": [{"name": "sale", "revenue": 0}]}, "signals[0] 'revenue' is invalid"),
        ({"signals": [{"name": "sale"}, {"name": "SALE"}]}, "must be unique"),
        ({"occurred_at_time": "2026/13/01T00:00:00Z"}, "'occurred_at_time' is invalid"),
        ({"signals": [{"name": "sale", "occurred_at_time": "x"}]}, "signals[0] 'occurred_at_time'"),
        ({"custom_data": [{"name": "shoe_size", "value": 1}]}, "custom_data[0] 'name' does not"),
    ],
)
def test_a_wrong_request_is_refused_by_name(tell, sandbox, body, text):
    """In one text, of the class that the documents show for several faults."""
    kind, told = problem(tell(**body))
    assert kind == "InvalidInput"
    assert text in told
    assert sandbox.books("invoca-signals") == {}


@pytest.mark.parametrize("body", [{}, [], [SEARCH], "search", None])
def test_a_request_without_anything_is_refused_as_such(sandbox, body):
    """Whatever JSON it is."""
    answer = post(sandbox, "2018-02-01/transactions.json", body)
    assert problem(answer) == ("RecordInvalid", "Validation failed: 'search' is required")


def test_versions_tokens_and_limits_are_the_documented_ones(tell, sandbox):
    """Its own version, the raw token in the header, ten signals or a hundred."""
    assert tell({"sale": True}, version="2022-03-01").status_code == 400
    assert tell({"sale": True}, how={"token": None}).status_code == 401
    assert tell({"sale": True}, how={"method": "PUT"}).status_code == 200
    assert tell({"sale": True}, how={"method": "GET"}).status_code == 404
    many = {f"signal {n}": True for n in range(11)}
    assert problem(tell(many)) == ("RecordInvalid", "Validation failed: Signals are limited to 10")
    sandbox.switches("invoca-signals", limit="100", names="created")
    assert tell(many).status_code == 200
    apart = [{"name": f"s{n}", "partner_unique_id": str(n)} for n in range(11)]
    body = {"search": SEARCH, "signals": apart}
    assert "partner_unique_id" in problem(post(sandbox, "2018-02-01/transactions.json", body))[1]


def test_faults_and_scripts_know_the_call(tell, sandbox):
    """As of every vendor, by the call's id in its source."""
    sandbox.script("invoca-signals", {"invox:1": ["504", "refuse UnauthorizedOperation: No"]})
    assert tell({"sale": True}).status_code == 504
    assert problem(tell({"sale": True})) == ("UnauthorizedOperation", "No")
    assert tell({"sale": True}).status_code == 200
    sandbox.reset()
    assert sandbox.signals() == {}
