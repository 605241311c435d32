"""Reading a past that changes: windows, a bookmark after each, and a lookback."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from singer_calls.extract.answer import Spill
from singer_calls.extract.call_stream import CallStream
from singer_calls.extract.errors import TooMuchError
from singer_calls.extract.seen import Seen
from singer_calls.extract.windows import Window, cut
from singer_calls.values.clock import from_utc_text, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_calls.extract.answer import Record

_SKEW = timedelta(minutes=5)  # between the clocks of the machines that share a state


class WindowedStream(CallStream):
    """Calls by the moment they began, window by window.

    A vendor's stream gives ``name``, ``primary_keys`` (one), ``replication_key`` (the call's
    moment, a UTC text as ``values.clock`` makes it, or null) and ``read``. Then, for each window:
    its calls are read ahead in a thread, its own calls (by that moment) are emitted, each id
    once, and the bookmark is saved at the window's end. A crash resumes at the last saved
    bookmark, less the lookback.
    """

    FLOOR = timedelta(minutes=15)
    """A window is not halved below this."""

    earliest: datetime | None = None
    """Begin here without ``start_date``; None if the vendor can be asked for everything."""

    @abstractmethod
    def read(self, window: Window, *, divisible: bool) -> Iterable[Record]:
        """All calls of a window, typed; more than those do no harm. Runs in a thread.

        Args:
            window: Ask with ``values.clock.asked_from`` and ``asked_to``. Its start is None for
                "since ever".
            divisible: Pass on to ``Client``: a TooMuchError has the window asked in halves.
        """

    def get_records(self, context: object) -> Iterator[Record]:  # noqa: ARG002
        """Emit the calls of all windows, oldest window first, and save the bookmark after each."""
        (key,), moment_key = self.primary_keys, self._moment_key
        start, end = self.period()
        self._span = timedelta(days=self.config["window_days"])
        windows = cut(start, end, self._span)
        self.logger.info(
            "Reading from %s to %s in %d window(s)",
            *(utc_text(start) if start else "the beginning", utc_text(end), len(windows)),
        )
        answers = self.read_ahead(self._read, windows, count=self.config["windows_in_flight"])
        seen = Seen()
        for window, answer in zip(windows, answers, strict=True):
            first, beyond = window.bounds()
            for record in answer:
                at = record[moment_key]
                # A call without a moment belongs to the window that it was found in.
                if (at is None or first <= at < beyond) and seen.first_time(record[key]):
                    yield record
            self.save_bookmark(beyond)

    def period(self) -> tuple[datetime | None, datetime]:
        """From when to when this run reads.

        The bookmark less the lookback, or ``start_date`` if that is later; to ``end_date`` or the
        start of the run. A bookmark after ``end_date`` is the live pipeline's: this run is a
        backfill and has nothing to do with it.

        Returns:
            Start, None for "since ever", and end; aware, whole seconds.

        Raises:
            PluginError: The bookmark is not ours, or is later than now.
        """
        start, end = self.dates()
        if start is None:
            start = self.earliest
        bookmark = self._bookmark_moment()
        if bookmark and (bookmark <= end or not self.config.get("end_date")):
            behind = bookmark - timedelta(days=self.config["lookback_days"])
            start = max(start, behind) if start else behind
        return start, end

    def _bookmark_moment(self) -> datetime | None:
        saved = self.bookmark
        if saved is None:
            return None
        try:
            bookmark = from_utc_text(saved)
        except (ValueError, TypeError):
            self.refuse_bookmark("is not of the form 2026-01-31T00:00:00Z")
        if bookmark > datetime.now(UTC) + _SKEW:
            self.refuse_bookmark("lies in the future")
        return bookmark

    @property
    def _moment_key(self) -> str:
        return type(self).replication_key  # type: ignore[return-value]

    def _read(self, window: Window) -> Iterable[Record]:
        """Read a window, in halves where it is too much at once."""
        halves = window.halves(self.FLOOR)
        if halves is None:
            return Spill.of(self.read(window, divisible=False))
        if window.length <= self._span:
            try:
                return Spill.of(self.read(window, divisible=True))
            except TooMuchError as error:
                # The windows to come will hardly be smaller: they begin at this size.
                self._span = window.length / 2
                self.logger.warning(
                    "%s %s; asking in windows of %s", self.tap.vendor, error.reason, self._span
                )
        first, second = map(self._read, halves)
        return chain(first, second)
