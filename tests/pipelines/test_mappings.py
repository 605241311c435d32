"""The expressions of the pipelines to impact.com, on calls of every kind."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import yaml
from singer_sdk.mapper import PluginMapper

from singer_calls.deliver import InvalidCallError
from target_impact_calls.call import Renderer

ROOT = Path(__file__).parents[2]
INVOX = {
    "call_id": "1", "date": "2026-01-31T09:30:00Z", "duration": 74, "status": "Answered",
    "caller": "0722000111", "receivingnumber": "0312000010", "destinationnumber": "0212000333",
    "account": "a", "source": "print", "page": None, "recording_uri": None,
}  # fmt: skip
IOVOX = {
    "id": "2", "call_start": "2026-01-31T09:30:00Z", "call_end": "2026-01-31T09:32:00Z",
    "call_origin": "447700900123", "call_origin_location": "MOBILE,UNITED KINGDOM",
    "iovox_number": "442079460000", "call_destination": "442079460104", "call_time_seconds": 120,
    "talk_time_seconds": 99, "call_result": "ANSWERED", "direction": "IN", "link_name": "l",
    "tags": [], "call_outcomes": [], "categories": {"call_categories": []},
}  # fmt: skip
SOURCES = {"invox": (INVOX, "receivingnumber"), "iovox": (IOVOX, "iovox_number")}


def mapped(source, table=None, **changes):
    """What the mapping of ``<source>-to-impact`` makes of a call."""
    file = ROOT / "pipelines" / f"{source}-to-impact.meltano.yml"
    (loader,) = yaml.safe_load(file.read_text(encoding="utf-8"))["plugins"]["loaders"]
    config = loader["config"]
    if table is not None:
        config["stream_map_config"]["media_by_number"] = table
    schema = ROOT / f"tap-{source}" / f"tap_{source}" / "schemas" / "calls.json"
    mapper = PluginMapper(config, logging.getLogger("mapping"))
    mapper.register_raw_stream_schema("calls", json.loads(schema.read_text()), ["id"])
    (stream_map,) = mapper.stream_maps["calls"]
    return stream_map.transform({**SOURCES[source][0], **changes})


@pytest.mark.parametrize(
    ("called", "entry"),
    [
        (called, entry)
        for called in ("0312000010", "+40312000010", "40312000010")
        for entry in (
            "0312000010", "+40312000010", "40312000010", "0040312000010", "312000010",
            "+40 312 000 010", "0312-000-010", "(0312) 000.010", 312000010,
        )
    ],
)  # fmt: skip
def test_a_partner_is_found_whatever_the_spelling(called, entry):
    """Of the table, and of the source."""
    found = mapped("invox", {"0312000011": "9", entry: 10001}, receivingnumber=called)
    assert found["MediaId"] == "10001"


@pytest.mark.parametrize("called", ["02079460000", "442079460000", "+44 20 7946 0000"])
@pytest.mark.parametrize("entry", ["020 7946 0000", "+442079460000", "00442079460000"])
@pytest.mark.parametrize("source", SOURCES)
def test_so_is_one_whose_country_does_not_end_in_a_zero(source, called, entry):
    """As +40 does: there the national 0 seems to be a part of the country's code."""
    assert mapped(source, {entry: "7"}, **{SOURCES[source][1]: called})["MediaId"] == "7"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("called", "entry"),
    [
        ("0312000010", "0312000011"), ("0312000010", ""), ("0312000010", "0"),
        ("0312000010", "000010"), ("12", "0312000012"), (None, "0312000010"), ("", ""),
        ("2125551234", "3125551234"), ("+12125551234", "3125551234"),
    ],
)  # fmt: skip
def test_another_number_has_no_partner(source, called, entry):
    """Nor has an entry too short to be a number, or a call that lacks it: nobody is paid for it."""
    assert mapped(source, {entry: "1"}, **{SOURCES[source][1]: called})["MediaId"] is None


def test_the_tables_of_the_files_are_found():
    """As published, with numbers as each source writes them."""
    assert mapped("invox", receivingnumber="0312000011")["MediaId"] == "10002"
    assert mapped("iovox", iovox_number="442079460200")["MediaId"] == "10003"
    assert mapped("iovox", {"020 7946 0000": "7"})["MediaId"] == "7"


