"""The words of call systems, and which of impact.com's eight statuses each of them means.

Sources: vendor docs, Call Data API (CallStatus), whose definitions follow Twilio's; the documents
of INVOX, iovox, Invoca, Twilio, CallRail, CallTrackingMetrics, Ringba, 3CX; Asterisk's
dispositions; hang-up causes of ITU-T Q.850, in its words and in FreeSWITCH's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from singer_calls.deliver import InvalidCallError, NotYetError
from singer_calls.text import shown_bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIELD = "CallStatus"
REJECT = "reject"
ANSWER = "ANSWER"
CANCEL = "CANCEL"
UNKNOWN_CALLERID = "UNKNOWN_CALLERID"
STATUSES = (
    UNKNOWN_CALLERID,
    "CONGESTION",
    "INCOMPLETE",
    CANCEL,
    "IVR_DROPOFF",
    "NO_TRANSFER_ATTEMPT",
    ANSWER,
    "FAILURE",
)

WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ANSWER: ("Answered", "Answered Call", "Completed", "Invoca: Max Call Duration"),
        "CONGESTION": (
            *("User busy", "Busy", "Line busy", "Destination: Error (503 or Fast Busy)"),
            *("No circuit/channel available", "Circuit/channel congestion"),
            *("Requested circuit/channel not available", "Switching equipment congestion"),
            *("Normal circuit congestion", "Switch congestion"),
        ),
        CANCEL: (
            *("No answer", "Not answered", "Unanswered", "Missed", "Missed Call", "Canceled"),
            *("Cancelled", "Abandoned", "Abandoned Call", "Call Rejected", "Rejected", "Declined"),
            *("Hangup", "Destination: No Answer", "Originator cancel", "No user responding"),
            *("No user response", "User alerting, no answer", "No answer from user (user alerted)"),
            *("No answer from user", "Subscriber absent"),
        ),
        "IVR_DROPOFF": (
            *("Voice Mail", "Answered [machine detected]", "Hangup-record-alert"),
            *("Hangup-whisper-caller", "IVR: Hang-up"),
        ),
        "INCOMPLETE": (
            *("Unallocated (unassigned) number", "Unallocated number", "Number changed"),
            *("Destination is voxnumber", "Destination: Number Not In Service"),
            *("No route to destination", "No route destination", "Invalid number format"),
            *("No route to specified transit network", "Address incomplete"),
            "Invalid number format (address incomplete)",
        ),
        "FAILURE": (
            *("Failed", "No rules set", "Rules broken", "Number on hold", "Blocked"),
            *("Unknown: Unknown Cause", "Chanunavail", "Destination out of order"),
            *("Network out of order", "Temporary failure", "Normal temporary failure"),
            *("Recovery on timer expiry", "Recovery on timer expire", "Facility rejected"),
            *("Resource unavailable, unspecified", "Bearer capability not available"),
            *("Service or option not available, unspecified", "Incompatible destination"),
            *("Interworking, unspecified", "Interworking", "Protocol error, unspecified"),
        ),
    }
)
# They say that the call was up, or who ended it, not whether anyone answered: the talk time does.
BY_TALK = (
    *("Caller: Hang-up", "Destination: Hang-up", "TerminatedBySrc", "TerminatedByDst"),
    *("SrcParticipantTerminated", "DstParticipantTerminated", "Normal Clearing"),
    *("Normal call clearing", "Normal, unspecified", "Normal unspecified", "Connected"),
    "Call connected",
)
NOT_FINAL = (
    *("Calling", "Bridged", "Queued", "Initiated", "Ringing", "In progress", "Call in progress"),
    *("Dialing", "Dialling", "Connecting", "Trying", "Proceeding", "Alerting", "Ongoing"),
    *("Active", "Live", "Talking", "Pending", "Processing"),
)

_IGNORED = re.compile(r"[-_\s]+")
_SHOWN = re.compile(r"[^\W\d_]+(?:[ _-][^\W\d_]+)*")
_WORD_CHARS = 30


def fold(word: str) -> str:
    """A word without what makes no difference: case, ``-``, ``_`` and spaces."""
    return _IGNORED.sub("", word.casefold())


_BY_WORD = MappingProxyType(
    {fold(word): status for status, words in WORDS.items() for word in words}
    | {fold(status): status for status in STATUSES}
)
_BY_TALK_WORDS = frozenset(map(fold, BY_TALK))
_NOT_FINAL_WORDS = frozenset(map(fold, NOT_FINAL))


@dataclass(frozen=True, slots=True)
class Statuses:
    """What words mean.

    Attributes:
        words: The user's, folded (``call_status_map``).
        unknown: The status of a word that nobody knows, or ``REJECT`` (``on_unknown_status``).
    """

    words: Mapping[str, str]
    unknown: str = REJECT

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Statuses:
        """What these settings say."""
        words: Mapping[str, str] = settings.get("call_status_map") or {}
        return cls(
            {fold(word): status for word, status in words.items()},
            settings.get("on_unknown_status") or REJECT,
        )

    def read(self, word: str, talked: int | None) -> tuple[str, list[str]]:
        """The status of a call, and what to warn of.

        Args:
            word: The source's, empty for none.
            talked: Seconds, None when the source doesn't say.

        Raises:
            NotYetError: The call still goes on. Not even the user's words change that: its end
                would come as a second call.
            InvalidCallError: No table knows the word.
        """
        folded = fold(word)
        if folded in _NOT_FINAL_WORDS:
            raise NotYetError("the call still goes on: it is sent when it has ended", FIELD)
        known = self.words.get(folded) or _BY_WORD.get(folded)
        if known is None and folded in _BY_TALK_WORDS and talked is not None:
            known = ANSWER if talked else CANCEL
        if known is not None:
            return known, []
        problem = _problem(word, folded)
        if self.unknown == REJECT:
            raise InvalidCallError(problem, FIELD)
        return self.unknown, [f"{FIELD} {problem.partition(':')[0]}: sent as {self.unknown}"]


def errors(words: Mapping[str, str]) -> Iterator[str]:
    """What ``call_status_map`` says and can't mean.

    Yields:
        A clause for each such word.
    """
    said: dict[str, str] = {}
    for word, status in words.items():
        folded = fold(word)
        if folded in _NOT_FINAL_WORDS:
            yield f"{shown_bare(word)} says that the call still goes on: give its end another word"
        elif said.setdefault(folded, status) != status:
            yield f"{shown_bare(word)} has two meanings: case, -, _ and spaces make no difference"


def markdown() -> str:
    """The table for the README."""
    rows = [f"| `{status}` | {'; '.join(words)} |" for status, words in WORDS.items()]
    return "\n".join(
        [
            "| sent | from |",
            "|---|---|",
            *rows,
            f"| `ANSWER` or `CANCEL`, as `TalkDuration` is above 0 or 0 | {'; '.join(BY_TALK)} |",
            f"| not yet: the call goes on, and comes again | {'; '.join(NOT_FINAL)} |",
        ]
    )


def _problem(word: str, folded: str) -> str:
    if not folded:
        return "is missing, which impact.com takes for an answer: map it, or set on_unknown_status"
    if folded in _BY_TALK_WORDS:
        return (
            f"{_shown(word)} tells who ended the call, not whether anyone answered: map "
            "TalkDuration, or give the word a meaning in call_status_map"
        )
    return (
        f"{_shown(word)} is no known status: give it a meaning in call_status_map, or set "
        "on_unknown_status"
    )


def _shown(word: str) -> str:
    """A word in quotes if it is one: what else a mapping puts here may be a number or a name."""
    short = len(word) <= _WORD_CHARS and _SHOWN.fullmatch(word)
    return f"'{word}'" if short else "a text that is no word"
