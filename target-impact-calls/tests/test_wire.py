"""Each of the 50 parameters in hostile forms: the bytes that go over the wire, or the refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from singer_calls.deliver import InvalidCallError
from target_impact_calls.call import PARAMETERS, Renderer

REFUSED, ABSENT = object(), object()
BASE = {
    "CampaignId": 1000,
    "MediaId": 10000,
    "EventDate": "2026-09-10T22:55:32+00:00",
    "ActionTrackerId": 4000,
    "CallProvider": "INVOX",
    "CallSessionId": "1284411",
    "CallerId": "+18055550100",
    "CalledPhoneNumber": "+18055551234",
    "CallDuration": 180,
    "TalkDuration": 180,
    "CallStatus": "ANSWER",
    "CallerPhoneNumberCountry": "US",
    "CalledPhoneNumberCountry": "US",
}
# What came in, and what goes out.
ANY = [
    (None, ABSENT), ("", ABSENT), (" \t\n", ABSENT), ([], ABSENT), ({}, ABSENT),
    ("\ud800", REFUSED), ("a\0b", REFUSED), (["a", ["b"]], REFUSED), ({"a": 1}, REFUSED),
    (10**40, REFUSED), (Decimal("NaN"), REFUSED), (Decimal("sNaN"), REFUSED),
    (Decimal("1e999999999"), REFUSED), (float("inf"), REFUSED), (1e300, REFUSED), ({1}, REFUSED),
    (b"a", REFUSED), (timedelta(1), REFUSED),
]  # fmt: skip
TEXT = [
    ("a&b=c+d%", b"a%26b%3Dc%2Bd%25"), ("  padded ", b"padded"), ("ănă €",
        b"%C4%83n%C4%83+%E2%82%AC"),
    ("\U0001f4de", b"%F0%9F%93%9E"), ("a\r\nb", b"a%0D%0Ab"), ("5.0", b"5.0"), (5, b"5"),
    (5.0, b"5"), (Decimal("5.00"), b"5"), (Decimal("5e0"), b"5"), (0.1 + 0.2, b"0.3"),
    (Decimal("1.50"), b"1.50"), (True, b"true"), (False, b"false"), (-3, b"-3"),
    ("<script>", b"%3Cscript%3E"), ("\u202ex", b"%E2%80%AEx"), ("00012", b"00012"), ("x" * 64,
        b"x" * 64),
]  # fmt: skip
SHORT = [*TEXT, ("x" * 65, REFUSED), ("ă" * 64, b"%C4%83" * 64)]
ID = [
    (7, b"7"), (7.0, b"7"), (Decimal("7.0"), b"7"), ("7", b"7"), (" 7 ", b"7"), ("007", b"7"),
    ("7.0", b"7"), (0, b"0"), (7.5, REFUSED), ("7.5", REFUSED), (-7, REFUSED), ("7,000", REFUSED),
    ("7e3", REFUSED), ("0x7", REFUSED), ("7_0", REFUSED), (True, REFUSED), ("seven", REFUSED),
    ("\u0667", REFUSED), ("9" * 17, REFUSED), ("+7", REFUSED),
]  # fmt: skip
SECONDS = [
    (74, b"74"), (74.9, b"74"), (Decimal("74.9"), b"74"), ("74", b"74"), ("74.9", b"74"),
    ("00:01:14", b"74"), ("01:14", b"74"), ("00:01:14.9", b"74"), ("PT1M14S", b"74"), (0, b"0"),
    (timedelta(seconds=74), b"74"), ("1e1000000", REFUSED), ("1_2", REFUSED), (-1, REFUSED),
    ("-1", REFUSED), ("1:2", REFUSED), ("00:61:00", REFUSED), (True, REFUSED), ("1 min", REFUSED),
    (1769852400, REFUSED), ("\u0667", REFUSED), ([74], REFUSED),
]  # fmt: skip
NUMBER = [
    (7, b"7"), ("7", b"7"), (7.0, b"7"), (0.1 + 0.2, b"0.3"), (100 * 1.1, b"110"), ("-3", b"-3"),
    (Decimal("12.50"), b"12.50"), ("12.50", b"12.50"), ("12,50", REFUSED), ("1e3", REFUSED),
    (Decimal("1e3"), b"1000"), (True, REFUSED), ("A7", REFUSED), ("\u0667", REFUSED), ("7.",
        REFUSED),
    ("NaN", REFUSED), ("0x10", REFUSED), ("1_2", REFUSED), ([7], REFUSED),
]  # fmt: skip
MONEY = [
    (0.1 + 0.2, b"0.30"), (100 * 1.1, b"110"), (Decimal("110.00"), b"110"), ("12.5", b"12.50"),
    ("12.50", b"12.50"), ("12.345", b"12.35"), (Decimal(10) / 3, b"3.33"), (0, b"0"), ("-3", b"-3"),
    (-0.001, b"0"), (1e-9, b"0"), ("$12.50", REFUSED), ("12,50", REFUSED), ("1,234.50", REFUSED),
    ("12.50 USD", REFUSED), ("1e3", REFUSED), (True, REFUSED), ("9" * 17, REFUSED), ([1], REFUSED),
]  # fmt: skip
NOT_NUMBERS = [
    "sip:bob@203.0.113.155", "203.0.113.155", "805555XXXX", "+1805555****", "+44 20 7946 0XXX",
    "8055550101.5", "Ext.80002", "911", "12", "2026-01-31 09:30:00", "bob", "1-800-FLOWERS", True,
    "8055550101, 8055550102", "x" * 100_000, [8055550101], -8055550101, 8055550101.5,
        "009001234567",
]  # fmt: skip
NUMBERS = {
    "8055550101": [
        "8055550101", "(805) 555-0101", "805.555.0101", "+1 805 555 0101", "18055550101",
        8055550101,
        8055550101.0, Decimal(8055550101), "8055550101.0", "tel:+1-805-555-0101",
        "805-555-0101 x12",
        "sip:+18055550101@198.51.100.7:5060;user=phone", '"Ana" <8055550101>', "011 1 8055550101",
        "\u202a+1\u00a0805\u2011555\u20110101\u202c", "8055550101     ",
    ],
}  # fmt: skip
WITHHELD = ["anonymous", "No Caller ID", "+17378742833", 7378742833, "+266696687", "0000000000", 0]
COUNTRY = [
    *((code, b"US") for code in ("US", "us", " US ", "USA", "usa")),
    *((code, REFUSED) for code in ("GB", "UK", "XX", "United States", "1", 1, True, "U", "+1",
        ["US"])),
]  # fmt: skip
DATES = [
    *((value, b"2026-01-31T09%3A30%3A00%2B00%3A00") for value in (
        "2026-01-31T09:30:00Z", "2026-01-31 09:30:00", "2026-01-31 09:30:00+00", "20260131T093000Z",
        "2026/01/31 9:30 AM", "Sat, 31 Jan 2026 09:30:00 +0000", "Sat, 31 Jan 2026 09:30:00 GMT",
        1769851800, "1769851800", 1769851800000, "1769851800.25", 1769851800.0, "20260131093000000",
        datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    )),
    ("2026-01-31T09:30:00-08", b"2026-01-31T09%3A30%3A00-08%3A00"), ("NOW", b"NOW"),
    *((value, REFUSED) for value in (
        "2026-01-31", "09:30:00", "yesterday", "01/02/2026 09:30", "0000-00-00 00:00:00", "now!",
        "0001-01-01T00:00:00", "1899-12-30 00:00:00", "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2126-01-31T09:30:00Z", "2026-02-30 09:30:00", "2026-01-31T25:00:00Z", 46053.4, 12345, True,
        "9" * 5000, 0,
    )),
]  # fmt: skip
STATUS = [
    *((word, b"ANSWER") for word in ("ANSWER", "answered", "Completed", "Answered Call",
        "Normal Clearing")),
    *((word, b"CANCEL") for word in ("no-answer", "NO_ANSWER", "NoAnswer", "canceled",
        "Missed Call")),
    ("busy", b"CONGESTION"), ("Voicemail", b"IVR_DROPOFF"), ("failed", b"FAILURE"),
    *((word, REFUSED) for word in (
        "in-progress", "ringing", "Queued", "initiated", "Calling", "Transferat", True, 16, None,
        "",
        "8055550101", ["ANSWER"], {"a": 1}, "\ud800",
    )),
]  # fmt: skip
LEFT_OUT = [
    (value, ABSENT) for value in (
        "?", "a b", True, -1, 1.5, ["a"], {"a": 1}, "\ud800", "a\0", 10**40, Decimal("NaN"),
        "file 17",
    )
]  # fmt: skip
SPECIAL = {
    "EventDate": DATES,
    "CallStatus": STATUS,
    "CallerId": [(value, REFUSED) for value in (*NOT_NUMBERS, *WITHHELD, None, "")]
    + [(value, b"%2B1" + digits.encode()) for digits,
        values in NUMBERS.items() for value in values],
    "CalledPhoneNumber": [(value, REFUSED) for value in (*NOT_NUMBERS, *WITHHELD, None, "")]
    + [(value, digits.encode()) for digits, values in NUMBERS.items() for value in values],
    "CallerPhoneNumberCountry": COUNTRY,
    "CalledPhoneNumberCountry": COUNTRY,
    "SaleAmount": MONEY + ANY,
    "ReferenceId": NUMBER + ANY,
    "Zip": [
        *((value, b"93101") for value in ("93101", 93101, 93101.0, "93101-1234", 931011234,
        " 93101 ")),
        *(("02134", b"02134"), ("SW1A 1AA", ABSENT), ("93101.5", ABSENT)), *LEFT_OUT,
    ],
    "PhoneType": [
        *((value, b"Mobile") for value in ("Mobile", "MOBILE", " mobile ")), ("landline",
        b"Landline"),
        *((value, ABSENT) for value in ("VoIP", "Mobile,Landline", 1)), *LEFT_OUT,
    ],
    "CallRecording": [
        ("https://a.example/1?b=c&d", b"https%3A%2F%2Fa.example%2F1%3Fb%3Dc%26d"),
        ("http://a.example", b"http%3A%2F%2Fa.example"), ("HTTPS://A.example/",
        b"HTTPS%3A%2F%2FA.example%2F"),
        *((value, ABSENT) for value in ("ftp://a.example", "https://", "https:///a",
        "https://?a", "a.example",
            "javascript:alert(1)", "https://a.example/ b", 7)), *LEFT_OUT,
    ],
    "ClickId": [
        *((value, b"Qab%3A1") for value in ("Qab:1", "Qab%3A1", " Qab%3a1 ")),
        ("Qab%253A1", b"Qab%253A1"), ("Q%00", REFUSED), *TEXT, *ANY,
    ],
    "Keypresses": [
        *((value, b"1%2C2") for value in ("1,2", "1, 2", [1, 2], ["1", "2", "1"], [1.0, None, 2],
        "1,,2,1")),
        ("1", b"1"), (1, b"1"), (["#", "*"], b"%23%2C%2A"), *ANY,
    ],
}  # fmt: skip
BY_SAYS = {
    "whole number": ID + ANY,
    "text": TEXT + ANY,
    "text, at most 64 characters": SHORT + ANY,
    "duration: seconds (parts are cut), or a clock such as 00:08:10": SECONDS
    + [row for row in ANY if row[0] != timedelta(1)],
}
DERIVED = {"TalkDuration"}  # said by the rest of the call, where it is missing
REQUIRED = {one.name for one in PARAMETERS if one.required}


def body(record):
    """As the target posts it."""
    return urlencode(Renderer.of({}).render(record).values).encode()


def pairs(record):
    """The request by parameter: its bytes as they stand there."""
    split = (pair.partition(b"=") for pair in body(record).split(b"&"))
    return {name.decode(): wire for name, _, wire in split}


def forms(parameter):
    return SPECIAL.get(parameter.name) or BY_SAYS[parameter.kind.says]


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda one: one.name)
def test_hostile_forms_go_out_as_their_bytes_or_not_at_all(parameter):
    """All other bytes of the request stay what they are."""
    name = parameter.name
    table = forms(parameter)
    assert len(table) >= 10
    usual = pairs(BASE)
    derived = usual[name] if name in DERIVED else None
    for value, wire in table:
        if wire is REFUSED or (wire is ABSENT and name in REQUIRED and not derived):
            with pytest.raises(InvalidCallError) as refused:
                body(BASE | {name: value})
            # A wrong country is told as the number's, which it contradicts.
            assert refused.value.field in {name, name.removesuffix("Country"), "CallerId"}, value
            assert "5550101" not in refused.value.reason
            continue
        expected = {pair: wire for pair, wire in usual.items() if pair != name}
        if wire is not ABSENT or derived:
            expected[name] = derived if wire is ABSENT else wire
        assert pairs(BASE | {name: value}) == expected, (name, value)