def test_a_call_to_nobody_has_the_number_that_was_called():
    """A mailbox of INVOX, and a call that no rule of iovox forwards."""
    found = mapped("invox", destinationnumber=None, status="Voice Mail", duration=None)
    assert (found["CalledPhoneNumber"], found["CallDuration"]) == ("0312000010", 0)
    lost = {"call_time_seconds": None, "talk_time_seconds": None, "call_result": "BUSY"}
    found = mapped("iovox", call_destination=None, **lost)
    assert found["CalledPhoneNumber"] == "+442079460000"
    assert (found["CallDuration"], found["TalkDuration"]) == (0, 0)
    assert mapped("invox")["CallDuration"] == 74
    assert mapped("iovox")["TalkDuration"] == 99


@pytest.mark.parametrize("lacking", ["call_time_seconds", "talk_time_seconds"])
def test_an_answered_call_is_not_sent_without_its_length(lacking):
    """It would be paid as one of 0 s, for good; rejected, it can be replayed."""
    render = Renderer.of({"campaign_id": 1, "action_tracker_id": 1, "default_country": "RO"}).render
    assert render(mapped("invox")).values["TalkDuration"] == 74
    with pytest.raises(InvalidCallError) as refused:
        render(mapped("invox", duration=None))
    assert refused.value.field == "CallDuration"
    assert render(mapped("iovox")).values["TalkDuration"] == 99
    with pytest.raises(InvalidCallError) as refused:
        render(mapped("iovox", **{lacking: None}))
    assert refused.value.field in {"CallDuration", "TalkDuration"}


@pytest.mark.parametrize("direction", ["OUT", "out", "Outbound"])
def test_a_call_that_the_business_made_is_nobody_s_conversion(direction):
    """However iovox writes it: documented is an example, IN."""
    assert mapped("iovox", direction=direction) is None
    assert mapped("iovox", direction="IN")
    assert mapped("iovox", direction=None)


@pytest.mark.parametrize("number", ["447700900123", "+447700900123"])
def test_a_number_of_iovox_has_one_plus(number):
    """And a word for who withheld it has none."""
    assert mapped("iovox", call_origin=number)["CallerId"] == "+447700900123"
    assert mapped("iovox", call_destination=number)["CalledPhoneNumber"] == "+447700900123"
    assert mapped("iovox", call_origin="Withheld")["CallerId"] == "Withheld"
    assert mapped("iovox", call_origin=None)["CallerId"] == "anonymous"


@pytest.mark.parametrize(
    ("page", "click"),
    [
        ("https://a.example/contact?irclickid=Qab-1", "Qab-1"),
        ("https://a.example/?utm_source=x&CLICKID=Qab%3A1#form", "Qab%3A1"),
        ("https://a.example/?x=1&ClickId=Q=&irclickid=other", "Q="),
        ("https://a.example/?gclid=Cj0", None), ("https://a.example/?irclickid=", None),
        ("https://a.example/#/page?irclickid=Q", "Q"), ("https://a.example/irclickid=Q", None),
        ("?", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_click_is_read_from_the_address_of_the_page(page, click):
    """Under both names, whatever their case, for the target to decode; others' clicks are none."""
    assert mapped("invox", page=page)["ClickId"] == click


@pytest.mark.parametrize(
    ("categories", "click"),
    [
        ([{"label": "IRCLICKID", "value": "Q1"}], "Q1"),
        ([{"label": None, "value": "x"}, {"label": "clickid", "value": "Q2"}], "Q2"),
        ([{"label": "irclickid", "value": ""}], None), ([{"label": "red1", "value": "x"}], None),
        ([], None), (None, None),
    ],
)  # fmt: skip
def test_a_click_is_read_from_a_category_of_the_call(categories, click):
    """The only place that iovox has for it."""
    found = mapped("iovox", categories={"call_categories": categories})
    assert found["ClickId"] == click
    assert mapped("iovox", categories=None)["ClickId"] is None
