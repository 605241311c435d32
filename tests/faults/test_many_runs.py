"""Faults 1 to 5 and 10, the promise for the business: many runs, spellings, files, mappings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from call_sandbox.testing import wait_until
from singer_calls.deliver.identity import Account
from singer_calls.deliver.ledger import Claim, RunFacts
from singer_calls.deliver.sql_ledger import SqlLedger

pytestmark = pytest.mark.usefixtures("covered")

CALLS = 20
EVENT, START = "EventDate", "start_time"


def moment(number, seconds=7):
    """When a call took place; a moment without seconds proves nothing."""
    return f"2026-01-05T{10 + number // 60:02}:{number % 60:02}:{seconds:02}Z"


@pytest.fixture(params=["impact", "invoca"])
def dated(request):
    """Either target; calls have moments of their own."""
    bench = request.getfixturevalue("bench" if request.param == "impact" else "invoca_bench")
    when, plain = (EVENT if request.param == "impact" else START), type(bench).call

    def call(number):
        return plain(bench, number) | {when: moment(number)}

    bench.call, bench.when = call, when
    bench.caller = "CallerId" if request.param == "impact" else "calling_phone_number"
    return bench


def counted(run, **counts):
    """Whether the summary says so."""
    line = next(line for line in run.errors.splitlines() if "Summary:" in line)
    found = dict(part.split("=") for part in line.split("Summary:")[1].split())
    assert {name: int(found[name]) for name in counts} == counts, line


# One identity, many spellings


def test_every_spelling_of_an_address_is_one_destination(dated):
    """Letter case, a slash at the end, and new credentials make no other account."""
    bench = dated
    assert bench.run(bench.calls(CALLS)).code == 0
    url = bench.settings["api_url"]
    for spelled in (url.replace("http", "HTTP", 1), url + "/"):
        run = bench.run(bench.calls(CALLS), api_url=spelled)
        counted(run, unchanged=CALLS)
    assert len(bench.journal()) == CALLS


def test_a_whole_number_is_one_key_and_a_text_is_never_a_number(bench):
    """5, 5.0 and 5e0 are one call, also through a mapping; "5.0" is another one."""
    message = bench.record(0)
    text = json.dumps(message)

    def lines(key, when):
        line = text.replace(f'"{bench.key(0)}"', key).replace("2025-11-02T10:00:00Z", when)
        return [bench.schema(CallSessionId={}), line.encode() + b"\n", bench.state(1)]

    maps = {"calls": {"CallSessionId": "'x:' + str(CallSessionId)"}}
    for mapping in ({}, {"stream_maps": maps}):
        first, second = ("10:00:00", "11:00:00") if mapping else ("12:00:00", "13:00:00")
        for number, spelled in enumerate(("5", "5.0", "5e0", "50e-1")):
            run = bench.run(lines(spelled, f"2026-01-05T{first}Z"), **mapping)
            counted(run, accepted=int(number == 0), unchanged=int(number != 0))
        run = bench.run(lines('"5.0"', f"2026-01-05T{second}Z"), **mapping)
        counted(run, accepted=1)
    assert set(bench.books) == {"5", "5.0", "x:5", "x:5.0"}
    assert set(bench.books.values()) == {1}


def test_a_corrected_time_zone_makes_no_other_call(dated):
    """Whole quarter hours, up to 14; and less than a minute is the same call as well."""
    bench = dated
    assert bench.run(bench.calls(3)).code == 0
    for offset in ("+00:00", "-07:00", "+05:45", "+14:00"):
        moved = [bench.record(n, **{bench.when: moment(n)[:-1] + offset}) for n in range(3)]
        run = bench.run([bench.schema(), *moved, bench.state(3)])
        counted(run, changed=3 * (offset != "+00:00"))
    assert len(bench.journal()) == 3


# Another call under a known id


def test_another_call_under_a_known_id_is_rejected_once_and_never_lost(dated):
    """In the run of the first one or in a later one; and what comes again changed is known."""
    bench = dated
    other = bench.record(1, **{bench.caller: "+14155559999"})
    later = bench.record(2, **{bench.when: moment(2).replace("05T", "06T")})
    lines = [*bench.calls(3), other, bench.state(3)]
    run = bench.run(lines)
    counted(run, accepted=3, rejected=1)
    again = [*lines, later, bench.state(3)]
    counted(bench.run(again), unchanged=3, still_rejected=1, rejected=1)
    counted(bench.run(again), unchanged=3, still_rejected=2, rejected=0)
    marks = bench.set_aside("rejected")
    assert {mark["reason"].split(":")[0] for mark in marks.values()} == {"another call has this id"}
    assert marks.keys() == {bench.key(1), bench.key(2)}
    assert len(bench.journal()) == 3
    assert [len(path.read_bytes().splitlines()) for path in bench.files("rejected")] == [2, 2]


# A known call under another id


PREFIX = {"hold": "held", "known": "unchanged", "send": "accepted"}


@pytest.mark.parametrize("setting", PREFIX)
def test_a_new_prefix_pays_no_call_again_unless_asked(bench, setting):
    """Held, adopted or sent, as the setting says; a moment without seconds proves nothing."""
    bench.call = lambda n: type(bench).call(bench, n) | {EVENT: moment(n, 7 if n else 0)}
    assert bench.run(bench.calls(5)).code == 0
    maps = {"calls": {"CallSessionId": "'new:' + CallSessionId"}}
    for repeat in range(2):
        run = bench.run(bench.calls(5), stream_maps=maps, same_call_other_id=setting)
        if setting == "send":
            counted(run, accepted=5 * (1 - repeat), unchanged=5 * repeat)
        elif setting == "known":
            counted(run, accepted=1 - repeat, unchanged=4 + repeat)
        else:
            counted(run, accepted=1 - repeat, held=4 * (1 - repeat), still_held=4 * repeat)
    assert len(bench.journal()) == {"hold": 6, "known": 6, "send": 10}[setting]


def test_more_than_ten_known_calls_under_new_ids_end_the_run_in_one_sentence(dated):
    """A new prefix is no accident of single calls: one decision, not hundreds."""
    bench = dated
    assert bench.run(bench.calls(40)).code == 0
    field = bench.key_field
    maps = {"calls": {field: f"'new:' + {field}"}}
    run = bench.run(bench.calls(40), stream_maps=maps)
    assert run.code == 1
    (sentence,) = run.sentences
    assert "same_call_other_id: known" in sentence
    assert len(bench.journal()) == 40
    run = bench.run(bench.calls(40), stream_maps=maps, same_call_other_id="known")
    assert run.code == 0
    assert bench.bookmark == 40
    assert len(bench.journal()) == 40


# Set aside once


def test_a_rejected_call_is_posted_filed_and_reported_once(dated):
    """Three runs over the same calls: one POST, one line; a changed record is sent."""
    bench = dated
    bad = bench.key(3)
    bench.script([bad], "403" if bench.vendor == "invoca" else "400", "400")
    if bench.vendor == "invoca":
        bench.sandbox.switches("invoca", errors="validation")
    for number in range(3):
        run = bench.run(bench.calls(5), max_rejected_percent=0)
        assert run.code == int(number == 0), run.errors
    assert bench.sent[bad] == 1
    assert len(bench.set_aside("rejected")) == 1
    lines = [*bench.calls(3), bench.record(3, **{bench.caller: "+14155558888"}), bench.state(5)]
    bench.script([], "400")
    bench.run(lines)
    assert bench.sent[bad] == 2


def test_a_refused_record_is_filed_once_and_sent_when_the_mapping_is_right(bench):
    """Also one that never became a delivery."""
    maps = {"calls": {"CallDuration": "'long'"}}
    for number in range(3):
        run = bench.run(bench.calls(5), stream_maps=maps)
        counted(run, rejected=5 * (number == 0), still_rejected=5 * (number > 0))
    assert len(bench.files("rejected")) == 1
    counted(bench.run(bench.calls(5)), accepted=5)
    counted(bench.run(bench.calls(5)), unchanged=5)


def test_a_campaign_opened_at_the_vendor_takes_the_calls_it_refused(dated):
    """A run asks once more; while it is closed nothing is filed a second time."""
    bench = dated
    campaign = 1000 if bench.vendor == "impact" else 85
    bench.sandbox.switches(bench.vendor, closed_campaign=campaign)
    for number in range(2):
        run = bench.run(bench.calls(CALLS), max_in_flight=1)
        assert run.code == 0, run.errors
        counted(run, rejected=CALLS * (number == 0), still_rejected=CALLS * (number > 0))
        assert len(bench.journal()) == number + 1
    assert len(bench.set_aside("rejected")) == CALLS
    bench.sandbox.switches(bench.vendor, closed_campaign=0)
    run = bench.run(bench.calls(CALLS))
    counted(run, accepted=CALLS)


def test_a_program_that_is_closed_to_one_partner_takes_the_calls_of_others(bench):
    """A contract is one partner's: each is asked for once a run."""
    of_one = [bench.key(n) for n in (0, 2, 4)]
    bench.script(of_one, "refuse Campaign 1000 has no active contract")
    calls = [bench.record(n, **({} if n % 2 else {"MediaId": 7})) for n in range(6)]
    run = bench.run([bench.schema(), *calls, bench.state(6)], max_in_flight=1)
    counted(run, accepted=3, rejected=3)
    assert bench.books.keys() == {bench.key(n) for n in (1, 3, 5)}
    assert bench.sent.keys() == {bench.key(n) for n in (0, 1, 3, 5)}


