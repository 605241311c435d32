"""A record becomes the call that impact.com's documents describe, or is refused with a reason."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from urllib.parse import parse_qsl, unquote_plus, urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_calls.deliver import InvalidCallError, Local, NotYetError
from singer_calls.deliver.identity import WITHHELD
from target_impact_calls.call import PARAMETERS, Renderer
from target_impact_calls.status import BY_TALK, NOT_FINAL, STATUSES, WORDS, fold

SETTINGS = {
    "campaign_id": 1000,
    "media_id": 10000,
    "action_tracker_id": 4000,
    "vendor_name": "INVOX",
}
RECORD = {
    "EventDate": "2026-09-10T22:55:32-08:00",
    "CallSessionId": "1284411",
    "CallerId": "+18055550100",
    "CalledPhoneNumber": "(805) 555-1234",
    "CallDuration": 180,
    "TalkDuration": 120,
    "CallStatus": "ANSWER",
}
# The query of the vendor's example request (docs, Example Request), as published.
DOCUMENTED = (
    "CampaignId=%3CSOME_INTEGER_VALUE%3E&MediaId=%3CSOME_INTEGER_VALUE%3E&EventDate=%3CSOME_STRING_VALUE%3E"
    "&ActionTrackerId=%3CSOME_INTEGER_VALUE%3E&CallProvider=%3CSOME_STRING_VALUE%3E"
    "&CallSessionId=%3CSOME_STRING_VALUE%3E&CallerId=%3CSOME_STRING_VALUE%3E"
    "&CalledPhoneNumber=%3CSOME_STRING_VALUE%3E&CallDuration=%3CSOME_INTEGER_VALUE%3E"
    "&TalkDuration=%3CSOME_INTEGER_VALUE%3E&AdId=%3CSOME_INTEGER_VALUE%3E&CallStatus=%3CSOME_STRING_VALUE%3E"
    "&CallerPhoneNumberCountry=%3CSOME_STRING_VALUE%3E&CalledPhoneNumberCountry=%3CSOME_STRING_VALUE%3E"
    "&SubId1=%3CSOME_STRING_VALUE%3E&SubId2=%3CSOME_STRING_VALUE%3E&SubId3=%3CSOME_STRING_VALUE%3E"
    "&ClickId=%3CSOME_STRING_VALUE%3E&City=%3CSOME_STRING_VALUE%3E&Region=%3CSOME_STRING_VALUE%3E"
    "&Zip=%3CSOME_INTEGER_VALUE%3E&RepeatCaller=%3CSOME_STRING_VALUE%3E&PhoneType=%3CSOME_STRING_VALUE%3E"
    "&CallRecording=%3CSOME_STRING_VALUE%3E&IvrDuration=%3CSOME_INTEGER_VALUE%3E"
    "&Keypresses=%3CSOME_STRING_VALUE%3E&Key1=%3CSOME_STRING_VALUE%3E&Key2=%3CSOME_STRING_VALUE%3E"
    "&Key3=%3CSOME_STRING_VALUE%3E&Key4=%3CSOME_STRING_VALUE%3E&TrafficSource=%3CSOME_STRING_VALUE%3E"
    "&OptInSms=%3CSOME_STRING_VALUE%3E&UserAgent=%3CSOME_STRING_VALUE%3E&DispositionName=%3CSOME_STRING_VALUE%3E"
    "&SaleAmount=%3CSOME_NUMBER_VALUE%3E&ReferenceId=%3CSOME_NUMBER_VALUE%3E"
    "&CustomConversionEvent1Name=%3CSOME_STRING_VALUE%3E&CustomConversionEvent2Name=%3CSOME_STRING_VALUE%3E"
    "&CustomConversionEvent3Name=%3CSOME_STRING_VALUE%3E&CustomConversionEvent1Value=%3CSOME_STRING_VALUE%3E"
    "&CustomConversionEvent2Value=%3CSOME_STRING_VALUE%3E&CustomConversionEvent3Value=%3CSOME_STRING_VALUE%3E"
    "&VendorEventId=%3CSOME_STRING_VALUE%3E&PromoNumberDescription=%3CSOME_STRING_VALUE%3E"
    "&CustomCallEvent1Name=%3CSOME_STRING_VALUE%3E&CustomCallEvent2Name=%3CSOME_STRING_VALUE%3E"
    "&CustomCallEvent3Name=%3CSOME_STRING_VALUE%3E&CustomCallEvent1Value=%3CSOME_STRING_VALUE%3E"
    "&CustomCallEvent2Value=%3CSOME_STRING_VALUE%3E&CustomCallEvent3Value=%3CSOME_STRING_VALUE%3E"
)
# What the documents say these hold, in place of <SOME_STRING_VALUE>: the rest is free text.
FORMED = RECORD | {
    "CallerId": "+18055550100",
    "CalledPhoneNumber": "8055551234",
    "CallerPhoneNumberCountry": "US",
    "CalledPhoneNumberCountry": "US",
    "PhoneType": "Mobile",
    "CallRecording": "https://recordings.example/1?a=b&c=d",
}
NUMBERS = {"<SOME_INTEGER_VALUE>": 93101, "<SOME_NUMBER_VALUE>": "12.50"}


def render(record, settings=SETTINGS):
    return Renderer.of(settings).render(record).values


def refusal(record, settings=SETTINGS):
    with pytest.raises(InvalidCallError) as refused:
        render(record, settings)
    return refused.value


def test_the_documented_request_goes_out_byte_for_byte():
    """All 50 parameters, in the documented order and encoding."""
    documented = [pair.split("=") for pair in DOCUMENTED.split("&")]
    expected = {
        name: FORMED.get(name, NUMBERS.get(unquote_plus(place), unquote_plus(place)))
        for name, place in documented
    }
    assert len(expected) == 50
    sent = urlencode(render(dict(sorted(expected.items())), settings={}))
    assert [pair.split("=")[0] for pair in sent.split("&")] == [name for name, _ in documented]
    assert dict(parse_qsl(sent)) == {name: str(value) for name, value in expected.items()}
    free = {
        f"{n}={v}"
        for n, v in documented
        if n not in FORMED and unquote_plus(v) == "<SOME_STRING_VALUE>"
    }
    assert free <= set(sent.split("&"))
    assert len(free) == 31


@pytest.mark.parametrize(
    ("written", "click"),
    [
        ("QiiWXOVnrQ3SQHl24jQjyxBGUkmzfJ3i1VHrWM0", "QiiWXOVnrQ3SQHl24jQjyxBGUkmzfJ3i1VHrWM0"),
        ("xgMQ4KWb%3AxyIWO7Uo7", "xgMQ4KWb:xyIWO7Uo7"),
        ("xgMQ4KWb%3axyIWO7Uo7", "xgMQ4KWb:xyIWO7Uo7"),
        ("xgMQ4KWb:xyIWO7Uo7", "xgMQ4KWb:xyIWO7Uo7"),
        ("V-S~T^f+KW%7E1", "V-S~T^f+KW~1"),
        ("100%", "100%"),
    ],
)
def test_a_click_is_the_id_and_not_its_spelling_in_an_address(written, click):
    """Or impact.com finds no click of that id, and no partner is paid for the call."""
    assert render(RECORD | {"ClickId": written})["ClickId"] == click


def test_a_click_that_hides_a_nul_is_refused():
    """As one that shows it."""
    assert refusal(RECORD | {"ClickId": "x%00y"}).field == "ClickId"


def test_the_readme_s_form_of_each_parameter_is_said():
    """Every row of the table has a rule and a meaning in words."""
    assert all(one.kind.says and one.description for one in PARAMETERS)


def test_settings_speak_for_calls_that_do_not():
    """What the record says itself wins."""
    rendered = render(RECORD | {"MediaId": "20000", "CampaignId": ""})
    assert (rendered["CampaignId"], rendered["MediaId"]) == (1000, 20000)
    assert (rendered["ActionTrackerId"], rendered["CallProvider"]) == (4000, "INVOX")


@pytest.mark.parametrize(
    "name",
    [one.name for one in PARAMETERS if one.required and one.name != "TalkDuration"],
)
@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_missing_required_parameter_is_named(name, blank):
    """Blank counts as missing."""
    full = RECORD | {"CampaignId": 1, "MediaId": 1, "ActionTrackerId": 1, "CallProvider": "x"}
    refused = refusal(full | {name: blank}, settings={})
    assert refused.field == name
    assert "missing" in refused.reason


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((status, status) for status in STATUSES if status != "UNKNOWN_CALLERID"),
        *((status.lower(), status) for status in STATUSES if status != "UNKNOWN_CALLERID"),
        ("Answered", "ANSWER"),
        ("No answer", "CANCEL"),
        ("User busy", "CONGESTION"),
        ("Call Rejected", "CANCEL"),
        ("Voice Mail", "IVR_DROPOFF"),
        ("Unallocated (unassigned) number", "INCOMPLETE"),
        ("ANSWERED", "ANSWER"),
        ("ANSWERED [MACHINE DETECTED]", "IVR_DROPOFF"),
        ("BUSY", "CONGESTION"),
        ("HANGUP", "CANCEL"),
        ("HANGUP-RECORD-ALERT", "IVR_DROPOFF"),
        ("HANGUP-WHISPER-CALLER", "IVR_DROPOFF"),
        ("NO ANSWER", "CANCEL"),
        ("NO_ANSWER", "CANCEL"),
        ("CANCELLED", "CANCEL"),
        ("REJECTED", "CANCEL"),
        ("NO RULES SET", "FAILURE"),
        ("RULES BROKEN", "FAILURE"),
        ("NUMBER ON HOLD", "FAILURE"),
        ("BLOCKED", "FAILURE"),
        ("DESTINATION IS VOXNUMBER", "INCOMPLETE"),
        ("Caller: Hang-up", "ANSWER"),
        ("Destination: Hang-up", "ANSWER"),
        ("Invoca: Max Call Duration", "ANSWER"),
        ("Destination: Error (503 or Fast Busy)", "CONGESTION"),
        ("Destination: No Answer", "CANCEL"),
        ("Destination: Number Not In Service", "INCOMPLETE"),
        ("IVR: Hang-up", "IVR_DROPOFF"),
        ("Unknown: Unknown Cause", "FAILURE"),
        ("Answered Call", "ANSWER"),
        ("completed", "ANSWER"),
        ("no-answer", "CANCEL"),
        ("NoAnswer", "CANCEL"),
        ("noanswer", "CANCEL"),
        ("canceled", "CANCEL"),
        ("Missed Call", "CANCEL"),
        ("abandoned", "CANCEL"),
        ("Unanswered", "CANCEL"),
        ("voicemail", "IVR_DROPOFF"),
        ("failed", "FAILURE"),
        ("Normal Clearing", "ANSWER"),
        ("NORMAL_CLEARING", "ANSWER"),
        ("TerminatedByDst", "ANSWER"),
        ("Connected", "ANSWER"),
        ("No user responding", "CANCEL"),
        ("NO_USER_RESPONSE", "CANCEL"),
        ("Destination out of order", "FAILURE"),
        ("UNALLOCATED_NUMBER", "INCOMPLETE"),
    ],
)
def test_a_source_s_word_becomes_one_of_the_eight(word, status):
    """Case, -, _ and spaces make no difference."""
    assert render(RECORD | {"CallStatus": word})["CallStatus"] == status


@pytest.mark.parametrize("word", ["Transferat", "", None, 16, True, "normal", "+18055550100"])
def test_a_status_that_nobody_knows_is_refused_by_its_word(word):
    """Sent as a failure it could not be corrected; a number put there by mistake is not shown."""
    refused = refusal(RECORD | {"CallStatus": word})
    assert refused.field == "CallStatus"
    assert "on_unknown_status" in refused.reason
    assert ("Transferat" in refused.reason) == (word == "Transferat")
    assert "0100" not in refused.reason


@pytest.mark.parametrize(
    "word", ["8055550100", "Ana +40722", "x" * 31, "a\x1b[31mb", "a\nb", "<Ana>", "Ana@host"]
)
def test_a_word_is_shown_only_if_it_is_one(word):
    """Letters and spaces, not long: what a wrong mapping puts there may be a person's."""
    assert word not in refusal(RECORD | {"CallStatus": word}).reason


