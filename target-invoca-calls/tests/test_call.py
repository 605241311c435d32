"""A record becomes the request that Invoca's documents describe, or is refused with a reason."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.deliver import InvalidCallError
from target_invoca_calls.call import PARAMETERS, Renderer

SETTINGS = {"advertiser_campaign_id_from_network": 85, "call_direction": "inbound"}
RECORD = {
    "external_call_unique_id": "1284411",
    "start_time": "2026-09-10T22:55:32-08:00",
    "destination_phone_number": "+18885551212",
    "calling_phone_number": "+442079460018",
    "recording_url": "https://recordings.example/1.wav",
}
# The vendor's examples (docs, Examples), as published; the placeholders of the URL and the token
# are not ours to fill.
REQUIRED_FIELDS = """{
  "call": {
    "external_call_unique_id": "100002",
    "start_time": "2016-02-03 09:30:00 AM",
    "destination_phone_number": 2165388265,
    "calling_phone_number": 8779257383,
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "recording_url": "<CALL RECORDING URL>"
  },
  "oauth_token": "<YOUR OAUTH TOKEN>"
}"""
ALL_FIELDS = """{
  "call": {
    "external_call_unique_id": "123ABC",
    "start_time": "2016-08-08 11:03:31 -0700",
    "destination_phone_number": 9093900003,
    "calling_phone_number": 8779257383,
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "recording_url": "<CALL RECORDING URL>"
  },
  "signals": [
    {
      "name": "sale",
      "value": 1
    },
    {
      "name": "quote",
      "value": 1
    }
  ],
  "custom_data": [
    {
      "name": "channel",
      "value": "Paid Search"
    },
    {
      "name": "line_of_business",
      "value": "Social"
    }
  ],
  "oauth_token": "<YOUR OAUTH TOKEN>"
}"""
CURL = """{
  "call": {
    "external_call_unique_id": "10002",
    "start_time": "2022-03-25 09:31:29",
    "destination_phone_number": 9093900003,
    "calling_phone_number": 8779257384,
    "advertiser_campaign_id_from_network": 86,
    "call_direction": "inbound",
    "recording_url": "<CALL RECORDING URL>"
  }
}"""
# Where the documents contradict themselves: the examples' numbers are not E.164 and their times
# in none of the formats listed, of which the epoch in 13 digits is sent; the newest edition
# forbids the token in the body.
CORRECTED = {
    "<CALL RECORDING URL>": "https://recordings.example/1.wav",
    ',\n  "oauth_token": "<YOUR OAUTH TOKEN>"': "",
    "2165388265": '"+12165388265"',
    "9093900003": '"+19093900003"',
    "8779257383": '"+18779257383"',
    "8779257384": '"+18779257384"',
    "2016-02-03 09:30:00 AM": "1454520600000",
    "2016-08-08 11:03:31 -0700": "1470679411000",
    "2022-03-25 09:31:29": "1648225889000",
}


def render(record, settings=SETTINGS):
    return Renderer.of(settings).render(record).values


def refusal(record, settings=SETTINGS):
    with pytest.raises(InvalidCallError) as refused:
        render(record, settings)
    return refused.value


@pytest.mark.parametrize("documented", [REQUIRED_FIELDS, ALL_FIELDS, CURL])
def test_the_documented_requests_go_out_byte_for_byte(documented):
    """But for what the documents themselves correct."""
    request = json.loads(documented)
    record = request.pop("call") | request
    record.pop("oauth_token", None)
    record["recording_url"] = CORRECTED["<CALL RECORDING URL>"]
    expected = documented
    for published, corrected in CORRECTED.items():
        expected = expected.replace(published, corrected)
    sent = render(record, {"timezone": "America/Los_Angeles"})
    assert json.dumps(sent, indent=2) == expected


def test_settings_speak_for_calls_that_do_not():
    """What the record says itself wins, and the prefix goes before every id."""
    settings = SETTINGS | {
        "language_code": "en-GB",
        "recording_auth_config_id": 7,
        "call_prefix": "invox:",
    }
    call = render(RECORD | {"call_direction": "OUTBOUND"}, settings)["call"]
    assert call["external_call_unique_id"] == "invox:1284411"
    assert call["advertiser_campaign_id_from_network"] == 85
    assert call["call_direction"] == "outbound"
    assert (call["language_code"], call["recording_auth_config_id"]) == ("en-GB", 7)


@pytest.mark.parametrize("name", [one.name for one in PARAMETERS if one.required])
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_missing_required_parameter_is_named(name, blank):
    """Blank counts as missing."""
    full = RECORD | {"advertiser_campaign_id_from_network": 85, "call_direction": "inbound"}
    refused = refusal(full | {name: blank}, settings={})
    assert refused.field == name
    assert "missing" in refused.reason


@pytest.mark.parametrize(
    ("value", "country", "sent"),
    [
        ("+18885551212", "US", "+18885551212"),
        (2165388265, "US", "+12165388265"),
        (Decimal(2165388265), "US", "+12165388265"),
        ("447598455773", "GB", "+447598455773"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("912 345 678", "ES", "+34912345678"),
    ],
)
@pytest.mark.parametrize("name", ["destination_phone_number", "calling_phone_number"])
def test_numbers_are_e164(name, value, country, sent):
    """Of the three countries that the documents name."""
    assert (
        render(RECORD | {name: value}, SETTINGS | {"default_country": country})["call"][name]
        == sent
    )


@pytest.mark.parametrize("name", ["destination_phone_number", "calling_phone_number"])
def test_other_countries_are_refused_unless_allowed(name):
    """What Invoca does with them is unknown."""
    refused = refusal(RECORD | {name: "+40722000111"})
    assert refused.field == name
    assert "allow_other_countries" in refused.reason
    allowed = SETTINGS | {"allow_other_countries": True}
    assert render(RECORD | {name: "+40722000111"}, allowed)["call"][name] == "+40722000111"


@pytest.mark.parametrize("value", ["anonymous", "+266696687", "withheld"])
def test_a_withheld_caller_is_refused(value):
    """Invoca has no word for one."""
    refused = refusal(RECORD | {"calling_phone_number": value})
    assert refused.field == "calling_phone_number"
    assert "withheld" in refused.reason


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2026-09-10T22:55:32-08:00", "2026-09-10T22:55:32-08:00"),
        ("2026-10-25T00:30:00.25Z", "2026-10-25T00:30:00.250+00:00"),
        ("2024-03-14 10:22:31", "2024-03-14T10:22:31+02:00"),
        ("1460404800", "2016-04-11T20:00:00+00:00"),
        (1460404800123, "2016-04-11T20:00:00.123+00:00"),
        ("20160411130000000", "2016-04-11T13:00:00+00:00"),
        ("2016/04/11T23:00:00.000+03:00", "2016-04-11T20:00:00+00:00"),
        ("2016/04/11T20:00:00.000Z", "2016-04-11T20:00:00+00:00"),
        ("2016/04/11T13:00:00-07:00", "2016-04-11T20:00:00+00:00"),
        ("2016/04/11 13:00:00.000 PM", "2016-04-11T13:00:00+03:00"),
        ("2016/04/11 13:00:00 PM", "2016-04-11T13:00:00+03:00"),
        ("2024-03-14 10:22:31.0009", "2024-03-14T10:22:31+02:00"),
    ],
)
def test_a_start_is_the_epoch_in_milliseconds(value, iso):
    """Every documented format is read, one is written."""
    settings = SETTINGS | {"timezone": "Europe/Bucharest"}
    sent = render(RECORD | {"start_time": value}, settings)["call"]["start_time"]
    assert sent == str(round(datetime.fromisoformat(iso).timestamp() * 1000))
    assert len(sent) == 13


@pytest.mark.parametrize(
    ("value", "sent"), [(85, 85), ("85", 85), ("085", "085"), ("summer", "summer"), (Decimal(9), 9)]
)
def test_a_campaign_is_a_number_or_a_text(value, sent):
    """The documents have both."""
    record = RECORD | {"advertiser_campaign_id_from_network": value}
    assert render(record)["call"]["advertiser_campaign_id_from_network"] == sent


def test_a_recording_is_a_url_or_a_file_name():
    """One of them must be there."""
    record = {name: value for name, value in RECORD.items() if name != "recording_url"}
    refused = refusal(record)
    assert refused.field == "recording_url"
    assert "without a recording" in refused.reason
    assert render(record | {"recording_filename": "1.wav"})["call"]["recording_filename"] == "1.wav"


def test_a_name_is_the_same_as_invoca_compares_it():
    """Signals whatever their case; of custom data the documents don't say so."""
    both = {"custom_data": {"channel": 1, "Channel": 2}}
    assert len(render(RECORD | both)["custom_data"]) == 2
    twice = {"custom_data": [{"name": "a", "value": 1}, {"name": "a", "value": 1.0}]}
    assert render(RECORD | twice)["custom_data"] == [{"name": "a", "value": "1"}]


