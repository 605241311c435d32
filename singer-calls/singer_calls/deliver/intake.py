"""From a record of the input to a call: rendered by the destination, or why it can't be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.call import Call
from singer_calls.deliver.knowledge import MICROSECONDS, read_at
from singer_calls.deliver.outcome import InvalidCallError, NotYetError, Outcome, Pending, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_calls.deliver.delivery import Delivery
    from singer_calls.deliver.destination import Destination, Place
    from singer_calls.deliver.knowledge import Knowledge
    from singer_calls.deliver.source_record import SourceRecord
    from singer_calls.deliver.watermark import Watermark


class Intake:
    """Turns records into calls; pure but for its counts.

    Args:
        destination: Where they go.
        watermark: Numbers them.
        warn: Told what was left out or guessed, in words without values.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        destination: Destination,
        watermark: Watermark,
        warn: Callable[[tuple[str, ...]], None] = lambda _warnings: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._destination = destination
        self._watermark = watermark
        self._warn = warn
        self._now = now
        self._began = round(now() * MICROSECONDS)

    def take(self, source: SourceRecord, record: Mapping[str, Any] | Rejected) -> Call:
        """One record of the input as a call.

        Args:
            source: As the tap sent it.
            record: As the stream map left it, or why there is none.
        """
        number = self._watermark.open()
        if isinstance(record, Rejected):
            return Call(number, source, refused=record)
        rendered = self._render(record)
        refused = rendered if isinstance(rendered, Outcome) else None
        knowledge = self._know(record)
        return Call(
            number,
            source,
            delivery=None if isinstance(rendered, Outcome) else rendered,
            refused=refused,
            place=self._place(record) if refused else None,
            knowledge=knowledge,
            read=self._read(source) if knowledge else 0,
        )

    def _read(self, source: SourceRecord) -> int:
        otherwise = self._began if source.licence is None else 0  # a file of ours is old
        return read_at(source.message, otherwise, self._now())

    def _know(self, record: Mapping[str, Any]) -> Knowledge | None:
        latest = self._destination.latest
        try:
            return latest.know(record) if latest else None
        except Exception:  # noqa: BLE001 - a call that is delivered is not refused for it
            return None

    def _render(self, record: Mapping[str, Any]) -> Delivery | Outcome:
        try:
            delivery, warnings = self._destination.render(record)
        except NotYetError as error:
            return Pending(error.reason, field=error.field, hours=error.hours)
        except InvalidCallError as error:
            return Rejected(error.reason, field=error.field)
        except Exception as error:  # noqa: BLE001 - whatever a record holds costs that record
            return Rejected(f"a value can't be read ({type(error).__name__})")
        if warnings:
            self._warn(warnings)
        return delivery

    def _place(self, record: Mapping[str, Any]) -> Place | None:
        try:
            return self._destination.place(record)
        except Exception:  # noqa: BLE001 - not even the key can be read
            return None