def test_an_unknown_status_is_sent_as_the_setting_says():
    """With a warning, by word."""
    settings = SETTINGS | {"on_unknown_status": "NO_TRANSFER_ATTEMPT"}
    rendered = Renderer.of(settings).render(RECORD | {"CallStatus": "Transferat"})
    assert rendered.values["CallStatus"] == "NO_TRANSFER_ATTEMPT"
    assert rendered.warnings == (
        "CallStatus 'Transferat' is no known status: sent as NO_TRANSFER_ATTEMPT",
    )
    assert render(RECORD | {"CallStatus": None}, settings)["CallStatus"] == "NO_TRANSFER_ATTEMPT"


@settings(deadline=None)
@given(st.none() | st.text() | st.integers() | st.sampled_from(WORDS["ANSWER"]))
def test_a_status_is_always_sent(word):
    """impact.com takes a missing one for ANSWER."""
    try:
        status = render(RECORD | {"CallStatus": word})["CallStatus"]
    except InvalidCallError:
        return
    assert status in STATUSES
    answers = map(fold, (*WORDS["ANSWER"], *BY_TALK, "ANSWER"))
    assert status != "ANSWER" or fold(str(word)) in answers


def test_no_word_means_two_things():
    """Whatever is folded away."""
    folded = [fold(word) for words in (*WORDS.values(), BY_TALK, NOT_FINAL) for word in words]
    assert sorted(folded) == sorted(set(folded))