def test_of_two_calls_of_one_record_the_refused_one_is_not_closed_by_the_other(bench):
    """One call may count in two programs, by a map for each."""
    refused = {"second": {"__source__": "calls", "CampaignId": "2", "CallDuration": "-1"}}
    counted(bench.run(bench.calls(1), stream_maps={"calls": None, **refused}), rejected=1)
    counted(bench.run(bench.calls(1), stream_maps=refused), accepted=1, still_rejected=1)
    counted(bench.run(bench.calls(1), stream_maps=refused), unchanged=1, still_rejected=1)


def test_a_call_that_the_only_map_of_its_stream_makes_closes_its_refused_record(bench):
    """Also where the stream itself is mapped to nothing."""
    maps = {"calls": None, "second": {"__source__": "calls", "CampaignId": "2"}}
    wrong = {**maps, "second": {**maps["second"], "CallDuration": "-1"}}
    counted(bench.run(bench.calls(1), stream_maps=wrong), rejected=1)
    assert b"\nrejected" in bench.run([], "--ledger").out
    counted(bench.run(bench.calls(1), stream_maps=maps), accepted=1)
    assert b"\nrejected" not in bench.run([], "--ledger").out


# Pending


def test_a_call_that_is_not_final_waits_and_holds_the_state_before_it(bench):
    """Over runs, a kill and other calls, until it is final."""
    now = datetime.now(UTC).replace(microsecond=0)
    bench.call = lambda n: (
        type(bench).call(bench, n)
        | {EVENT: (now - timedelta(minutes=CALLS - n, seconds=7)).isoformat()}
    )
    lines = list(bench.calls(CALLS, every=1))
    place = lines.index(bench.record(8))
    for _ in range(2):
        lines[place] = bench.record(8, CallStatus="in-progress")
        run = bench.run(lines)
        assert run.code == 0, run.errors
        assert bench.bookmark == 8
        counted(run, pending=1)
        assert not bench.rejected.exists()
    lines[place] = bench.record(8)
    run = bench.run(lines)
    assert bench.bookmark == CALLS
    assert bench.books == dict.fromkeys(bench.keys(CALLS), 1)
    lines[place] = bench.record(8, CallStatus="in-progress")  # a source that forgets
    counted(bench.run(lines), pending=0, changed=1)


