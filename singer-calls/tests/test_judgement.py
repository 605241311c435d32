"""What the ledger alone says of a call."""

from __future__ import annotations

import pytest

from singer_calls.deliver.delivery import Delivery, fingerprint
from singer_calls.deliver.entries import (
    ACCEPTED,
    CLOSED,
    DUPLICATE,
    REJECTED,
    UNKNOWN,
    WAITING,
    Found,
    Row,
)
from singer_calls.deliver.identity import Account, Identity
from singer_calls.deliver.judgement import Policy, judge
from singer_calls.deliver.outcome import AlreadyDelivered, Rejected, Unknown
from singer_calls.deliver.source_record import Licence

ACCOUNT = Account("test", "https://vendor.example", "7")
WHO = Identity(1_760_000_007, 1, 2)
OTHER = Identity(1_760_000_007, 3, 2)
PRINT, OLD = fingerprint(["new"]), fingerprint(["old"])
CALL = Delivery(ACCOUNT, "a", "", b"", identity=WHO, fingerprint=PRINT)
HOLD, RETRY = Policy(retry_unknown=False, key_field="Key"), Policy(retry_unknown=True)
SEND = None
EARLIER = "delivered earlier"


def row(state, who=WHO, print_=PRINT, **more):
    return Row(ACCOUNT, "a", state, 1, 4, who, fingerprint=print_, **more)


def licence(outcome, key="a", attempt=4):
    return Licence(outcome, ACCOUNT, key, attempt)


@pytest.mark.parametrize(
    ("known", "policy", "paper", "becomes"),
    [
        (None, HOLD, None, SEND),
        (row(ACCEPTED), HOLD, None, AlreadyDelivered(EARLIER)),
        (row(DUPLICATE), HOLD, None, AlreadyDelivered(EARLIER)),
        (
            row(ACCEPTED, print_=OLD),
            HOLD,
            None,
            AlreadyDelivered("delivered earlier", changed=True),
        ),
        # A fingerprint of another rule says nothing of a change.
        (row(ACCEPTED, print_=b"\0" * 16), HOLD, None, AlreadyDelivered(EARLIER)),
        (row(CLOSED), HOLD, None, AlreadyDelivered("closed earlier")),
        # Marks bind once the vendor may have the call, and not before.
        *((row(state, OTHER), HOLD, None, Rejected) for state in (ACCEPTED, DUPLICATE, UNKNOWN)),
        *((row(state, OTHER), HOLD, None, SEND) for state in (REJECTED, WAITING)),
        (row(ACCEPTED, OTHER), HOLD, licence("rejected"), Rejected),
        # Unknown: the policy, a person or a licence lets it go.
        (row(UNKNOWN), HOLD, None, Unknown),
        (row(UNKNOWN), RETRY, None, SEND),
        (row(UNKNOWN, remedy="person"), RETRY, None, Unknown),
        (row(UNKNOWN, released=True), HOLD, None, SEND),
        (row(UNKNOWN), HOLD, licence("unknown"), SEND),
        # A licence is for one outcome of one attempt of one call.
        (row(UNKNOWN), HOLD, licence("rejected"), Unknown),
        (row(UNKNOWN), HOLD, licence("unknown", attempt=3), Unknown),
        (row(UNKNOWN), HOLD, licence("unknown", key="b"), Unknown),
        (row(UNKNOWN), HOLD, Licence("unknown"), Unknown),
        (row(UNKNOWN), HOLD, Licence("rejected"), Unknown),
        (row(ACCEPTED), HOLD, licence("unknown"), AlreadyDelivered(EARLIER)),
        # Rejected: sent again when what would be sent is new, or someone says so.
        (row(REJECTED, refused=(PRINT,)), HOLD, None, Rejected),
        (row(REJECTED, refused=(OLD, PRINT)), HOLD, None, Rejected),
        (row(REJECTED, refused=(OLD,)), HOLD, None, SEND),
        (row(REJECTED, refused=(PRINT,), released=True), HOLD, None, SEND),
        (row(REJECTED, refused=(PRINT,)), HOLD, licence("rejected"), SEND),
        (row(REJECTED, refused=(PRINT,)), HOLD, Licence("rejected"), SEND),  # release 0.1's file
        (row(REJECTED, refused=(PRINT,)), HOLD, licence("rejected", attempt=3), Rejected),
        (row(REJECTED, refused=(PRINT,), remedy="campaign"), HOLD, None, SEND),
        (row(WAITING), HOLD, None, SEND),
        # A replayed held call under another id than its mark is held as ever.
        (None, HOLD, licence("unknown"), Unknown),
        (None, RETRY, licence("unknown"), Unknown),
        (None, HOLD, licence("rejected"), SEND),
    ],
)
def test_what_is_known_decides(known, policy, paper, becomes):
    """One row of the table each."""
    found = judge(CALL, Found(known), paper, policy)
    if isinstance(becomes, type):
        assert isinstance(found, becomes)
    else:
        assert found == becomes


@pytest.mark.parametrize(
    ("setting", "becomes"), [("hold", Unknown), ("known", AlreadyDelivered), ("send", None)]
)
def test_a_known_call_under_another_id_goes_by_the_setting(setting, becomes):
    """Set aside, adopted, or sent."""
    twin = Row(ACCOUNT, "b", ACCEPTED, 1, 1, WHO)
    outcome = judge(
        CALL, Found(None, twin), None, Policy(retry_unknown=False, same_call_other_id=setting)
    )
    assert outcome is None if becomes is None else isinstance(outcome, becomes)


def test_what_was_set_aside_before_is_not_again():
    """It is told by the row: filed, or refused for the same."""
    assert judge(CALL, Found(row(UNKNOWN, filed=True)), None, HOLD).earlier
    assert not judge(CALL, Found(row(UNKNOWN)), None, HOLD).earlier
    known = judge(CALL, Found(row(REJECTED, refused=(PRINT,), reason="too long")), None, HOLD)
    assert known == Rejected("too long", earlier=True)