@pytest.mark.parametrize("word", [*NOT_FINAL, "in-progress", "IN_PROGRESS", "CALLING ", "ringing"])
def test_a_call_that_goes_on_is_not_sent_yet(word):
    """Not even when the user maps the word: its end would come as a second call."""
    settings = SETTINGS | {"call_status_map": {word: "ANSWER"}, "on_unknown_status": "FAILURE"}
    refused = refusal(RECORD | {"CallStatus": word}, settings)
    assert isinstance(refused, NotYetError)
    assert refused.field == "CallStatus"


def test_the_user_s_words_come_first():
    """Also over the built-in ones."""
    settings = SETTINGS | {"call_status_map": {"Voice_Mail": "ANSWER", "Sunat": "CANCEL"}}
    assert render(RECORD | {"CallStatus": "voice mail"}, settings)["CallStatus"] == "ANSWER"
    assert render(RECORD | {"CallStatus": "SUNAT"}, settings)["CallStatus"] == "CANCEL"


@pytest.mark.parametrize("word", ["Caller: Hang-up", "Destination: Hang-up"])
def test_a_hang_up_without_talk_is_no_answer(word):
    """Invoca's word says who hung up, the talk time says whether anyone answered."""
    assert render(RECORD | {"CallStatus": word, "TalkDuration": 0})["CallStatus"] == "CANCEL"
    refused = refusal(RECORD | {"CallStatus": word, "TalkDuration": None})
    assert "map TalkDuration" in refused.reason
    settings = SETTINGS | {"call_status_map": {word: "ANSWER"}}
    assert render(RECORD | {"CallStatus": word, "TalkDuration": None}, settings)["TalkDuration"]


