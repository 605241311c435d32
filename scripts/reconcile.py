"""The vendors' books against the sources: is each call where it should be, and there once?"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkout import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_YOUNG_SECONDS = 70 * 60.0  # an hour, and what the runs took
FETCHED_SECONDS = 20.0  # until which Invoca has fetched what it was told to


@dataclass(frozen=True)
class Delivery:
    """A pipeline that delivers calls to a vendor.

    Attributes:
        job: Its job in meltano.yml.
        source: The vendor that is read.
        destination: The vendor that receives.
        final: Whether the mapping lets a call of the source through.
        waits: Whether it may leave the call to a later run, as it is now (epoch seconds).
    """

    job: str
    source: str
    destination: str
    final: Callable[[Mapping[str, Any]], bool]
    waits: Callable[[Mapping[str, Any], float], bool] = lambda _call, _now: False

    def key(self, call: Mapping[str, Any]) -> str:
        """What the mapping makes of a call's id: sources share a destination's ids."""
        return f"{self.source}:{call.get('call_id') or call['id']}"


SUPPORTED = ("1", "44", "34")  # calling codes that Invoca documents


def _final(call: Mapping[str, Any]) -> bool:
    return bool(call["status"] != "Calling")


def _called(call: Mapping[str, Any]) -> str:
    return str(call.get("destinationnumber") or call["receivingnumber"])


def _final_and_recorded(call: Mapping[str, Any]) -> bool:
    numbers = (call.get("caller") or "", _called(call))
    british = all(number.startswith("+44") for number in numbers)
    return _final(call) and bool(call.get("recording_uri")) and british


def _inbound(call: Mapping[str, Any]) -> bool:
    return bool(call["direction"] != "OUT")


def _young(call: Mapping[str, Any], now: float) -> bool:
    """What ended an hour ago or less waits, as the mapping says."""
    ended = datetime.fromisoformat(call["call_end"] or call["call_start"])
    return ended.replace(tzinfo=UTC).timestamp() > now - _YOUNG_SECONDS


def _recorded(call: Mapping[str, Any]) -> bool:
    numbers = (call["call_origin"], call["call_destination"])
    return call["has_recording"] == "TRUE" and all(n.startswith(SUPPORTED) for n in numbers)


DELIVERIES = (
    Delivery("invox-to-impact", "invox", "impact", _final),
    Delivery("iovox-to-impact", "iovox", "impact", _inbound, _young),
    Delivery("invox-to-invoca", "invox", "invoca", _final_and_recorded),
    Delivery("iovox-to-invoca", "iovox", "invoca", _recorded),
)


@dataclass(frozen=True)
class Trouble:
    """What one call meets on its way, and what is to become of it.

    Attributes:
        delivery: The pipeline that meets it, in the first run.
        word: The sandbox's word for it; README of the sandbox, Fault words.
        told: For people.
        end: What became of it, when all is well.
    """

    delivery: Delivery
    word: str
    told: str
    end: str


TROUBLES = (
    Trouble(
        DELIVERIES[0],
        "503 retry-after 1",
        "impact.com said 503 and asked for a second",
        "retried after it, and accepted",
    ),
    Trouble(
        DELIVERIES[0],
        "reset_after_body",
        "the line to impact.com broke before its answer",
        "held, not sent again: who pays for each call must not get it twice",
    ),
    Trouble(
        DELIVERIES[0],
        "refuse MediaId: Partner is not active",
        'impact.com refused it: "Partner is not active"',
        "rejected, and kept with that reason to be replayed",
    ),
    Trouble(
        DELIVERIES[2],
        "reset_after_body",
        "the line to Invoca broke before its answer",
        "retried: Invoca, which tells calls apart, said that it had it",
    ),
)


def at_sources(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every call that the sources have, by source."""
    return {
        "invox": ask(f"{url}/invox/api/v2/calls", headers={"X-API-Key": "sandbox-invox-key"}),
        "iovox": ask(
            f"{url}/iovox/rest/v1/calls/insights?limit=20000&start_date=2000-01-01"
            "&response_fields=id,call_start,call_end,call_origin,call_destination,has_recording,"
            "direction",
            headers={"username": "sandbox-user", "secureKey": "sandbox-secure-key"},
        ),
    }