def test_a_recording_over_http_needs_a_setting():
    """Whoever is on the way hears the call."""
    record = RECORD | {"recording_url": "http://recordings.example/1.wav"}
    assert "https://" in refusal(record).reason
    sent = render(record, SETTINGS | {"allow_http_recordings": True})
    assert sent["call"]["recording_url"] == record["recording_url"]


@pytest.mark.parametrize(("value", "sent"), [(7, 7), ("7", 7), (7.0, 7), ("az-7", "az-7")])
def test_a_recording_s_authentication_is_a_number_or_a_text(value, sent):
    """From the record or the settings."""
    said = {"recording_auth_config_id": value}
    for call in (render(RECORD | said), render(RECORD, SETTINGS | said)):
        assert call["call"]["recording_auth_config_id"] == sent


SPELLINGS = {
    1: [1.0, Decimal("1.0"), True, 1, "true", "TRUE", "1", "Yes", "yes", Decimal(1)],
    0: [False, 0, "No", "0"],
}


@pytest.mark.parametrize(("sent", "value"), [(s, v) for s, vs in SPELLINGS.items() for v in vs])
def test_a_signal_is_true_or_false_in_every_documented_spelling(sent, value):
    """As a list, as an object, and as JSON text of either."""
    expected = [{"name": "Sale", "value": sent}]
    as_list = [{"name": "Sale", "value": value}]
    assert render(RECORD | {"signals": as_list})["signals"] == expected
    assert render(RECORD | {"signals": {"Sale": value}})["signals"] == expected
    if not isinstance(value, Decimal):
        assert render(RECORD | {"signals": json.dumps(as_list)})["signals"] == expected