@pytest.mark.parametrize(("word", "talked"), [("Answered", 180), ("No answer", 0), ("Busy", 0)])
def test_talk_time_is_that_of_the_call_when_answered_else_none(word, talked):
    """When the source does not know it."""
    record = {name: value for name, value in RECORD.items() if name != "TalkDuration"}
    assert render(record | {"CallStatus": word})["TalkDuration"] == talked


@pytest.mark.parametrize(
    "value",
    [
        180,
        "180",
        Decimal(180),
        Decimal("180.9"),
        180.0,
        "180.9",
        " 180",
        "00:03:00",
        "3:00",
        "PT3M",
    ],
)
def test_a_duration_is_whole_seconds_however_written(value):
    """Numbers, text and clocks; parts of a second are cut."""
    assert render(RECORD | {"CallDuration": value})["CallDuration"] == 180


@pytest.mark.parametrize("value", [-1, "-1", "1_2", "1e1000000", "3 min", True, [180], "9" * 5000])
def test_any_other_duration_is_refused(value):
    """Seconds are paid for: none are guessed."""
    refused = refusal(RECORD | {"CallDuration": value})
    assert refused.field == "CallDuration"


@pytest.mark.parametrize(
    ("value", "settings", "sent", "country"),
    [
        ("(805) 555-1234", {}, "8055551234", "US"),
        ("805-555-1234", {}, "8055551234", "US"),
        ("+1 805 555 1234", {"default_country": "RO"}, "8055551234", "US"),
        ("+14165550123", {}, "4165550123", "CA"),
        ("0312000222", {"default_country": "RO"}, "312000222", "RO"),
        (312000222, {"default_country": "ro"}, "312000222", "RO"),
        ("+44 20 7946 0018", {}, "2079460018", "GB"),
    ],
)
def test_the_called_number_is_national_digits_beside_its_country(value, settings, sent, country):
    """Ten digits in the US and Canada, as documented."""
    rendered = render(RECORD | {"CalledPhoneNumber": value}, SETTINGS | settings)
    assert rendered["CalledPhoneNumber"] == sent
    assert rendered["CalledPhoneNumberCountry"] == country


