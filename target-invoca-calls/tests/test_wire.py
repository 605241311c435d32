"""Each of Invoca's parameters in hostile forms: the bytes that go over the wire, or the refusal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from singer_calls.deliver import InvalidCallError
from target_invoca_calls.call import BESIDE_CALL, PARAMETERS, Renderer

REFUSED, ABSENT = object(), object()
RECORD = {
    "external_call_unique_id": "1284411",
    "start_time": "2026-01-31T09:30:00Z",
    "destination_phone_number": "+18885551212",
    "calling_phone_number": "+442079460018",
    "advertiser_campaign_id_from_network": 85,
    "call_direction": "inbound",
    "recording_url": "https://recordings.example/1.wav",
    "recording_filename": "1.wav",
}
# What came in, and what goes out.
ANY = [
    (None, ABSENT), ("", ABSENT), (" \t\n", ABSENT), ([], ABSENT), ({}, ABSENT),
    ("\ud800", REFUSED), ("a\0b", REFUSED), (["a", ["b"]], REFUSED), ({"a": ["b"]}, REFUSED),
    (Decimal("NaN"), REFUSED), (Decimal("sNaN"), REFUSED), (Decimal("1e999999999"), REFUSED),
    (float("inf"), REFUSED), (1e300, REFUSED), ({1}, REFUSED), (b"a", REFUSED),
]  # fmt: skip
TEXT = [
    ('a"b\\c', '"a\\"b\\\\c"'), ("  padded ", '"padded"'), ("ănă €", '"ănă €"'), ("📞", '"📞"'),
    ("a\r\nb", '"a\\r\\nb"'), ("5.0", '"5.0"'), (5, '"5"'), (5.0, '"5"'), (Decimal("5.00"), '"5"'),
    (0.1 + 0.2, '"0.3"'), (Decimal("1769852400.10"), '"1769852400.10"'), (True, '"true"'),
    (-3, '"-3"'), ("</script>", '"</script>"'), ("\u2028", ABSENT), ("00012", '"00012"'),
]  # fmt: skip
ID = [
    (7, "7"), (7.0, "7"), (Decimal("7.0"), "7"), ("7", "7"), (" 7 ", "7"), ("007", '"007"'),
    ("7.0", '"7.0"'), ("summer", '"summer"'), ("7,5", '"7,5"'), ("-7", '"-7"'), ("\u0667",
        '"\u0667"'),
    ("9" * 30, "9" * 30),
]  # fmt: skip
NUMBERS = [
    *((value, '"+18055550101"') for value in (
        "8055550101", "(805) 555-0101", "+1 805 555 0101", 8055550101, 8055550101.0,
        Decimal(8055550101), "8055550101.0", "tel:+1-805-555-0101", "805-555-0101 x12",
        "sip:+18055550101@198.51.100.7", '"Ana" <8055550101>', "\u202a+1\u00a0805\u2011555 0101",
    )),
    ("+44 (0)20 7946 0018", '"+442079460018"'), ("+34 912.34.56.78", '"+34912345678"'),
    *((value, REFUSED) for value in (
        "sip:bob@203.0.113.155", "203.0.113.155", "805555XXXX", "+1805555****", "8055550101.5",
        "anonymous", "No Caller ID", "+17378742833", 7378742833, "0000000000", 0, "+40722000111",
        "Ext.80002", "911", True, "1-800-FLOWERS", "x" * 100_000, [8055550101], -8055550101,
        "2026-01-31",
    )),
]  # fmt: skip
STARTS = [
    *((value, '"1769851800000"') for value in (
        "2026-01-31T09:30:00Z", "2026-01-31 09:30:00", "2026-01-31 09:30:00+00",
        "20260131T093000Z", "2026/01/31 9:30:00 AM", "2026/01/31T01:30:00.000-08:00",
        "Sat, 31 Jan 2026 09:30:00 +0000", 1769851800, "1769851800", 1769851800000,
        1769851800.0, "20260131093000000", datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    )),
    ("2026-01-31T09:30:00.2509Z", '"1769851800250"'),
    *((value, REFUSED) for value in (
        "2026-01-31", "09:30:00", "yesterday", "01/02/2026 09:30", "0000-00-00 00:00:00", "NOW",
        "0001-01-01T00:00:00", "1899-12-30 00:00:00", "1970-01-01T00:00:00Z", 46053.4, True,
        "9999-12-31T23:59:59Z", "2126-01-31T09:30:00Z", "2026/99/99T99:00:00Z", "9" * 5000, 0,
    )),
]  # fmt: skip
SIGNALS = [
    *(({"Sale": value}, '[{"name":"Sale","value":1}]') for value in (
        True, 1, 1.0, Decimal("1.0"), "true", "TRUE", "1", "1.0", "Yes", " yes ",
    )),
    *(({"Sale": value}, '[{"name":"Sale","value":0}]') for value in (False, 0, 0.0, "No", "0")),
    *((value, '[{"name":"Sale","value":1}]') for value in (
        [{"name": "Sale"}], '{"Sale": 1.0}', '[{"name": "Sale", "value": "Yes"}]',
        [{"name": "Sale"}, {"name": "SALE", "value": 1.0}], {"Sale": True, "Quote": None},
    )),
    *((value, ABSENT) for value in ({"Sale": None}, {"Sale": ""}, "{}", "[]", [{"name": "a",
        "value": []}])),
    *((value, REFUSED) for value in (
        "sale", 1, True, ["Sale"], {"Sale": "maybe"}, {"Sale": 2}, {"": 1}, [{"value": 1}],
        [{"name": "a", "note": 1}], {"a": 1, "A": 0}, {f"s{n}": 1 for n in range(101)},
        "[" * 100_000,
    )),
]  # fmt: skip
CUSTOM = [
    *(({"a": value}, f'[{{"name":"a","value":{wire}}}]') for value, wire in (*TEXT[:14], *ID[1:3])
        if wire is not ABSENT and not isinstance(value, (float, Decimal))),
    *(({"a": value}, f'[{{"name":"a","value":"{wire}"}}]') for value, wire in (
        (7.0, "7"), (Decimal("7.0"), "7"), (0.1 + 0.2, "0.3"), (100 * 1.1, "110"), (True, "true"),
    )),
    ({"a": 1, "A": 2}, '[{"name":"a","value":"1"},{"name":"A","value":"2"}]'),
    ('{"a": 1.50}', '[{"name":"a","value":"1.50"}]'), ({"a": None, "b": " "}, ABSENT),
    *((value, REFUSED) for value in (
        "a=1", 1, ["a"], {"a": {"b": 1}}, {"a": [1]}, [{"name": "a", "value": 1}, {"name": "a",
        "value": 2}],
        {"": 1}, {"a": "\ud800"}, {"a": float("nan")}, [{"name": ["a"], "value": 1}],
    )),
]  # fmt: skip
SPECIAL = {
    "external_call_unique_id": TEXT + ANY,
    "recording_filename": TEXT + ANY,
    "start_time": STARTS + ANY,
    "destination_phone_number": NUMBERS + ANY,
    "calling_phone_number": NUMBERS + ANY,
    "advertiser_campaign_id_from_network": ID + ANY,
    "recording_auth_config_id": ID + ANY,
    "call_direction": [
        *((value, '"outbound"') for value in ("outbound", "OUTBOUND", " Outbound ")),
        *((value, REFUSED) for value in ("out", "IN", 1, True, "inbound,outbound", "sideways")),
        *ANY,
    ],
    "language_code": [
        *((value, '"en-GB"') for value in ("en-GB", "EN-gb", " en-gb ")),
        *((value, REFUSED) for value in ("en", "ro-RO", "en-GB,en-US", 1, True, "english")), *ANY,
    ],
    "recording_url": [
        ("HTTPS://A.example/1?b=c&d", '"HTTPS://A.example/1?b=c&d"'), (" https://a.example ",
        '"https://a.example"'),
        *((value, REFUSED) for value in (
            "http://a.example/1", "ftp://a.example", "https://", "https:///a", "https://?a",
        "a.wav",
            "https://a.example/ b", 7, True, "file:///etc/passwd",
        )), *ANY,
    ],
    "signals": SIGNALS + [row for row in ANY if row[0] != {"a": ["b"]}],
    "custom_data": CUSTOM + [row for row in ANY if row[0] != {"a": ["b"]}],
}  # fmt: skip
REQUIRED = {one.name for one in PARAMETERS if one.required}
BESIDE = {one.name for one in BESIDE_CALL}


def body(record):
    """As the target posts it."""
    rendered = Renderer.of({}).render(record).values
    return json.dumps(rendered, ensure_ascii=False, separators=(",", ":")).encode()


def expected(name, wire):
    """The usual request with these bytes at one parameter, in the documented order."""
    call = json.loads(body(RECORD))["call"]
    parts = {one: json.dumps(value) for one, value in call.items() if one != name}
    if wire is not ABSENT:
        parts[name] = wire
    order = [one.name for one in PARAMETERS]
    inside = [f'"{one}":{parts[one]}' for one in order if one in parts and one not in BESIDE]
    beside = [f'"{one}":{parts[one]}' for one in order if one in parts and one in BESIDE]
    return ",".join([f'{{"call":{{{",".join(inside)}}}', *beside]).encode() + b"}"


@pytest.mark.parametrize("name", [one.name for one in PARAMETERS])
def test_hostile_forms_go_out_as_their_bytes_or_not_at_all(name):
    """All other bytes of the request stay what they are."""
    assert len(SPECIAL[name]) >= 10
    for value, wire in SPECIAL[name]:
        if wire is REFUSED or (wire is ABSENT and name in REQUIRED):
            with pytest.raises(InvalidCallError) as refused:
                body(RECORD | {name: value})
            assert refused.value.field == name, value
            assert "5550101" not in refused.value.reason
        else:
            assert body(RECORD | {name: value}) == expected(name, wire), (name, value)