def test_a_signal_s_name_alone_is_true_and_null_says_nothing():
    """A sale must not be made up."""
    signals = [{"name": "sale"}, {"name": "quote", "value": None}, {"name": "demo", "value": ""}]
    assert render(RECORD | {"signals": signals})["signals"] == [{"name": "sale", "value": 1}]
    assert "signals" not in render(RECORD | {"signals": {"sale": None}})


def test_a_signal_is_named_once():
    """Names are matched whatever their case: the same twice is one, a contradiction is refused."""
    twice = [{"name": "sale"}, {"name": "Sale", "value": 1}]
    assert render(RECORD | {"signals": twice})["signals"] == [{"name": "sale", "value": 1}]
    refused = refusal(RECORD | {"signals": [{"name": "sale"}, {"name": "SALE", "value": 0}]})
    assert refused.field == "signals"


def test_a_hundred_signals_are_the_limit():
    """As documented."""
    signals = {f"s{n}": 1 for n in range(100)}
    assert len(render(RECORD | {"signals": signals})["signals"]) == 100
    refused = refusal(RECORD | {"signals": signals | {"one": 1}})
    assert refused.field == "signals"
    assert "100" in refused.reason


@pytest.mark.parametrize(
    "value",
    [
        {"channel": "Paid Search", "age": 44, "vip": True, "none": None, "blank": " "},
        [
            {"name": "channel", "value": "Paid Search"},
            {"name": "age", "value": 44},
            {"name": "vip", "value": True},
            {"name": "none"},
            {"name": "blank", "value": ""},
        ],
    ],
)
def test_custom_data_is_text_and_blanks_are_dropped(value):
    """As a list or as an object."""
    assert render(RECORD | {"custom_data": value})["custom_data"] == [
        {"name": "channel", "value": "Paid Search"},
        {"name": "age", "value": "44"},
        {"name": "vip", "value": "true"},
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_time", "yesterday"),
        ("start_time", "2024-03-14"),
        ("calling_phone_number", "12"),
        ("destination_phone_number", "x" * 100_000),
        ("call_direction", "sideways"),
        ("language_code", "ro-RO"),
        ("recording_url", "http://recordings.example/1.wav"),
        ("recording_url", "1.wav"),
        ("recording_auth_config_id", [7]),
        ("external_call_unique_id", {"id": 1}),
        ("signals", "sale"),
        ("signals", ["sale"]),
        ("signals", [{"name": "sale", "note": "x"}]),
        ("signals", [{"value": 1}]),
        ("signals", {"sale": "maybe"}),
        ("signals", {"sale": [1]}),
        ("custom_data", "channel=1"),
        ("custom_data", {"channel": {"a": 1}}),
        ("custom_data", [{"name": "a", "value": 1}, {"name": "a", "value": 2}]),
        ("custom_data", "[" * 100_000),
    ],
)
def test_a_wrong_value_is_refused_by_name(field, value):
    """The reason says what would be right, never what is there."""
    refused = refusal(RECORD | {field: value})
    assert refused.field == field
    assert str(value) not in str(refused) or value == "sale"