@pytest.mark.parametrize("value", ["0722000111", 722000111, "+40 722 000 111", "0040722000111"])
def test_a_caller_has_one_form(value):
    """impact.com matches conversions by it."""
    record = RECORD | {"CallerId": value, "CalledPhoneNumber": "+18055551234"}
    rendered = render(record, SETTINGS | {"default_country": "RO"})
    assert rendered["CallerId"] == "+40722000111"
    assert rendered["CallerPhoneNumberCountry"] == "RO"


def test_the_record_s_country_reads_its_number():
    """Before the default one."""
    rendered = render(RECORD | {"CallerId": "0722000111", "CallerPhoneNumberCountry": "ro"})
    assert (rendered["CallerId"], rendered["CallerPhoneNumberCountry"]) == ("+40722000111", "RO")


@pytest.mark.parametrize(
    ("caller", "sent"),
    [
        *((None, "anonymous"), ("", "anonymous"), ("anonymous", "anonymous")),
        *(("Withheld", "Withheld"), ("No Caller ID", "No Caller ID"), ("none", "none")),
        *(("+266696687", "anonymous"), ("+17378742833", "anonymous"), (7378742833, "anonymous")),
        *(("0000000000", "anonymous"), (0, "anonymous"), ("Ascuns", "Ascuns")),
    ],
)
def test_a_withheld_caller_is_refused_unless_the_mapping_says_so(caller, sent):
    """A word goes out only beside UNKNOWN_CALLERID, the digits of one never."""
    assert refusal(RECORD | {"CallerId": caller}).field == "CallerId"
    rendered = render(RECORD | {"CallStatus": "UNKNOWN_CALLERID", "CallerId": caller})
    assert (rendered["CallerId"], rendered["CallStatus"]) == (sent, "UNKNOWN_CALLERID")
    assert "CallerPhoneNumberCountry" not in rendered


