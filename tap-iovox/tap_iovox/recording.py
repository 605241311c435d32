"""A call's recording: how iovox is asked for it, what its answers mean, and what the record says.

``GET {recordings_api_url}/Calls?v=3&method=getCallRecording&id=<call id>`` with the headers of the
other requests: MP3 bytes at 200, seen in a client of iovox. Unknown are the content type (the bytes
are looked at), stereo or mono, the answer while a recording is not ready, limits and retention.

Whether a call's id in insights is the id of this older API is inferred: if none of the recordings
that are asked for is there, the run ends, and nothing is called missing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Self, TypeAlias

from singer_calls.errors import PluginError
from singer_calls.extract import Client, UnansweredError
from singer_calls.recordings.archive import Archive, FailedError, NoRecordingError
from singer_calls.recordings.audio import UnusableError
from singer_calls.recordings.record import MISSING, PENDING, STORED, UNUSABLE, Recording
from singer_calls.recordings.store import Store
from singer_calls.values.clock import from_utc_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_calls.extract import Body, Record
    from singer_calls.http import BlockingRateLimiter

Done: TypeAlias = "tuple[Record, Recording]"
InOrder: TypeAlias = "Callable[[Callable[[Record], Done], Iterable[Record]], Iterator[Done]]"

PATH = "/Calls"
YOUNG = timedelta(hours=24)
"""A recording that isn't there so long after its call is not waited for."""

_AT_LEAST = 3  # recordings asked for, none of which is there: no accident
_AT_MOST = 20  # are asked for before that is said

_DENIED = {401, 403}
_NOT_THERE = {204, 400, 404, 410}
_ID = re.compile(r"[0-9]{1,20}")
_WORDS = (
    "the specified call does not have a recording",
    "the specified call id does not exist",
    "call id not an integer",
    "call id empty",
)


class Source:
    """iovox's recordings.

    Args:
        config: The tap's settings.
        client: Asks them; its ``refusal`` must be this module's ``refusal``.
    """

    def __init__(self, config: Mapping[str, Any], client: Client) -> None:
        self._url = config["recordings_api_url"].rstrip("/") + PATH
        self._client = client
        self._megabytes = config["recording_max_megabytes"]

    def fetch(self, call_id: str, file: IO[bytes]) -> None:
        """Write a recording into a file.

        Raises:
            NoRecordingError: iovox has none.
            UnusableError: It is too large, or never came whole.
            FailedError: It can't be had now.
            PluginError: None can be had.
        """
        params = {"v": 3, "method": "getCallRecording", "id": call_id}
        begun = False

        def read(body: Body) -> None:
            nonlocal begun
            begun = True
            self._write(file, body.chunks)

        try:
            self._client.get(self._url, params, read=read)
        except UnansweredError as error:
            if begun:
                raise UnusableError("never arrives whole: iovox cuts it short each time") from None
            raise FailedError(f"can't be had: {error.what}", _unanswered(error)) from None

    def _write(self, file: IO[bytes], chunks: Iterator[bytes]) -> None:
        file.seek(0)
        file.truncate()
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > self._megabytes * 10**6:
                raise UnusableError(
                    f"is larger than recording_max_megabytes ({self._megabytes} MB)"
                )
            file.write(chunk)
        file.seek(0)
        head = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
        if not head or head.startswith((b"<?xml", b"<errors")):
            raise NoRecordingError("is not there: iovox answers without one")


def refusal(status: int, body: bytes) -> str:
    """What an answer means that is neither a 200 nor one that may pass.

    Returns:
        The sentence of an answer that ends the run.

    Raises:
        NoRecordingError: It is about this recording alone.
        UnusableError: Likewise.
        FailedError: It can't be had now.
    """
    if status in _DENIED:
        return (
            f"iovox refuses the credentials for recordings (HTTP {status}): check the settings "
            "username and secure_key, and that the IP address of this machine is on the allow-list "
            "of the key (iovox portal, Settings, API Settings), also for the API at "
            "recordings_api_url."
        )
    if status in _NOT_THERE:
        told = body.decode("utf-8", "replace").lower()
        words = next((words for words in _WORDS if words in told), "")
        raise NoRecordingError(
            f"is not there: iovox answers HTTP {status}{f', {words}' if words else ''}"
        )
    if 300 <= status < 400:  # noqa: PLR2004 - a redirect
        raise UnusableError(f"is answered by a redirect (HTTP {status}), which is not followed")
    raise FailedError(
        f"can't be had: iovox answers HTTP {status}",
        f"iovox answers HTTP {status} when asked for a recording, and so it was with the ones "
        "before: check the setting recordings_api_url, and whether this version of tap-iovox "
        "still fits iovox.",
    )


