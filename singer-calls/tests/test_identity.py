"""Who a call is: what contradicts it, and what proves that it is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_calls.deliver.identity import NOBODY, WITHHELD, Identity, mark
from singer_calls.http.origin import origin_of

ONE = Identity(1_760_000_007, mark("+14155550101"), mark("+12125550101", 60))


@pytest.mark.parametrize(
    "url",
    [
        "https://invoca.net/api/2022-03-01/calls.json",
        "HTTPS://Invoca.NET/",
        "https://invoca.net:443",
        "https://invoca.net.:443/x",
    ],
)
def test_every_spelling_of_an_address_is_one_origin(url):
    """Case, the default port and the path make no other account."""
    assert origin_of(url) == "https://invoca.net"


def test_another_port_or_scheme_is_another_origin():
    """And IPv6 keeps its brackets."""
    assert origin_of("http://127.0.0.1:8321/x") == "http://127.0.0.1:8321"
    assert origin_of("https://invoca.net:80") == "https://invoca.net:80"
    assert origin_of("http://[::1]:80/x") == "http://[::1]"


@pytest.mark.parametrize(
    ("moved", "another"),
    [
        (0, False),
        (59, False),
        (60, True),
        (-60, True),
        (899, True),
        (900, False),
        (3600, False),
        (-7 * 3600, False),
        (14 * 3600, False),
        (14 * 3600 + 900, True),
        (86400, True),
    ],
)
def test_a_moment_may_move_by_seconds_or_as_a_corrected_zone_moves_it(moved, another):
    """By a minute or more it is another call, but not by whole quarter hours up to 14 hours."""
    other = Identity(ONE.moment + moved, ONE.caller, ONE.called)
    assert other.contradicts(ONE) is another
    assert ONE.contradicts(other) is another


def test_another_caller_is_another_call_and_a_missing_one_contradicts_nothing():
    """Nor does a withheld one, nor a mark of another rule; the called number is no matter."""
    assert Identity(ONE.moment, mark("4155550102"), ONE.called).contradicts(ONE)
    for caller in (None, WITHHELD):
        assert not Identity(ONE.moment, caller, ONE.called).contradicts(ONE)
        assert not ONE.contradicts(Identity(ONE.moment, caller, ONE.called))
    assert not Identity(ONE.moment, mark("4155550102"), ONE.called, rule=2).contradicts(ONE)
    assert not Identity(ONE.moment, ONE.caller, mark("2125550199", 61)).contradicts(ONE)
    assert not ONE.contradicts(NOBODY)


def test_the_same_call_is_told_by_moment_and_both_marks():
    """A moment without seconds proves nothing, nor does a missing mark; two withheld are equal."""
    assert Identity(ONE.moment, ONE.caller, ONE.called).is_same(ONE)
    minute = Identity(ONE.moment - ONE.moment % 60, ONE.caller, ONE.called)
    assert not minute.is_same(minute)
    for missing in ({"caller": None}, {"called": None}, {"moment": None}):
        parts = {"moment": ONE.moment, "caller": ONE.caller, "called": ONE.called} | missing
        assert not Identity(**parts).is_same(Identity(**parts))
    withheld = Identity(ONE.moment, WITHHELD, ONE.called)
    assert withheld.is_same(withheld)
    assert not withheld.is_same(ONE)
    assert not Identity(ONE.moment, ONE.caller, ONE.called, rule=2).is_same(ONE)


@given(st.text("0123456789", min_size=7, max_size=15))
def test_a_mark_is_the_same_for_every_spelling_and_leads_back_to_no_number(digits):
    """Sixteen bits of seven digits."""
    spelled = f"+{digits[:-7]} ({digits[-7:-4]}) {digits[-4:]}"
    assert mark(digits) == mark(spelled)
    assert 0 <= mark(digits) < 2**16
    assert mark("") is mark(None) is mark("anonymous") is None
    assert mark(digits, 60) != mark(digits, 61) or mark(digits, 62) != mark(digits, 61)
