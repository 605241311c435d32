"""Every documented error ends in one sentence that says what to change."""

from __future__ import annotations

import pytest

from singer_calls.errors import PluginError
from tap_iovox.refusals import REFUSALS, sentence

# As documented (vendor docs, insights, Error Result).
DOCUMENTED = {
    "Request Method must be GET. POST attempted": "check api_url and the proxy",
    "Order Field Invalid": "update tap-iovox",
    "Order Direction Invalid": "update tap-iovox",
    "Page number not an integer": "update tap-iovox",
    "Limit not an integer": "check the setting page_size",
    "Limit must be between 1 and 20000": "set page_size to a number from 1 to 20000",
    "Start Date invalid": "check the setting start_date",
    "End Date invalid": "check the setting end_date",
    "Iovox Number not an integer": "check filters.iovox_number",
    "Required fields olvalid: node_type, task_status": "(node_type, task_status): deselect them",
}
FORMS = {
    "xml": '<?xml version="1.0"?><errors><error status="400">{}</error></errors>',
    "json": '{{"error": "{}"}}',
    "json_errors": '{{"errors": {{"error": [{{"status": "400", "__content__": "{}"}}]}}}}',
    "text": "{}",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("documented", DOCUMENTED)
def test_each_documented_error_says_what_to_change(documented, form):
    """In each form that clients have met, and in the older API's spelling."""
    for spelling in (documented, documented.title()):
        told = sentence(400, FORMS[form].format(spelling).encode())
        assert told.startswith('iovox answered "')
        assert DOCUMENTED[documented] in told
        assert told.endswith(".")


def test_the_table_holds_every_documented_error():
    """One row each; the slip "olvalid" may be mended one day."""
    assert len(REFUSALS) == len(DOCUMENTED) + 1
    assert "(node_type)" in sentence(400, b"Required fields invalid: node_type, +447700900123")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"<html>Sorry</html>", b"[]"])
def test_an_undocumented_refusal_is_left_to_others(body):
    """Nothing of a body is ever quoted."""
    assert sentence(400, body) is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", ["401", "403"])
def test_wrong_credentials_mention_the_allow_list(bench, status, form):
    """The vendor ties keys to IP addresses, so a right key is refused from a wrong place."""
    bench.sandbox.switches("iovox", bad_key=status, errors=form)
    with pytest.raises(PluginError, match=f"HTTP {status}.*username.*secure_key.*allow-list"):
        bench.run(secure_key="wrong")
    assert len(bench.asked()) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_refused_field_is_named(bench, form, monkeypatch):
    """The documented error over the wire, for a field that this iovox does not know."""
    monkeypatch.setattr(
        "call_sandbox.vendors.iovox_query.FIELDS",
        {"id": ("", "id"), "call_start": ("", "call_start")},
    )
    bench.sandbox.switches("iovox", errors=form)
    with pytest.raises(PluginError, match=r"\(node_name, node_type\): deselect them"):
        bench.run({"calls": ["node_name", "node_type"]})


@pytest.mark.parametrize(
    "fault", ["500", "503 retry-after 0", "200-with-error", "cut_json", "html"]
)
def test_what_may_pass_is_asked_again(bench, fault):
    """500 "Retry later" and whatever is no answer: nothing is lost."""
    expected = bench.run().ids
    bench.sandbox.reset()
    bench.sandbox.faults("iovox", {"fault": fault, "times": 1})
    assert bench.run().ids == expected
    assert bench.sandbox.fired("iovox") == {fault: 1}
