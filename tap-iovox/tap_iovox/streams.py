"""The calls of an iovox account, and the streams of their elements, all from the same answers."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from typing_extensions import override

from singer_calls.extract import CallStream, WindowedStream, prefetch
from singer_calls.recordings.record import PROPERTIES
from tap_iovox.client import Iovox
from tap_iovox.fields import CATEGORY_KINDS, RECORDING_NEEDS, RESPONSE_FIELDS, Field
from tap_iovox.records import rows
from tap_iovox.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from singer_calls.extract import CallTap, Record, Window
    from tap_iovox.recording import Recordings


class Calls(WindowedStream):
    """Windows of ``call_start``, with a lookback for what iovox adds later."""

    name = "calls"
    primary_keys: ClassVar[list[str]] = ["id"]
    replication_key = "call_start"

    def __init__(self, tap: CallTap) -> None:
        schema = SCHEMAS["calls"]
        if tap.config.get("recordings_url"):
            schema = {**schema, "properties": {**schema["properties"], **PROPERTIES}}
        super().__init__(tap, schema=schema)

    @cached_property
    def _iovox(self) -> Iovox:
        return Iovox(self.config, self.tap.user_agent, self.drift, self.response_fields())

    @cached_property
    def _elements(self) -> list[Elements]:
        children = (child for child in self.child_streams if child.selected)
        return [child for child in children if isinstance(child, Elements)]

    @property
    def _with_recordings(self) -> bool:
        return self.selected and bool(self.config.get("recordings_url"))

    @cached_property
    def _recordings(self) -> Recordings | None:
        """What adds recordings to calls, None unless they are asked for."""
        if not self._with_recordings:
            return None
        # Only here, since it needs libraries of the extra.
        from tap_iovox.recording import Recordings  # noqa: PLC0415

        in_order = partial(
            prefetch, count=self.config["recordings_in_flight"], tick=self.tap.stop_if_asked
        )
        return Recordings.of(self.config, self.tap.user_agent, self._iovox.limiter, in_order)

    @override
    def complete(self, calls: Iterator[Record]) -> Iterator[Record]:
        return self._recordings.complete(calls) if self._recordings else calls

    def response_fields(self) -> list[str]:
        """What the selected streams and fields need; id and moment of the call always."""
        return [
            field.request
            for field in RESPONSE_FIELDS
            if field.request in {"id", self.replication_key}
            or (self.selected and self._wants(field))
            or (self._with_recordings and field.request in RECORDING_NEEDS)
            or any(elements.wants(field) for elements in self._elements)
        ]

    def _wants(self, field: Field) -> bool:
        path = (field.part or field.request).split(".")
        return self.mask[tuple(step for name in path for step in ("properties", name))]

    @override
    def period(self) -> tuple[datetime | None, datetime]:
        """As of every windowed stream; without a ``start_date``, from the first call of all."""
        iovox = self._iovox  # made here, before the threads that share it
        start, end = super().period()
        return start if start or self._few else iovox.oldest() or end, end

    @property
    @override
    def window_length(self) -> timedelta:
        """As of every windowed stream; the few calls that are asked for by id come at once."""
        return timedelta.max if self._few else super().window_length

    @property
    def _few(self) -> bool:
        return "id" in (self.config.get("filters") or {})

    @override
    def read(self, window: Window, *, divisible: bool) -> Iterator[Record]:
        """The calls of a window; what is too much at once is asked for in smaller pages."""
        return self._iovox.between(window)

    @override
    def get_records(self, context: object) -> Iterator[Record]:
        """Emit each call, after the rows of its elements."""
        for elements in self._elements:
            elements.begin()
        for call in super().get_records(context):
            for elements in self._elements:
                elements.emit(call)
            yield call


class Elements(CallStream):
    """The elements of one part of the calls: emitted by ``Calls``, and bookmarked there.

    Args:
        tap: Its tap.
        name: A key of ``ELEMENTS``.
    """

    parent_stream_type = Calls
    selected_by_default = False
    replication_key = "call_start"

    def __init__(self, tap: CallTap, name: str) -> None:
        self.name = name
        self._kind = ELEMENTS[name]
        super().__init__(tap, schema=SCHEMAS[name])
        self._keys = ["call_id", *self._kind.keys]
        self.primary_keys = [*self._keys]

    def wants(self, field: Field) -> bool:
        """Whether a response field is needed for what is selected here."""
        mine = field.part.partition(".")[0] == self._kind.part
        selected = mine and self.mask.get(("properties", field.answer), False)
        return selected or field.request in self._kind.always

    @override
    def get_records(self, context: object) -> Iterator[Record]:
        """None of its own: ``Calls`` reads, and calls ``emit``."""
        return iter(())

    @override
    def finalize_state_progress_markers(self, *_: object) -> None:
        """No state of its own: the bookmark is that of ``Calls``."""

    def begin(self) -> None:
        """Write the schema."""
        self._write_schema_message()

    def emit(self, call: Record) -> None:
        """Write the rows of a call."""
        for row in rows(self.name, self._keys, call):
            self._write_record_message(row)


class Kind(NamedTuple):
    """A kind of element.

    Attributes:
        part: Where a call has them.
        keys: What tells the elements of one call apart: an id of their own where they have one,
            else their place in the vendor's list.
        always: Response fields without which none of them would come.
    """

    part: str
    keys: tuple[str, ...]
    always: tuple[str, ...]


ELEMENTS: Mapping[str, Kind] = {
    "call_categories": Kind(
        "categories", ("kind", "position"), tuple(f"{kind}_category_id" for kind in CATEGORY_KINDS)
    ),
    "call_comments": Kind("comments", ("comment_id",), ("comment_id",)),
    "call_transcriptions": Kind("transcriptions", ("transcription_id",), ("transcription_id",)),
    "call_transcription_phrases": Kind(
        "transcriptions",
        ("transcription_id", "position"),
        ("transcription_id", "transcription_phrases"),
    ),
    "call_tags": Kind("tags", ("position",), ("tag_text",)),
    "call_keywords": Kind("keyword_rules", ("position",), ("keyword_rules",)),
    "call_tasks": Kind("tasks", ("position",), ("task_created",)),
    "call_outcomes": Kind("call_outcomes", ("position",), ("call_outcomes",)),
}