def test_missing_withheld_and_wrong_are_told_apart():
    """Each has a remedy of its own."""
    assert "is missing" in refusal(RECORD | {"CallerId": None}).reason
    assert "is withheld" in refusal(RECORD | {"CallerId": "Private"}).reason
    assert (
        "must be a phone number" in refusal(RECORD | {"CallerId": "sip:bob@203.0.113.155"}).reason
    )
    known = RECORD | {"CallStatus": "UNKNOWN_CALLERID"}
    assert render(known)["CallerId"] == "+18055550100"
    assert refusal(known | {"CallerId": "805555XXXX1"}).field == "CallerId"


@pytest.mark.parametrize("name", ["Caller", "Called"])
@pytest.mark.parametrize(
    ("number", "country", "sent"),
    [
        ("+442079460018", "US", None),
        ("00442079460018", "RO", None),
        ("+18055550100", "GB", None),
        ("+442079460018", "GBR", "GB"),
        ("+442079460018", "uk", "GB"),
        ("+18055550100", "USA", "US"),
        ("+14165550123", "US", "US"),
        ("+14165550123", None, "CA"),
        ("020 7946 0018", "UK", "GB"),
        ("+442079460018", None, "GB"),
    ],
)
def test_a_number_with_its_calling_code_knows_its_country(name, number, country, sent):
    """What the record says against it is refused; a default says nothing against it."""
    parameter = {"Caller": "CallerId", "Called": "CalledPhoneNumber"}[name]
    record = RECORD | {"CalledPhoneNumber": "+18055551234"}
    record |= {parameter: number, f"{name}PhoneNumberCountry": country}
    settings = SETTINGS | {"default_country": "RO"}
    if sent is None:
        refused = refusal(record, settings)
        assert refused.field == parameter
        assert "another country" in refused.reason
    else:
        assert render(record, settings)[f"{name}PhoneNumberCountry"] == sent


@pytest.mark.parametrize("number", ["+80012345678", "+881612345678", "+883510012345678"])
@pytest.mark.parametrize("name", ["Caller", "Called"])
def test_a_number_of_no_country_goes_out_beside_the_one_that_the_record_says(name, number):
    """Of a satellite, of an international service: impact.com would take it for a US one."""
    parameter = {"Caller": "CallerId", "Called": "CalledPhoneNumber"}[name]
    refused = refusal(RECORD | {parameter: number})
    assert refused.field == parameter
    assert f"say in {name}PhoneNumberCountry" in refused.reason
    sent = render(RECORD | {parameter: number, f"{name}PhoneNumberCountry": "GB"})
    assert sent[f"{name}PhoneNumberCountry"] == "GB"
    assert number.endswith(sent[parameter])


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("2026-09-10T22:55:32-08:00", "2026-09-10T22:55:32-08:00"),
        ("2024-03-14 10:22:31", "2024-03-14T10:22:31+02:00"),
        ("2026-10-25T00:30:00.250Z", "2026-10-25T00:30:00+00:00"),
        (1460404800, "2016-04-11T20:00:00+00:00"),
        ("NOW", "NOW"),
    ],
)
def test_a_date_is_iso_8601_with_its_offset(value, sent):
    """A bare one is in the zone of the settings; NOW is documented."""
    settings = SETTINGS | {"timezone": "Europe/Bucharest"}
    assert render(RECORD | {"EventDate": value}, settings)["EventDate"] == sent


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("EventDate", "yesterday"),
        ("EventDate", "2024-03-14"),
        ("CallProvider", "x" * 65),
        ("SubId1", "x" * 65),
        ("AdId", "ad"),
        ("MediaId", "partner"),
        ("CallerId", "12"),
        ("CallerId", "x" * 100_000),
        ("CalledPhoneNumber", "911"),
        ("CalledPhoneNumber", ["8055551234"]),
        ("CallerPhoneNumberCountry", "XX"),
        ("EventDate", "0001-01-01T00:00:00"),
        ("EventDate", "1899-12-30 00:00:00"),
        ("EventDate", "1970-01-01T00:00:00Z"),
        ("EventDate", "9999-12-31T23:59:59Z"),
        ("EventDate", "2126-01-31T09:30:00Z"),
        ("CalledPhoneNumberCountry", "Romania"),
        ("SaleAmount", "12,50"),
        ("ReferenceId", "A7"),
        ("CallSessionId", {"id": 1}),
        ("CallStatus", ["ANSWER"]),
        ("TalkDuration", "a while"),
        ("City", "a\0b"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field, value):
    """The reason says what would be right, never what is there."""
    refused = refusal(RECORD | {field: value})
    assert refused.field == field
    assert str(value) not in str(refused)


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        ("Zip", "02134", "02134"),
        ("Zip", 93101, "93101"),
        ("Zip", "93101-1234", "93101"),
        ("Zip", 931011234, "93101"),
        ("Zip", "9310112345", "9310112345"),
        ("Zip", "SW1A 1AA", None),
        ("PhoneType", "MOBILE", "Mobile"),
        ("PhoneType", "landline", "Landline"),
        ("PhoneType", "VoIP", None),
        ("CallRecording", "https://a.example/1", "https://a.example/1"),
        ("CallRecording", "file 17", None),
    ],
)
def test_a_call_is_not_lost_over_a_decoration(field, value, sent):
    """What neither identifies nor prices a call is left out when wrong, with a warning."""
    rendered = Renderer.of(SETTINGS).render(RECORD | {field: value})
    assert rendered.values.get(field) == sent
    assert len(rendered.warnings) == (sent is None)


