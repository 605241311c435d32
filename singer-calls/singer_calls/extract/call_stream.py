"""The fast path of the SDK, for streams whose records are typed already."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from singer_sdk import Stream
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from singer_calls.errors import PluginError
from singer_calls.extract.prefetch import prefetch
from singer_calls.extract.records import SchemaDrift
from singer_calls.extract.settings import moment
from singer_calls.extract.writer import CallMessage
from singer_calls.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.mapper import StreamMap
    from singer_sdk.singerlib import RecordMessage

    from singer_calls.extract.json_array import Record
    from singer_calls.extract.tap import CallTap

_T = TypeVar("_T")


class CallStream(Stream):
    """Base of all streams.

    Records must hold JSON values only, and only fields of the schema (``records.conform``): the SDK
    neither conforms nor checks them. Selection and stream maps work as ever. The bookmark belongs
    to the subclass (``save_bookmark``); the SDK derives none from records.
    """

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: CallTap, schema: dict[str, Any] | None = None) -> None:
        super().__init__(tap, schema=schema)
        self.tap = tap
        self.drift = SchemaDrift()
        self._emitted = 0
        self._extracted: datetime | None = None

    @cached_property
    def _deselected(self) -> tuple[list[str], bool]:
        """Top-level fields to leave out, and whether the catalog leaves out parts of others.

        Also what the catalog's own schema lacks: whoever took a phone number out of it expects it
        nowhere, and a loader has no column for it.
        """
        off = [path[1::2] for path, on in self.mask.items() if path and not on]
        ours = self.schema["properties"]
        declared = self.effective_schema.get("properties", ours)  # a catalog may describe nothing
        unknown = sorted(ours.keys() - declared.keys() - {*self.primary_keys})
        if unknown:
            self.logger.warning(
                "The catalog does not know these fields of stream %s, left out (discover again to "
                "have them): %s",
                *(self.name, ", ".join(unknown)),
            )
        names = [*(path[0] for path in off if len(path) == 1), *unknown]
        return names, any(path[0] not in names for path in off)

    @cached_property
    def _changing(self) -> list[StreamMap] | None:
        """The stream maps, None if there is but one and it changes nothing."""
        same = len(self.stream_maps) == 1 and isinstance(self.stream_maps[0], SameRecordTransform)
        return None if same and not self.stream_maps[0].flattening_enabled else self.stream_maps

    @override
    def _generate_record_messages(self, record: Record) -> Iterator[RecordMessage]:  # type: ignore[override]
        names, nested = self._deselected
        if nested:
            pop_deselected_record_properties(record, self.schema, self.mask)
        for name in names:
            record.pop(name, None)
        now = self._extracted or datetime.now(UTC)
        for stream_map in self._changing or ():
            try:
                mapped = stream_map.transform(record)
            except Exception as error:  # noqa: BLE001 - expressions raise anything
                cause = error.__cause__ or error
                raise PluginError(
                    f"The mapping in stream_maps fails on a call of stream {self.name} "
                    f"({type(cause).__name__}): make it fit every call, also one that lacks a "
                    "field. The bookmark stays before that call."
                ) from None
            if mapped is not None:
                yield CallMessage(stream_map.stream_alias, mapped, time_extracted=now)
        if self._changing is None:
            yield CallMessage(self.name, record, time_extracted=now)

    def prepare(self) -> None:
        """Make what the threads of ``prefetch`` share, once and before they begin: the client."""

    def prefetch(
        self, work: Callable[[_T], Iterable[Record]], items: Sequence[_T], *, count: int = 1
    ) -> Iterator[Iterable[Record]]:
        """The answers for all items, in order, the next ``count`` being read in threads.

        While one is awaited, the run stops if asked; meanwhile it tells how far it is. Records of
        an answer were extracted when it was asked for: an answer that waits for its turn must not
        look newer than what another run asked later.

        Args:
            work: From an item (a window) to its calls; called in a thread.
            items: What to read.
            count: How many are read at once.
        """
        self.prepare()
        began, done = time.monotonic(), 0

        def line() -> str:
            return how_far(done, len(items), self._emitted, time.monotonic() - began)

        def timed(item: _T) -> tuple[datetime, Iterable[Record]]:
            return datetime.now(UTC), work(item)

        try:
            with Progress(line, self.logger):
                answers = prefetch(timed, items, count=count, tick=self.tap.stop_if_asked)
                for self._extracted, answer in answers:
                    yield answer
                    done += 1
        finally:
            self._extracted = None
            self.drift.report(self.tap.vendor, self.logger)

    @override
    def _write_record_message(self, record: Record) -> None:
        self.tap.stop_if_asked()
        for message in self._generate_record_messages(record):
            self.tap.write_message(message)
        self._emitted += 1

    @override
    def _process_record(self, *_: object, **__: object) -> None:
        """No stream here has children in the SDK's sense."""

    @override
    def _increment_stream_state(self, *_: object, **__: object) -> None:
        """A record moves no bookmark: only ``save_bookmark`` does."""

    @override
    def _write_starting_replication_value(self, *_: object) -> None:
        """The state holds the bookmark and nothing else."""

    @override
    def get_replication_key_signpost(self, *_: object) -> None:
        """Likewise."""

    def dates(self) -> tuple[datetime | None, datetime]:
        """``start_date``, or None, and the first moment that this run does not read.

        The latter is ``end_date``, or the start of the run if that is earlier: what is dated
        later is for a later run, so that no bookmark is ahead of time.

        Returns:
            Two aware moments in UTC, whole seconds.
        """
        end = moment(self.config, "end_date") or self.began
        return moment(self.config, "start_date"), min(end, self.began)

    @property
    def began(self) -> datetime:
        """The start of the run, whole seconds."""
        return datetime.fromtimestamp(self.tap.initialized_at // 1000, tz=UTC)

    @property
    def bookmark(self) -> Any:  # noqa: ANN401 (text or integer, as the replication key is)
        """The saved bookmark, None without one or if the catalog asks for a full table."""
        state: Mapping[str, Any] = self.get_context_state(None)
        if self.replication_method != "INCREMENTAL" or not state:
            return None
        if "replication_key_value" not in state:
            self.refuse_bookmark("is of another form: of another tap, or in partitions")
        if state.get("replication_key") != self.replication_key:
            self.refuse_bookmark("is of another replication key")
        return state["replication_key_value"]

    def refuse_bookmark(self, why: str) -> NoReturn:
        """End the run because of the saved state.

        Raises:
            PluginError: Always.
        """
        raise PluginError(
            f"The saved bookmark of stream {self.name} {why}: correct it, or remove the state to "
            "begin at start_date."
        )

    def save_bookmark(self, value: str | int) -> None:
        """Move the bookmark up and write STATE; never moves it back."""
        if self.replication_method != "INCREMENTAL":
            return
        state = self.get_context_state(None)
        state["replication_key"] = self.replication_key
        saved = state.get("replication_key_value")
        state["replication_key_value"] = value if saved is None else max(value, saved)
        self.state_manager.is_flushed = False
        self._write_state_message()

    @override
    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        """Log, but leave the word on an exception to whoever has the sentence for it."""
        if level < logging.ERROR:
            super().log(message, *args, level=level, **kwargs)


def how_far(done: int, windows: int, calls: int, seconds: float) -> str:
    """A line for people: the window, the calls, the speed and the time left.

    Args:
        done: Windows that were emitted.
        windows: All of them.
        calls: Emitted so far.
        seconds: Since the reading began.
    """
    left = f"about {seconds / done * (windows - done):.0f} s" if done else "unknown time"
    return (
        f"window {min(done + 1, windows)} of {windows}, {calls} calls so far, "
        f"{calls / max(seconds, 0.001):.0f} calls/s, {left} left"
    )
