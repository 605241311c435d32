"""Reading a past that changes: windows, a bookmark after each, and a lookback."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from typing_extensions import override

from singer_calls.extract.call_stream import CallStream
from singer_calls.extract.errors import ResponseTooLargeError, UnansweredError
from singer_calls.extract.json_array import Spill
from singer_calls.extract.seen import Seen
from singer_calls.extract.settings import moment
from singer_calls.extract.windows import Window, cut
from singer_calls.values.clock import from_utc_text, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_calls.extract.json_array import Record

_LESS = "run again later; if it stays so, set start_date: then all is asked for in parts"
_SKEW = timedelta(minutes=5)  # between the clocks of the machines that share a state


class WindowedStream(CallStream):
    """Calls by the moment they began, window by window.

    A vendor's stream gives ``name``, ``primary_keys`` (one), ``replication_key`` (the call's
    moment, a UTC text as ``values.clock`` makes it, or null) and ``read``. Then, for each window:
    its calls are read ahead in a thread, those that are not foreign to it are emitted, each id
    once, and the bookmark is saved at the window's end. A crash resumes at the last saved
    bookmark, less the lookback.

    Whether a vendor's dates mean the beginning of a call or its end may be unknown. Where it is
    the end, a call that crosses the border of two windows is found in the later one; so calls are
    foreign to a window only if they began more than ``LONGEST_CALL`` before it, or before this
    run's time, or after the window. And the last window of a run that ends in the past is asked
    for with as much more behind it.
    """

    LONGEST_CALL = timedelta(days=1)
    """No call lasts longer."""

    FLOOR = timedelta(minutes=15)
    """A window is not halved below this."""

    KEPT: timedelta | None = None
    """How long the vendor keeps calls: what is read without ``start_date``; None for all."""

    @abstractmethod
    def read(self, window: Window, *, divisible: bool) -> Iterable[Record]:
        """All calls of a window, typed; more than those do no harm. Runs in a thread.

        Args:
            window: Ask with ``values.clock.asked_from`` and ``asked_to``. Its start is None for
                "since ever".
            divisible: Pass on to ``Client``: a ResponseTooLargeError has the window asked in
                halves.
        """

    @property
    def window_length(self) -> timedelta:
        """How long a window is."""
        return timedelta(days=self.config["window_days"])

    @override
    def get_records(self, context: object) -> Iterator[Record]:
        """Emit the calls of all windows, oldest window first, and save the bookmark after each."""
        start, end = self.period()
        self._span, self._end = self.window_length, end
        windows = cut(start, end, self._span)
        self.logger.info(
            "Reading from %s to %s in %d window(s)",
            *(utc_text(start) if start else "the beginning", utc_text(end), len(windows)),
        )
        answers = self.prefetch(
            self._read, self._asked(windows), count=self.config["windows_in_flight"]
        )
        self._seen, self._foreign = Seen(self._deselected[0]), 0
        earliest = utc_text(start) if start else ""
        for window, answer in zip(windows, answers, strict=True):
            first, beyond = window.earlier(self.LONGEST_CALL).bounds()
            yield from self.complete(self._own(answer, max(first, earliest), beyond))
            self.save_bookmark(beyond)
        self._seen.report(self.tap.vendor, self.logger)
        if self._foreign:
            self.logger.info(
                "%d calls of the answers began outside of what was asked for, and were left out",
                self._foreign,
            )

    def _own(self, answer: Iterable[Record], first: str, beyond: str) -> Iterator[Record]:
        """The calls of an answer that are not foreign to its window, each once as it is."""
        key, moment_key = self._key, self._moment_key
        for record in answer:
            at = record[moment_key]
            # A call without a moment belongs to the window that it was found in.
            if at is not None and not first <= at < beyond:
                self._foreign += 1
            elif self._seen.is_new(record[key], record, beyond):
                yield record

    def _asked(self, windows: list[Window]) -> list[Window]:
        """The windows to ask for: the last one with the calls that had not ended, but no future."""
        if not windows:
            return []
        last = windows[-1]
        return [*windows[:-1], Window(last.start, min(last.end + self.LONGEST_CALL, self.began))]

    def complete(self, calls: Iterator[Record]) -> Iterator[Record]:
        """What is left to do with the calls of a window before they are emitted: nothing.

        When it ends, the bookmark is saved: a stream that fetches more for each call does it here.
        """
        return calls

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
        if start is None and self.KEPT is not None:
            start = self.began - self.KEPT
        bookmark = self._bookmark_moment()
        last = moment(self.config, "end_date") or bookmark
        if bookmark and last and bookmark <= last:
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
    def _key(self) -> str:
        """Ours, whatever keys a catalog gives to the target; likewise the next one."""
        return type(self).primary_keys[0]  # type: ignore[index, no-any-return]

    @property
    def _moment_key(self) -> str:
        return type(self).replication_key  # type: ignore[return-value]

    def _read(self, window: Window) -> Iterable[Record]:
        """Read a window, in halves where it is too much at once."""
        halves = window.halves(self.FLOOR)
        if halves is None:
            try:
                return Spill.of(self.read(window, divisible=False))
            except UnansweredError as error:
                if window.start is None and error.advice is None:
                    raise UnansweredError(error.what, _LESS) from None
                raise
        behind = max(timedelta(), window.end - self._end)  # more than a window, as _asked says
        if window.length - behind <= self._span:
            try:
                return Spill.of(self.read(window, divisible=True))
            except ResponseTooLargeError as error:
                # The windows to come will hardly be smaller: they begin at this size.
                self._span = window.length / 2
                self.logger.warning(
                    "%s %s; asking in windows of %s", self.tap.vendor, error.reason, self._span
                )
        first, second = map(self._read, halves)
        return chain(first, second)
