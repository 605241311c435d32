"""How a target delivers: a run with everything around it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from singer_calls.deliver.dead_letters import DeadLetters
from singer_calls.deliver.entries import PROGRESS
from singer_calls.deliver.group_commit import ThreadWorker
from singer_calls.deliver.lease import boot_seconds
from singer_calls.deliver.ledger import RunFacts
from singer_calls.deliver.replay import signs_of_earlier_runs
from singer_calls.deliver.run import DeliveryRun
from singer_calls.deliver.run_options import run_options
from singer_calls.deliver.run_thread import RunThread
from singer_calls.deliver.sql_ledger import SqlLedger
from singer_calls.deliver.summary import CallMetric, Speed, Summary
from singer_calls.deliver.transport import Transport
from singer_calls.errors import PluginError
from singer_calls.progress import Every, Progress
from singer_calls.text import many

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from singer_calls.deliver.call import Call
    from singer_calls.deliver.destination import Destination
    from singer_calls.deliver.ledger import Ledger, LedgerSummary
    from singer_calls.deliver.reader import CallReader
    from singer_calls.deliver.run_options import RunOptions
    from singer_calls.deliver.watermark import Watermark


_TELL_SECONDS = 2.0  # between two tellings of how far the run is, for the desk
_FILL_TENTHS = 20  # of a second, for the rows of another run that has written its first file


class Host(Protocol):
    """The target, as far as a delivery knows it; see ``CallTarget``."""

    @property
    def name(self) -> str:
        """The plugin's."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings."""

    @property
    def logger(self) -> logging.Logger:
        """For people."""

    @property
    def user_agent(self) -> str:
        """For the vendor."""

    @property
    def destination(self) -> Destination:
        """Where calls go."""

    @property
    def watermark(self) -> Watermark:
        """Which STATE is true already."""

    @property
    def message_reader(self) -> CallReader:
        """Reads the input; it is woken when sending fails."""

    @property
    def ledger_url(self) -> str:
        """Absolute."""

    @property
    def rejected_path(self) -> str:
        """Absolute, or the URL of a bucket."""

    @property
    def resumed(self) -> bool:
        """Whether the tap began with the bookmarks of an earlier run."""

    @property
    def empty_ledger_is_fatal(self) -> bool:
        """Whether an empty ledger beside signs of earlier runs ends the run."""

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked for the end."""


class LiveDelivery:
    """A delivery run in a thread of its own, begun with the first call.

    Attributes:
        emits_state: True.
        summary: Counts.
    """

    emits_state = True

    def __init__(self, target: Host) -> None:
        self._target = target
        self._thread: RunThread | None = None
        self._ledger: Ledger | None = None
        self._tellers: list[Every] = []
        self._ending = False
        self._failure: PluginError | None = None
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._letters = DeadLetters(target.rejected_path, started, target.name, os.environ)
        self.summary = Summary()
        self._speed = Speed(time.monotonic)

    def take(self, call: Call) -> None:
        """Hand a call to the run; waits while too many are open."""
        self._running().submit(call)

    def _running(self) -> RunThread:
        if self._thread is None:
            if self._failure is not None:
                raise self._failure
            target = self._target
            fresh, remembers = self._open()
            options = run_options(
                target.config, target.destination, target.name, fresh=fresh, remembers=remembers
            )
            thread = RunThread(
                lambda: self._make(options), options.max_open, lambda: target.stopping
            )
            thread.start()
            self._thread = thread
            self._tellers = [
                Progress(self._progress_line, target.logger),
                Every(_TELL_SECONDS, self._tell),
            ]
            for teller in self._tellers:
                teller.start()
        return self._thread

    def _open(self) -> tuple[bool, bool]:
        """Open the ledger, say what it knows, and refuse an empty one that should not be."""
        target, vendor = self._target, self._target.destination.vendor
        config = target.config
        facts = RunFacts(target.name, config["request_timeout"])
        ledger = self._ledger = SqlLedger(target.ledger_url, facts)
        known = ledger.summary(vendor)
        target.logger.info(
            "Delivers to %s; ledger %s knows %s calls%s%s.",
            target.destination.origin,
            known.place,
            known.calls,
            f", the newest of {known.newest}" if known.newest else "",
            f"; {known.unmarked} are known by their id alone" if known.unmarked else "",
        )
        if known.first_here and not config.get("allow_empty_ledger"):
            known = self._unless_lost(ledger, known)
        return known.empty, known.records > 0

    def _unless_lost(self, ledger: Ledger, known: LedgerSummary) -> LedgerSummary:
        """What the ledger knows; empty beside signs of earlier runs, it would send again.

        A sign may be of another run that begins as well: its file comes before its rows.
        """
        target = self._target
        signs = (
            "the tap resumes from an earlier run's bookmark"
            if target.resumed
            else signs_of_earlier_runs(target.rejected_path, target.name, target.destination.origin)
        )
        for _ in range(_FILL_TENTHS if signs else 0):
            time.sleep(0.1)
            if not (now := ledger.summary(target.destination.vendor)).first_here:
                return now
        if signs and target.empty_ledger_is_fatal:
            raise PluginError(
                f"The ledger ({known.place}) is empty for this vendor, but {signs}: calls that "
                "were delivered would be sent and paid again. Bring the old ledger back "
                "(ledger_url); if nothing was ever delivered from here, run once with "
                "allow_empty_ledger."
            )
        if signs:
            target.logger.warning(
                "The ledger (%s) is empty for this vendor, but %s: calls that were delivered are "
                "sent again, and the vendor will say that it has them.",
                known.place,
                signs,
            )
        return known

    def _make(self, options: RunOptions) -> DeliveryRun:
        target, config = self._target, self._target.config
        assert self._ledger is not None  # noqa: S101 - see ``_running``
        agent = {"User-Agent": target.user_agent}
        return DeliveryRun(
            options,
            destination=target.destination,
            ledger=self._ledger,
            letters=self._letters,
            make_transport=lambda endpoint, may_send: Transport(
                headers=lambda: {**agent, **endpoint.headers()},
                sign=endpoint.sign,
                url=config["api_url"],
                timeout=config["request_timeout"],
                connections=config["max_in_flight"],
                keep_connections=config["keep_connections"],
                may_send=may_send,
                environ=os.environ,
            ),
            watermark=target.watermark,
            summary=self.summary,
            workers=(ThreadWorker("ledger"), ThreadWorker("lease")),
            clocks=(boot_seconds, time.time),
            failed=target.message_reader.wake.set,
        )

    def _progress_line(self) -> str:
        waits = self._waits_for()
        return f"{self.summary.line()} in_flight={self._in_flight} waits_for={waits}"

    @property
    def _in_flight(self) -> int:
        return self._thread.run.in_flight if self._thread else 0

    def _waits_for(self) -> str:
        """What holds the run up, for people."""
        if self._thread and (held_up := self._thread.run.waits_for):
            return held_up
        if self._ending or self._in_flight >= self._target.config["max_in_flight"]:
            return f"the vendor ({many(self._in_flight, 'request')} under way)"
        return "the tap"

    def _tell(self) -> None:
        """Let the desk see how far the run is; the run does not depend on it."""
        now = {
            "read": self.summary.count(CallMetric.READ),
            "per_second": self._speed.of(self.summary.settled),
            "percent": self._target.message_reader.percent,
            "told": int(time.time()),
        }
        counts = {**self.summary.by_account, PROGRESS: {"": now}}
        if self._ledger is not None:
            with suppress(PluginError):
                self._ledger.tell(self._waits_for(), counts)

    def fail(self, failure: PluginError) -> None:
        """Send nothing more, for this reason."""
        self._failure = self._failure or failure
        if self._thread is not None:
            self._thread.fail(failure)

    def settle(self, *, abandon: bool, check: bool) -> PluginError | None:
        """Wait for the open calls.

        Args:
            abandon: Wait for the requests in flight only.
            check: Whether the run as a whole is judged.

        Returns:
            Why the run has failed, or None.
        """
        if self._thread is None:
            return self._failure
        self._ending = True
        self._thread.close(abandon=abandon, check=check)
        if adopted := self._thread.run.sender.adopted:
            self._target.logger.warning(
                "%d calls were known to the vendor while this ledger was new: they count as "
                "delivered. If no run from here sent them, their ids are used by another source.",
                adopted,
            )
        latest = self._thread.run.latest
        if latest is not None and latest.taken:
            self._target.logger.warning(
                "%d calls were delivered before it was kept what the vendor was told of them: what "
                "is known of them now counts as told, and only what changes from now on is sent.",
                latest.taken,
            )
        return self._thread.failure

    def close(self, how: str) -> None:
        """End the run in the ledger: ``done``, ``failed`` or ``stopped``."""
        for teller in self._tellers:
            teller.close()
        if place := self._letters.rejected.place:
            self._target.logger.warning("Rejected calls are in %s.", place)
        if place := self._letters.held.place:
            self._target.logger.warning(
                "Held calls are in %s: see at the vendor whether they arrived; those that did not "
                "can be replayed with --input.",
                place,
            )
        if self._ledger is not None:
            self._ledger.close(how=how, counts=self.summary.by_account)