def _unanswered(error: UnansweredError) -> str:
    return (
        f"{error.what}, and so it was with the recordings before: check that this machine may open "
        "connections to the address and port of recordings_api_url (444, unless it is set), and "
        "run again later."
    )


class Recordings:
    """Adds to each call what became of its recording.

    Args:
        archive: Where they go.
        source: Where they come from.
        in_order: ``in_order(work, items)``: work done in threads, results in the items' order.
        now: The moment that a call's age is counted to.
    """

    def __init__(
        self,
        archive: Archive,
        source: Source,
        in_order: InOrder,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._archive = archive
        self._source = source
        self._in_order = in_order
        self._now = now
        self._proven = False

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        user_agent: str,
        limiter: BlockingRateLimiter,
        in_order: InOrder,
    ) -> Self:
        """As the settings say; the rate limit is that of the account's other requests."""
        headers = {
            "username": config["username"],
            "secureKey": config["secure_key"],
            "User-Agent": user_agent,
            "Accept": "*/*",
        }
        client = Client.from_config(
            {**config, "api_url": config["recordings_api_url"]},
            "iovox",
            credential="secure_key",
            headers=headers,
            refusal=refusal,
            limiter=limiter,
        )
        return cls(Archive(Store.from_config(config)), Source(config, client), in_order)

    def complete(self, calls: Iterable[Record]) -> Iterator[Record]:
        """The calls of one window, with the fields of their recordings, in order.

        A call is given on when the store has acknowledged its recording. Until one recording was
        found, here or in the store, calls whose recording is not there are held back: if that is so
        for all, none is given on.

        Raises:
            PluginError: Nothing can be fetched or stored; or no recording of the window is there.
        """
        held: list[Record] = []
        refused: list[str] = []
        for call, recording in self._in_order(self._with_recording, calls):
            call.update(recording.fields())
            self._proven |= recording.status in {STORED, UNUSABLE}
            if not self._proven and recording.status == MISSING and _may_have(call):
                refused.append(recording.problem or "")
                if len(refused) >= _AT_MOST:
                    raise _none_there(refused)
            held.append(call)
            if self._proven or not refused:
                yield from held
                held.clear()
        if len(refused) >= _AT_LEAST and not self._proven:
            raise _none_there(refused)
        yield from held

    def _with_recording(self, call: Record) -> Done:
        young = self._is_young(call)
        if not _may_have(call):
            waits = young and call["has_recording"] is False and call["talk_time_seconds"] != 0
            says = "is not there: iovox says that the call has none"
            return call, Recording(PENDING if waits else MISSING, problem=says)
        if not _ID.fullmatch(call["id"]):  # nor is it the name of a file
            says = "is of a call whose id is not a number: iovox knows none like it"
            return call, Recording(MISSING, problem=says)
        fetch = partial(self._source.fetch, call["id"])
        talked = call["talk_time_seconds"]
        return call, self._archive.keep(path(call), fetch, young=young, talk_seconds=talked)

    def _is_young(self, call: Record) -> bool:
        moment = call["call_end"] or call["call_start"]
        return moment is not None and self._now() - from_utc_text(moment) < YOUNG


def _may_have(call: Record) -> bool:
    return call["has_recording"] is not False


def path(call: Record) -> str:
    """Where a call's recording is kept, without the suffix: the same in each run."""
    day = (call["call_start"] or "")[:10].replace("-", "/")
    return f"iovox/{day or 'undated'}/{call['id']}"


def _none_there(refused: list[str]) -> PluginError:
    most = max(set(refused), key=refused.count)
    return PluginError(
        f"Not one of {len(refused)} recordings is there (the recording {most}): either iovox knows "
        "these calls by another id in its older API, which has the recordings, so ask iovox; or it "
        "keeps recordings for a shorter time, then set start_date later, or leave out "
        "recordings_url. Nothing was marked as missing."
    )