def test_a_call_that_never_becomes_final_is_rejected_after_a_day(bench):
    """With its reason, and STATE goes on."""
    old = (datetime.now(UTC) - timedelta(days=1, minutes=5)).isoformat()
    lines = list(bench.calls(CALLS, every=1))
    lines[lines.index(bench.record(8))] = bench.record(8, CallStatus="ringing", EventDate=old)
    run = bench.run(lines)
    counted(run, pending=0, rejected=1)
    assert bench.bookmark == CALLS
    assert "older than 24 h" in bench.set_aside("rejected")[bench.key(8)]["reason"]


# Where the memory is


def resumed(bench, calls):
    """What a tap sends that begins at a bookmark."""
    return [bench.state(3), *bench.calls(calls)]


def test_an_empty_ledger_beside_a_resumed_tap_is_said(dated):
    """It ends the target whose vendor pays twice, and warns where the vendor knows a call again."""
    bench = dated
    run = bench.run(resumed(bench, 5))
    if bench.vendor == "invoca":
        assert run.code == 0
        assert "is empty" in run.errors
        return
    assert run.code == 1
    (sentence,) = run.sentences
    assert str(bench.ledger_file) in sentence
    assert "allow_empty_ledger" in sentence
    assert not bench.journal()
    assert bench.run(resumed(bench, 5), allow_empty_ledger=True).code == 0
    assert bench.run(resumed(bench, 5)).code == 0
    assert len(bench.journal()) == 5