@pytest.mark.parametrize(
    "value", ["1,2,3", [1, 2, 3], ["1", "2", "3", "1"], "1, 2,3,2,", [1.0, None, "2", 3]]
)
def test_keys_pressed_are_a_list(value):
    """Of unique names, written the way Invoca writes it."""
    assert render(RECORD | {"Keypresses": value})["Keypresses"] == "1,2,3"


def test_fields_that_are_no_parameter_are_remarked_by_name():
    """And not sent; what Singer adds is not remarked."""
    rendered = Renderer.of(SETTINGS).render(RECORD | {"utm_source": "x", "_sdc_sequence": 1})
    assert rendered.warnings == ("utm_source is no parameter of impact.com: ignored",)
    assert "utm_source" not in rendered.values


@pytest.mark.parametrize(("talked", "told"), [(180, False), (181, True), (180000, True)])
def test_a_talk_that_is_longer_than_its_call_is_remarked(talked, told):
    """Partners are paid by seconds: one of the two is in another unit, or of another call."""
    rendered = Renderer.of(SETTINGS).render(RECORD | {"TalkDuration": talked})
    assert rendered.values["TalkDuration"] == talked
    assert [warning for warning in rendered.warnings if "longer" in warning] == [
        "TalkDuration is longer than CallDuration: are both in seconds?"
    ] * told


def test_a_bare_time_is_remarked_with_its_zone():
    """Seven hours decide which day a call is of."""
    settings = SETTINGS | {"timezone": "America/Los_Angeles"}
    rendered = Renderer.of(settings).render(RECORD | {"EventDate": "2026-01-31 09:30:00"})
    assert rendered.warnings == (
        "EventDate without an offset: read as of America/Los_Angeles (timezone)",
    )
    assert Renderer.of(settings).render(RECORD).warnings == ()


def test_a_day_ahead_is_the_most():
    """Clocks differ, time zones are confused; a year is a mistake."""
    local = Local(ZoneInfo("UTC"), "US", now=lambda: 1769851800.0)
    renderer = replace(Renderer.of(SETTINGS), local=local)
    assert renderer.render(RECORD | {"EventDate": "2026-02-01T09:30:00Z"})
    with pytest.raises(InvalidCallError, match="more than a day ahead"):
        renderer.render(RECORD | {"EventDate": "2026-02-01T09:30:01Z"})
    assert renderer.render(RECORD | {"EventDate": "1990-01-01T00:00:00Z"})
    with pytest.raises(InvalidCallError, match="before 1990"):
        renderer.render(RECORD | {"EventDate": "1989-12-31T23:59:59Z"})


