"""The calls in progress of one organization: a snapshot, or a watch."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from urllib.parse import urlsplit

from singer_sdk import Stream
from typing_extensions import override

from singer_calls.errors import PluginError
from singer_calls.extract import CallStream, UnansweredError, prefetch
from singer_calls.http import origin_of
from singer_calls.values.clock import from_utc_text, utc_text
from tap_invoca_calls.client import Invoca
from tap_invoca_calls.watch import from_state, polls, step, to_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_calls.extract import CallTap, Record
    from tap_invoca_calls.watch import OpenCalls, Poll

SCHEMA = json.loads(
    (files("tap_invoca_calls") / "schemas/calls_in_progress.json").read_text("utf-8")
)

_SECOND = timedelta(seconds=1)
_SET_BACK = timedelta(hours=1)  # by more only a clock that was wrong
_POLL_SECONDS = 0.5  # between looks for a signal
_UNWATCHED = dict.fromkeys(("first_seen_at", "last_seen_at", "ended_at", "ended_while_stopped"))


class Clock(NamedTuple):
    """Where time comes from.

    Attributes:
        now: The time of day, aware.
        monotonic: Seconds that never jump.
        sleep: Waits that many seconds.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


class CallsInProgress(CallStream):
    """Who is on the line: nothing here has a past, so there is no replication key.

    Args:
        tap: Whose settings count.
        clock: Where time comes from.
    """

    name = "calls_in_progress"
    primary_keys: ClassVar[list[str]] = ["transaction_id"]

    def __init__(self, tap: CallTap, clock: Clock = Clock()) -> None:  # noqa: B008 (immutable)
        left_out = () if tap.config.get("include_demographics") else ("demographics_data",)
        fields = {k: v for k, v in SCHEMA["properties"].items() if k not in left_out}
        super().__init__(tap, schema=SCHEMA | {"properties": fields})
        self._clock = clock

    @override
    def get_records(self, context: object) -> Iterator[Record]:
        """A snapshot, or what a watch of ``watch_seconds`` has to tell."""
        # A connection test (--test) waits for no call: one poll tells.
        tested = self.ABORT_AT_RECORD_COUNT is not None
        watched = self.config["watch_seconds"] and not tested
        try:
            yield from self._watch() if watched else self._snapshot()
        finally:
            self.drift.report(self.tap.vendor, self.logger)

    def _snapshot(self) -> Iterator[Record]:
        answer, now = self._poll(self._invoca(), "")
        for call in answer.calls:
            yield call | _UNWATCHED | {"observed_at": now}

    def _watch(self) -> Iterator[Record]:
        """Poll after poll, each told whole and then saved.

        Raises:
            UnansweredError: No poll was answered.
        """
        (open_calls, now), invoca = self._resumed(), self._invoca()
        lasting, every = self.config["watch_seconds"], self.config["poll_seconds"]
        answered, unanswered, failure = 0, 0, None
        for _ in polls(lasting, every, self._clock.monotonic, self._sleep):
            try:
                answer, now = self._poll(invoca, now)
            except UnansweredError as error:
                unanswered, failure = unanswered + 1, error
                self.logger.warning("%s: the watch goes on, no call counts as ended", error.what)
                continue
            told, open_calls = step(open_calls, answer, now, self._fingerprint)
            yield from told
            self._save(open_calls, now)
            answered += 1
        if failure and not answered:
            raise failure
        self.logger.info(
            "%d polls answered, %d not; %d calls are still on the line",
            *(answered, unanswered, len(open_calls)),
        )

    def _poll(self, invoca: Invoca, before: str) -> tuple[Poll, str]:
        """An answer and its time; asked in a thread, so that a stop need not wait for it.

        The time is later than that of the poll before, by a second at least, also where a clock is
        set back: in a table whose key is the call and the time, what two polls of one second told
        would be one row.
        """
        (answer,) = prefetch(
            lambda _: invoca.current_calls(), (0,), count=1, tick=self.tap.stop_if_asked
        )
        if not answer.complete:
            self.logger.warning(
                "Invoca could not ask all of its regions, or sent something without "
                "transaction_id: calls may be missing, none counts as ended"
            )
        clock = self._clock.now()
        later = from_utc_text(before) + _SECOND if before else clock
        return answer, utc_text(max(clock, later) if later - clock < _SET_BACK else clock)

    def _invoca(self) -> Invoca:
        return Invoca(
            self.config,
            self.tap.user_agent,
            self.drift,
            clock=self._clock.monotonic,
            sleep=self._clock.sleep,
        )

    def _sleep(self, seconds: float) -> None:
        """Wait, with an eye on signals."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            self.tap.stop_if_asked()
            self._clock.sleep(min(left, _POLL_SECONDS))

    @override
    def _write_record_message(self, record: Record) -> None:
        """A poll is told whole, with the STATE that covers it: a stop waits for that."""
        Stream._write_record_message(self, record)  # noqa: SLF001

    # What the state holds: the question, and of each open call its key, times and fingerprint.

    def _resumed(self) -> tuple[OpenCalls, str]:
        """The calls that were open, and the time of the last poll; empty if none is known."""
        state = self.get_context_state(None)
        before = state.get("polled_at", "")
        try:
            open_calls = from_state(state.get("open_calls", ()))
            before and from_utc_text(before)
        except (KeyError, TypeError, ValueError):
            raise PluginError(
                f"The saved state of stream {self.name} is not one of a watch: give the right one, "
                "or none, and then no call of an earlier watch is ended."
            ) from None
        if open_calls and state.get("question") != self._question:
            self.logger.warning(
                "%d calls were open in a watch of another organization, lookup or address: they "
                "are forgotten, since this one can't tell when they end",
                len(open_calls),
            )
            return {}, before
        return open_calls, before

    def _save(self, open_calls: OpenCalls, polled_at: str) -> None:
        state = self.get_context_state(None)
        state["question"] = self._question
        state["polled_at"] = polled_at
        state["open_calls"] = to_state(open_calls)
        self.state_manager.is_flushed = False
        self._write_state_message()

    @property
    def _question(self) -> str:
        """What is asked, without the numbers of a lookup; the same however it is spelled."""
        address = self.config["api_url"]
        address = origin_of(address) + urlsplit(address).path.rstrip("/")
        asked = f"{address} {self.config['organization_type']} {self.config['organization_id']}"
        lookup = {k: v for k, v in (self.config.get("lookup") or {}).items() if v is not None}
        return f"{asked} {self._fingerprint(lookup)}" if lookup else asked

    def _fingerprint(self, value: Record) -> str:
        """A hash keyed with the token: without it, no phone number can be tried out on the state.

        With a new token each open call is told once more, as if it had changed.
        """
        key = blake2b(self.config["oauth_token"].encode()).digest()
        return blake2b(
            json.dumps(value, sort_keys=True).encode(), digest_size=8, key=key
        ).hexdigest()