def test_calls_of_another_vendor_make_no_ledger_less_empty(bench):
    """One ledger serves all targets: an Invoca job may write to a new one first."""
    other = SqlLedger(bench.settings["ledger_url"], RunFacts("target-invoca-calls", 5))
    other.apply([Claim(Account("invoca", "https://other.example", "1"), "a", None, b"")])
    other.close()
    run = bench.run(resumed(bench, 5))
    assert run.code == 1
    assert "is empty for this vendor" in run.sentences[0]
    assert not bench.journal()


def test_a_run_that_begins_beside_another_waits_for_its_rows(bench):
    """Both begin with an empty ledger; what the other leaves in files is there before its rows."""
    account = Account("impact", "https://other.example", "1")
    other = SqlLedger(bench.settings["ledger_url"], RunFacts("target-impact-calls", 5))
    run = bench.start().feed_aside(resumed(bench, 5))
    wait_until(lambda: "knows 0 calls" in run.errors, "the run has looked")
    other.apply([Claim(account, "a", None, b"")])
    assert run.wait() == 0, run.sentences
    other.close()
    assert bench.books == dict.fromkeys(bench.keys(5), 1)


def test_a_first_run_from_a_tap_that_begins_with_an_empty_state_is_a_first_run(bench):
    """Many taps write one."""
    assert bench.run([{"type": "STATE", "value": {"bookmarks": {}}}, *bench.calls(5)]).code == 0


def test_files_of_an_earlier_run_beside_an_empty_ledger_are_a_sign(bench):
    """The ledger was deleted, the rejected calls were not."""
    bench.script([bench.key(0)], "400")
    assert bench.run(bench.calls(5)).code == 0
    for file in bench.folder.glob("calls.ledger.db*"):
        file.unlink()
    run = bench.run(bench.calls(5))
    assert run.code == 1
    assert "is of a run that delivered" in run.sentences[0]
    assert len(bench.journal()) == 5


def test_a_relative_ledger_is_the_project_s_from_every_folder(bench):
    """One line a run says which one it is."""
    project = bench.folder / "project"
    (project / "sub").mkdir(parents=True)
    environment = {"MELTANO_PROJECT_ROOT": str(project)}
    mine = {"ledger_url": "sqlite:///mine.ledger.db", "rejected_path": "aside/"}
    bench.script([bench.key(4)], "400")
    for _ in range(2):
        run = bench.run(bench.calls(5), environment=environment, **mine)
        assert run.code == 0, run.errors
        assert str(project / "mine.ledger.db") in run.errors
    assert len(bench.journal()) == 5
    assert len(list((project / "aside").iterdir())) == 1
    run = bench.run(bench.calls(5), ledger_url="")
    assert run.code == 1
    assert "ledger_url" in run.sentences[0]


# Licences


def test_a_replayed_rejection_sends_no_call_that_became_unknown(bench):
    """The licence is for the outcome it was written for, once."""
    key = bench.key(3)
    bench.script([key], "400", "late 3")
    assert bench.run(bench.calls(5)).code == 0
    (file,) = bench.files("rejected")
    bench.run([], "--input", str(file), request_timeout=1)
    assert bench.held == {key}
    for _ in range(3):
        counted(bench.run([], "--input", str(file)), still_held=1)
    assert bench.sent[key] == 2
    (held,) = bench.files("held")
    counted(bench.run([], "--input", str(held)), accepted=1)
    counted(bench.run([], "--input", str(held)), unchanged=1)
    assert bench.sent[key] == 3


def test_a_held_call_replayed_under_another_id_stays_held(bench):
    """The decision was about the call that the file names."""
    bench.script([bench.key(3)], "empty")
    assert bench.run(bench.calls(5)).code == 0
    (held,) = bench.files("held")
    maps = {"calls": {"CallSessionId": "'new:' + CallSessionId"}}
    counted(bench.run([], "--input", str(held), stream_maps=maps), held=1)
    assert len(bench.journal()) == 5


# A record costs at most itself