def canonical(record, settings=SETTINGS):
    return Renderer.of(settings).render(record).canonical


def test_a_call_says_who_it_is():
    """Moment, numbers and duration as values, whatever their spelling."""
    rendered = Renderer.of(SETTINGS).render(
        RECORD | {"CallSessionId": 5, "CallDuration": "00:03:00"}
    )
    assert (rendered.key, rendered.campaign) == ("5", "1000")
    assert rendered.moment == 1789109732
    assert (rendered.caller, rendered.called) == ("18055550100", "18055551234")
    assert (rendered.withheld, rendered.duration) == (False, 180)
    identity = rendered.identity
    assert identity == Renderer.of(SETTINGS).render(RECORD).identity
    assert None not in (identity.moment, identity.caller, identity.called)


def test_a_withheld_caller_and_an_unknown_moment_are_said():
    """Neither has digits or seconds."""
    record = RECORD | {"CallStatus": "UNKNOWN_CALLERID", "CallerId": "anonymous"}
    rendered = Renderer.of(SETTINGS).render(record | {"EventDate": "NOW"})
    assert (rendered.moment, rendered.caller, rendered.withheld) == (None, None, True)
    assert rendered.identity.caller == WITHHELD


def test_what_says_the_same_is_the_same():
    """Other spellings, another zone's offset, a signature in a URL: nothing has changed."""
    record = RECORD | {"SaleAmount": "12.50", "CallRecording": "https://a.example/1?sig=a"}
    other = record | {
        "EventDate": "2026-09-11T06:55:32Z",
        "CallDuration": "00:03:00",
        "CalledPhoneNumber": "+18055551234",
        "CampaignId": "1000.0",
        "SaleAmount": 12.5,
        "CallStatus": "Answered",
        "CallRecording": "https://a.example/1?sig=b#t=1",
        "utm_source": "x",
    }
    assert canonical(other) == canonical(record)
    assert (
        Renderer.of(SETTINGS).render(other).identity
        == Renderer.of(SETTINGS).render(record).identity
    )


@pytest.mark.parametrize(
    "change",
    [
        {"SaleAmount": 12},
        {"CallStatus": "CANCEL"},
        {"TalkDuration": 121},
        {"City": "Oxnard"},
        {"CallRecording": "https://a.example/2"},
        {"CalledPhoneNumber": "+448055551234"},
    ],
)
def test_what_says_something_else_is_not_the_same(change):
    """A refused call is tried again when what would be sent has changed."""
    assert canonical(RECORD | change) != canonical(RECORD)


def test_no_canonical_form_holds_a_number_or_a_query():
    """A hash over few possible numbers leads back to them."""
    record = RECORD | {"CallRecording": "https://a.example/1?sig=secret"}
    said = repr(canonical(record))
    assert "5550100" not in said
    assert "5551234" not in said
    assert "secret" not in said


def test_a_call_that_can_t_be_written_still_says_which_it_is():
    """A source that masks numbers after some days makes no new calls."""
    renderer = Renderer.of(SETTINGS)
    wrong = RECORD | {"CallerId": "805555XXXX", "CallDuration": None, "CallStatus": "Ringing"}
    rendered = renderer.render(RECORD)
    assert renderer.place(wrong) == (rendered.campaign, rendered.key, rendered.moment)
    assert renderer.place(wrong | {"EventDate": "?"}) == (rendered.campaign, rendered.key, None)
    with pytest.raises(InvalidCallError):
        renderer.place(RECORD | {"CallSessionId": None})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)
@given(st.sampled_from([one.name for one in PARAMETERS]), json_values)
def test_any_value_of_any_parameter_is_written_or_refused(name, value):
    """No record can end the run, and whatever is written can be form-encoded."""
    try:
        sent = urlencode(render(RECORD | {name: value}))
    except InvalidCallError as refused:
        assert refused.field  # noqa: PT017
        return
    assert re.fullmatch(r"[\w.*~%+&=-]+", sent, re.ASCII)