def test_fields_that_are_no_parameter_are_remarked_by_name():
    """And not sent; what Singer adds is not remarked."""
    rendered = Renderer.of(SETTINGS).render(RECORD | {"utm_source": "x", "_sdc_sequence": 1})
    assert rendered.warnings == ("utm_source is no parameter of Invoca: ignored",)
    assert "utm_source" not in str(rendered.values)


def canonical(record, settings=SETTINGS):
    return Renderer.of(settings).render(record).canonical


def test_a_call_says_who_it_is():
    """The customer is the caller, whatever the direction."""
    rendered = Renderer.of(SETTINGS | {"call_prefix": "invox:"}).render(RECORD)
    assert (rendered.key, rendered.campaign) == ("invox:1284411", "85")
    assert rendered.moment == 1789109732
    assert (rendered.caller, rendered.called) == ("442079460018", "18885551212")
    assert (rendered.withheld, rendered.duration) == (False, None)


def test_what_says_the_same_is_the_same():
    """Other spellings, the order of signals, a signature in a URL: nothing has changed."""
    record = RECORD | {"signals": {"Sale": True, "Quote": 0}, "custom_data": {"a": 1, "b": 2}}
    other = record | {
        "start_time": "2026-09-11T06:55:32Z",
        "destination_phone_number": 8885551212,
        "advertiser_campaign_id_from_network": 85.0,
        "signals": [{"name": "quote", "value": "No"}, {"name": "sale"}],
        "custom_data": {"b": "2", "a": 1.0},
        "recording_url": "https://recordings.example/1.wav?X-Amz-Signature=b",
    }
    assert canonical(other) == canonical(record)
    assert canonical(RECORD) != canonical(record)
    assert canonical(record | {"custom_data": {"a": 1, "b": 3}}) != canonical(record)


def test_no_canonical_form_holds_a_number_or_a_query():
    """A hash over few possible numbers leads back to them."""
    said = repr(canonical(RECORD | {"recording_url": "https://r.example/1.wav?sig=secret"}))
    assert "5551212" not in said
    assert "9460018" not in said
    assert "secret" not in said


def test_a_call_that_can_t_be_written_still_says_which_it_is():
    """A source that masks numbers after some days makes no new calls."""
    renderer = Renderer.of(SETTINGS | {"call_prefix": "invox:"})
    rendered = renderer.render(RECORD)
    wrong = RECORD | {"calling_phone_number": "805555XXXX", "recording_url": None}
    assert renderer.place(wrong) == (rendered.campaign, rendered.key, rendered.moment)
    assert renderer.place(wrong | {"start_time": "?"}) == (rendered.campaign, rendered.key, None)
    with pytest.raises(InvalidCallError):
        renderer.place(RECORD | {"external_call_unique_id": None})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)
@given(st.sampled_from([one.name for one in PARAMETERS]), json_values)
def test_any_value_of_any_parameter_is_written_or_refused(name, value):
    """No record can end the run, and whatever is written is JSON in UTF-8."""
    try:
        sent = render(RECORD | {name: value})
    except InvalidCallError as refused:
        assert refused.field  # noqa: PT017
        return
    body = json.dumps(sent, ensure_ascii=False).encode()
    assert json.loads(body) == sent