def make_trouble(url: str) -> dict[str, Trouble]:
    """Prescribe what certain calls will meet; returns them by their id."""
    sources = at_sources(url)
    prescribed: dict[str, Trouble] = {}
    for trouble in TROUBLES:
        keys = (
            trouble.delivery.key(call)
            for call in sources[trouble.delivery.source]
            if trouble.delivery.final(call) and str(call.get("caller")).startswith(("07", "+44"))
        )
        key = next(key for key in keys if key not in prescribed)
        prescribed[key] = trouble
        vendor = trouble.delivery.destination
        ask(f"{url}/_script", {"vendor": vendor, "calls": {key: [trouble.word]}})
    return prescribed


def set_aside(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """The calls in the rejected files and in the held ones, under the ids that the mappings make.

    Returns:
        Rejected and held: id -> its file.
    """
    rejected: dict[str, Path] = {}
    held: dict[str, Path] = {}
    for file in (folder / "rejected").rglob("*.singer.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                key = (
                    f"invox:{record['call_id']}" if "call_id" in record else f"iovox:{record['id']}"
                )
                (held if ".held." in file.name else rejected)[key] = file
    return rejected, held


def report(url: str, folder: Path, prescribed: Mapping[str, Trouble]) -> bool:
    """What became of the calls that met trouble; whether each ended as it should."""
    rejected, held = set_aside(folder)
    right = True
    for key, trouble in prescribed.items():
        vendor = trouble.delivery.destination
        times = ask(f"{url}/_books?vendor={vendor}").get(key, 0)
        file = held.get(key) or rejected.get(key)
        print(f"  {key}  {trouble.told}:\n    {trouble.end}.")
        print(f"    In the vendor's books: {times} x.")
        if file:
            print(f"    In {_short(file)}")
        right = right and times == (0 if key in rejected else 1)
        right = right and (file is None) == trouble.end.startswith("retried")
    return right


def _short(file: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(file.relative_to(Path.cwd()))
    return file.name


def compare(url: str, folder: Path) -> bool:
    """Every call that the mappings let through is at its vendor once, or set aside in a file.

    One that its mapping may leave to a later run may be there.

    Prints a sentence for each vendor.
    """
    sources, now = at_sources(url), ask(f"{url}/_clock")["now"]
    rejected, held = set_aside(folder)
    right = True
    for destination in sorted({delivery.destination for delivery in DELIVERIES}):
        due = {
            delivery.key(call): not delivery.waits(call, now)
            for delivery in DELIVERIES
            if delivery.destination == destination
            for call in sources[delivery.source]
            if delivery.final(call)
        }
        books = ask(f"{url}/_books?vendor={destination}")
        missing = due.keys() - books.keys() - rejected.keys() - held.keys()
        lost = {key for key in missing if due[key]}
        doubled = {key for key, times in books.items() if times != 1}
        foreign = books.keys() - due.keys()
        right = right and not (lost or doubled or foreign)
        aside = due.keys() & rejected.keys() - books.keys()
        print(
            f"{destination}: {len(books)} calls, {len(aside)} rejected, {len(lost)} lost,"
            f" {len(doubled)} doubled, {len(foreign)} that should not be there"
        )
    return right


def _recordings(url: str) -> tuple[set[str], dict[str, Any]]:
    """The calls of iovox that Invoca took, and of which it fetched what."""
    taken = {key for key in ask(f"{url}/_books?vendor=invoca") if key.startswith("iovox:")}
    journal = ask(f"{url}/_journal?vendor=invoca-recordings")
    return taken, {
        one["key"]: one.get("recording") for one in journal if one["duration"] is not None
    }


def wait_for_recordings(url: str) -> None:
    """Wait until Invoca has fetched what it was told to, not longer than `FETCHED_SECONDS`."""
    deadline = time.monotonic() + FETCHED_SECONDS
    while time.monotonic() < deadline:
        taken, got = _recordings(url)
        if got.keys() >= taken:
            break
        time.sleep(0.2)


def recorded(url: str) -> bool:
    """Whether Invoca could fetch the recording of each call of iovox that it took, as stereo.

    Prints a sentence.
    """
    taken, got = _recordings(url)
    stereo = {key for key, told in got.items() if str(told).startswith("stereo")}
    asked = ask(f"{url}/_books?vendor=iovox-recordings")
    print(
        f"recordings: Invoca fetched {len(got)} of {len(taken)}, {len(stereo)} of them in stereo;\n"
        f"            iovox was asked for {len(asked)}, each {max(asked.values(), default=0)} x "
        "at most"
    )
    return stereo >= taken
