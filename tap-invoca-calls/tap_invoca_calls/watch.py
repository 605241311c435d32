"""The watch without its edges: who is on the line, told as first sight, changes and end.

    open calls + one poll's answer + its time  ->  records to emit + open calls

A call that a complete answer no longer shows has ended. A partial answer proves nothing about
the calls that it lacks, and a failed poll never comes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tap_invoca_calls.records import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_calls.extract import Record


class Poll(NamedTuple):
    """What one poll said.

    Attributes:
        calls: Typed records, at most one for each transaction id.
        complete: False where the vendor could not ask all of its regions.
    """

    calls: list[Record]
    complete: bool


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call on the line, as far as the watch must know it.

    Attributes:
        first_seen_at: The poll that showed it first, UTC.
        last_seen_at: The latest poll that showed it, UTC.
        fingerprint: Tells whether the next answer changes it. Not reversible.
        record: The call itself, in memory only. None when known from the state alone: the state
            is stored and printed by other tools, so it holds no phone number.
    """

    first_seen_at: str
    last_seen_at: str
    fingerprint: str
    record: Record | None = None


OpenCalls = dict[str, OpenCall]


def step(
    open_calls: Mapping[str, OpenCall],
    answer: Poll,
    now: str,
    fingerprint: Callable[[Record], str],
) -> tuple[list[Record], OpenCalls]:
    """Take one answer in.

    Args:
        open_calls: By transaction id, after the poll before.
        answer: What this poll said.
        now: The time of this poll, UTC, fixed width.
        fingerprint: One text for equal records, another for any other.

    Returns:
        The records to emit (calls first seen or changed in the answer's order, then the ended
        ones), and the open calls after this poll.
    """
    emitted: list[Record] = []
    after: OpenCalls = {}
    for call in answer.calls:
        known = open_calls.get(call[KEY])
        seen = OpenCall(known.first_seen_at if known else now, now, fingerprint(call), call)
        after[call[KEY]] = seen
        if known is None or known.fingerprint != seen.fingerprint:
            emitted.append(_told(seen, call, now))
    for key, missed in open_calls.items():
        if key in after:
            continue
        if answer.complete:
            emitted.append(_told(missed, missed.record or {KEY: key}, now, ended=True))
        else:
            after[key] = missed
    return emitted, after


def _told(call: OpenCall, record: Record, now: str, *, ended: bool = False) -> Record:
    return record | {
        "observed_at": now,
        "first_seen_at": call.first_seen_at,
        "last_seen_at": call.last_seen_at,
        "ended_at": now if ended else None,
        "ended_while_stopped": call.record is None if ended else None,
    }


def to_state(open_calls: Mapping[str, OpenCall]) -> list[dict[str, str]]:
    """Open calls for the Singer state: keys, times and fingerprints, nothing of the call itself.

    A list, since tools that merge states would merge the keys of an object: calls that have
    ended would come back.
    """
    return [
        {
            KEY: key,
            "first_seen_at": call.first_seen_at,
            "last_seen_at": call.last_seen_at,
            "fingerprint": call.fingerprint,
        }
        for key, call in open_calls.items()
    ]


def from_state(rows: Iterable[Mapping[str, str]]) -> OpenCalls:
    """The open calls of an earlier run of the watch.

    Raises:
        KeyError: Not what ``to_state`` wrote.
    """
    return {
        row[KEY]: OpenCall(row["first_seen_at"], row["last_seen_at"], row["fingerprint"])
        for row in rows
    }


def polls(
    lasting: float,
    every: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Iterator[None]:
    """The moments to poll at: now, and again as long as the watch lasts.

    A poll that comes late, since the one before took long, is not made up for.

    Args:
        lasting: Seconds.
        every: Seconds from one poll to the next.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
    """
    due = clock()
    end = due + lasting
    while due <= end:
        yield
        due = max(due + every, clock())
        if due <= end:
            sleep(due - clock())
