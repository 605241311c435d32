"""The setting `filters`, from the settings to the wire."""

from __future__ import annotations

import pytest
from singer_sdk.exceptions import ConfigValidationError

from call_sandbox.vendors.iovox_query import FILTERS as DOCUMENTED
from tap_iovox.filters import DECIDED_ELSEWHERE, FILTERS

# Filter -> a value as a user may give it, and as the request has to carry it.
VALUES = {
    "id": ("30683207599876,30683207351872", "30683207599876,30683207351872"),
    "node_id": (2, "2"),
    "node_name": ("Brighton Motors", "Brighton Motors"),
    "node_type": ("branch", "branch"),
    "link_id": ("53", "53"),
    "link_name": ("London & Söhne+1", "London & Söhne+1"),
    "link_type": ("default-type", "default-type"),
    "call_result": ("NO ANSWER", "NO ANSWER"),
    "rule_result": ("Call to an Operator", "Call to an Operator"),
    "call_origin": ("447966111222", "447966111222"),
    "call_origin_encoded": ("4478_516CD74E0509B222", "4478_516CD74E0509B222"),
    "iovox_number": (448456111222, "448456111222"),
    "call_destination": ("447966123456", "447966123456"),
    "direction": ("IN", "IN"),
    "link_category_ids": ([1, 2, 3], "1,2,3"),
    "call_category_ids": ("1,2,3", "1,2,3"),
    "node_category_ids": (7, "7"),
    "contact_category_ids": (["8", 9], "8,9"),
    "tag_text": ("Test Drive", "Test Drive"),
    "tag_colour": (["GOLD", "RED"], "GOLD,RED"),
    "keyword_rules": ("Test Drive discussed", "Test Drive discussed"),
    "call_outcomes": ("Sale", "Sale"),
}


def test_the_filters_are_the_documented_ones():
    """All 22, each with a value in this test."""
    assert {*FILTERS} == {*DOCUMENTED} == {*VALUES}
    assert len(FILTERS) == 22


@pytest.mark.parametrize("name", VALUES)
def test_each_filter_goes_out_under_its_own_name(bench, name):
    """As the documents write it, and nothing but the tap's own parameters beside it."""
    given, sent = VALUES[name]
    bench.run({"calls": ["id"]}, filters={name: given})
    own = {"order", "response_fields", "start_date", "end_date", "limit", "page"}
    for query in bench.asked():
        assert {key: value for key, value in query.items() if key not in own} == {name: sent}


def test_filters_choose_calls(bench):
    """The vendor filters; several filters are all obeyed."""
    everything = bench.run().calls
    found = bench.run(filters={"node_id": "1", "call_result": "ANSWERED", "link_id": None}).calls
    expected = [
        call for call in everything if (call["node_id"], call["call_result"]) == ("1", "ANSWERED")
    ]
    assert found == expected
    assert 0 < len(found) < len(everything)


@pytest.mark.parametrize("start", [{"start_date": None}, {}])
def test_a_call_that_is_asked_for_by_its_id_is_one_request(bench, start):
    """However long the past is."""
    some = bench.run().ids[300]
    bench.sandbox.reset()
    assert bench.run(filters={"id": some}, window_days=1, **start).ids == [some]
    assert len(bench.asked()) == 1


def test_filters_of_null_alone_do_not_read_everything(bench):
    """Whoever wrote a filter whose variable is not set wants something else."""
    with pytest.raises(ConfigValidationError, match="nothing but null"):
        bench.run(filters={"id": None, "link_id": None})
    assert bench.asked() == []


@pytest.mark.parametrize("name", DECIDED_ELSEWHERE)
def test_what_the_tap_decides_is_no_filter(bench, name):
    """The sentence says where it is decided."""
    with pytest.raises(ConfigValidationError) as error:
        bench.run(filters={name: "1"})
    assert str(error.value) == f"filters.{name} is not a filter: {DECIDED_ELSEWHERE[name]}"
    assert bench.asked() == []


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"tag_color": "RED"}, "filters.tag_color is unknown: give one of id, node_id,"),
        ({"tag_colour": "PINK"}, "filters.tag_colour must be one or more of BLUE, GREEN, GOLD"),
        ({"tag_colour": "red"}, "filters.tag_colour must be one or more of BLUE, GREEN, GOLD"),
        ({"tag_colour": ["RED", "PINK"]}, "filters.tag_colour must be one or more of BLUE"),
        ({"call_category_ids": "1,x"}, "filters.call_category_ids must be a comma list of whole"),
        ({"call_category_ids": "1,,2"}, "filters.call_category_ids must be a comma list of whole"),
        ({"link_category_ids": [1, "b"]}, "filters.link_category_ids must be a comma list of"),
        ({"contact_category_ids": []}, "filters.contact_category_ids must be a comma list of"),
        ({"iovox_number": "+447700900123"}, "filters.iovox_number must be a whole number of dig"),
        ({"iovox_number": "٤٤"}, "filters.iovox_number must be a whole number of digits only"),
        ({"id": "A, B"}, "filters.id must be a comma list without spaces"),
        ({"node_name": ["a", "b"]}, "filters.node_name must be text, and not empty"),
        ({"call_origin": " "}, "filters.call_origin must be text, and not empty"),
        ({"direction": True}, "filters.direction must be text, and not empty"),
        ("node_id=1", "filters must be of type object"),
    ],
)
def test_a_wrong_filter_is_one_sentence_before_anything_is_asked(bench, filters, sentence):
    """By its name and never with its value, which may be a phone number."""
    with pytest.raises(ConfigValidationError) as error:
        bench.run(filters=filters)
    assert str(error.value).startswith(sentence)
    assert "447700900123" not in str(error.value)
    assert bench.asked() == []