POISON = {
    "validator": (
        {"CallDuration": "9" * 5000},
        {"CallDuration": {"type": "integer", "maximum": 9e9}},
    ),
    "key property": ({"CallSessionId": ...}, {}),
    "map": ({"DispositionName": 5}, {}),
    "render": ({"CallDuration": [1]}, {}),
    "key": ({"CallSessionId": "x\0y"}, {}),
    "encode": ({"Region": "half a pair \ud800"}, {}),
    "bytes": ({"Region": "Latin-1"}, {}),
}


@pytest.mark.parametrize("border", POISON)
def test_one_poisoned_record_stops_no_run(bench, border):
    """Whatever breaks at it; the others are delivered, and the next run does as well."""
    fields, types = POISON[border]
    maps = {"calls": {"DispositionName": "DispositionName.upper()"}}
    lines = list(bench.calls(CALLS))
    lines[0] = bench.schema(**types)
    poisoned = bench.record(8, **fields)
    if fields.get("CallSessionId") is ...:
        del poisoned["record"]["CallSessionId"]
    if border == "bytes":
        poisoned = json.dumps(poisoned).encode().replace(b"Latin", b"Lat\xedn") + b"\n"
    lines[lines.index(bench.record(8))] = poisoned
    for number in range(2):
        run = bench.run(lines, stream_maps=maps)
        assert run.code == 0, run.errors
        counted(run, rejected=1 - number, still_rejected=number)
        assert bench.bookmark == CALLS
    assert bench.books == dict.fromkeys(bench.keys(CALLS) - {bench.key(8)}, 1)


def test_a_record_that_is_refused_waits_for_its_call_that_is_under_way(bench):
    """Delivered by then, it holds up no STATE."""
    bench.script([bench.key(0)], "late 0.5")
    lines = [bench.schema(), bench.record(0), bench.record(0, CallDuration=-1), bench.state(2)]
    counted(bench.run(lines), accepted=1, changed=1, pending=0)
    assert bench.bookmark == 2


def test_a_record_that_is_refused_is_what_its_call_is(bench):
    """Our check speaks of the record; the call may be delivered, held, or a person's already."""
    bench.script([bench.key(1)], "empty")
    bench.script([bench.key(2), bench.key(3)], "400")
    bench.run(bench.calls(4), max_rejected_percent=100)
    assert "drop" in bench.ledger("resolve", bench.key(2), "--drop").output
    sent = len(bench.journal())

    broken = [bench.record(number, CallDuration=-1) for number in range(4)]
    run = bench.run([bench.schema(), *broken, bench.state(4)], max_rejected_percent=100)

    counted(run, changed=1, still_held=1, unchanged=1, rejected=1)
    assert len(bench.journal()) == sent


def test_a_mapping_may_compute_what_it_likes(bench):
    """Numbers, truths, lists and nothing: the parameters' own table judges them."""
    maps = {
        "calls": {
            "CallDuration": "TalkDuration * 2 or 0",
            "SaleAmount": "TalkDuration * 1.1",
            "RepeatCaller": "CallStatus == 'Answered'",
            "Keypresses": "[1, 2]",
            "MediaId": "10001 if CallerId else 10002",
        }
    }
    run = bench.run(bench.calls(2), stream_maps=maps)
    counted(run, accepted=2)
    form = bench.journal()[0]["form"]
    assert (form["CallDuration"], form["SaleAmount"], form["MediaId"]) == ("100", "55", "10001")


def test_a_state_of_null_says_nothing(bench):
    """As an empty one does."""
    run = bench.run([*bench.calls(5), {"type": "STATE", "value": None}, *bench.calls(10, first=5)])
    assert run.code == 0
    assert bench.bookmark == 10


# 409 and 202


def test_an_id_that_the_vendor_knows_and_we_do_not(invoca_bench):
    """In a new ledger it counts as delivered, with a warning; else it is held, and asked once."""
    bench = invoca_bench
    bench.call = lambda n: type(bench).call(bench, n) | {START: moment(n)}
    bench.script([bench.key(1)], "409")
    run = bench.run(bench.calls(5))
    counted(run, accepted=4, duplicate=1)
    assert "known to the vendor while this ledger was new" in run.errors
    bench.script([bench.key(6)], "409", "409", "409")
    bench.script([bench.key(7)], "202")
    for number in range(3):
        run = bench.run(bench.calls(10, first=5))
        counted(run, held=int(number == 0), still_held=int(number > 0))
        assert run.code == 0
    assert bench.sent[bench.key(6)] == 1
    assert bench.held == {bench.key(6)}
