"""What every tap does at its edges: stops on a signal, and ends in one sentence."""

from __future__ import annotations

import fnmatch
import gc
import io
import json
import os
import signal
import sys
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk.helpers.capabilities import CapabilitiesEnum, TapCapabilities
from typing_extensions import override

from singer_calls.errors import PluginError
from singer_calls.extract.settings import bare_dates, date_errors
from singer_calls.extract.writer import CallWriter
from singer_calls.output import let_go
from singer_calls.plugin import CAPABILITIES, CallPlugin, refuse_closed_output
from singer_calls.sentences import LIMITS, unwritten
from singer_calls.text import shown_bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    import click


class CallTap(CallPlugin, Tap):
    """Base of all taps."""

    vendor: str
    """The vendor's name, for messages."""

    message_writer_class = CallWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        *CAPABILITIES,
    ]

    _signal: int | None = None

    @override
    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """The shared checks, and the dates."""
        yield from super().setting_errors(config)
        yield from date_errors(config)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        errors = super()._validate_config(raise_errors=raise_errors)
        for name in bare_dates(self._config) if raise_errors else ():
            self.logger.warning("Setting %s has no offset: it is read as UTC.", name)
        return errors

    def stop_if_asked(self) -> None:
        """Called between messages and while waiting: ends the run after a signal.

        So no message is cut in two, and the last STATE written is the last saved bookmark.

        Raises:
            SystemExit: With 128 and the signal's number.
        """
        if self._signal is not None:
            self.logger.info(
                "Stopped by %s; the last saved bookmark stays.", signal.Signals(self._signal).name
            )
            raise SystemExit(128 + self._signal)

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(128 + signum)  # the second one: now, whoever does not read
        self._signal = signum

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        """Take the state; one that no tap wrote ends the run.

        Raises:
            PluginError: It has another form.
        """
        bookmarks = state.get("bookmarks", {}) if isinstance(state, dict) else None
        if not isinstance(bookmarks, dict) or not all(
            isinstance(bookmark, dict) for bookmark in bookmarks.values()
        ):
            raise PluginError(
                "The state is not one of a Singer tap: it must be an object with 'bookmarks'."
            )
        super().load_state(state)

    @override
    def setup_mapper(self) -> None:
        """Set up stream maps, after a look at the catalog.

        Raises:
            PluginError: The catalog or a stream map has a stream that this tap doesn't know.
        """
        unknown = {*(self.input_catalog or {})} - {*self.streams}
        if unknown:
            raise PluginError(
                f"The catalog has streams that {self.name} does not know: "
                f"{', '.join(sorted(unknown))}; known: {', '.join(self.streams)}. "
                "Make a new one with --discover."
            )
        # A map that meets no stream would let through what it was made to take out.
        for name, told in (self.config.get("stream_maps") or {}).items():
            source = told.get("__source__", name) if isinstance(told, dict) else name
            if name != "__else__" and not fnmatch.filter(self.streams, source):
                raise PluginError(
                    f"Setting stream_maps has a stream that {self.name} does not know: "
                    f"{shown_bare(source)}; known: {', '.join(self.streams)}."
                )
        if not any(stream.selected for stream in self.streams.values()):
            # Else it would look like a vendor without calls.
            self.logger.warning("The catalog selects no stream: nothing is read.")
        super().setup_mapper()

    @classmethod
    @override
    def run(
        cls,
        *,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
        **arguments: Any,
    ) -> None:
        """Read; files that hold no JSON, a reader that is gone and a full disk get a sentence.

        Raises:
            PluginError: With that sentence.
        """
        gc.freeze()  # what was imported stays: the collector need not look at it time and again
        try:
            super().run(
                state=_checked(state, "--state"),
                catalog=_checked(catalog, "--catalog"),
                **arguments,
            )
        except OSError as error:
            let_go(sys.stdout)
            if error.errno in LIMITS:
                raise
            if isinstance(error, BrokenPipeError):
                raise PluginError(
                    "The reader of this tap's output is gone: look for the target's own message."
                ) from None
            raise PluginError(unwritten(error)) from None

    @classmethod
    @override
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:
        """``--discover``, whose catalog is written when this ends."""
        if value:
            refuse_closed_output()
            try:
                super().cb_discover(ctx, param, value)
            finally:
                sys.stdout.flush()

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """``--test``, which ends as any run does."""
        try:
            super().cb_test(ctx, param, value)
        except PluginError as error:
            cls.logger.error("%s", error)  # noqa: TRY400
            ctx.exit(1)


def _checked(file: IO[str] | None, option: str) -> IO[str] | None:
    """The file, known to hold a JSON object, and a catalog to have streams with names."""
    if file is None:
        return None
    try:
        text = file.read().removeprefix("\ufeff")
        found = json.loads(text)
    except ValueError:  # no JSON, or no UTF-8
        found = None
    if not isinstance(found, dict):
        raise PluginError(f"The file given with {option} is not a JSON object in UTF-8.")
    if option == "--catalog" and not _is_catalog(found):
        raise PluginError(
            f"The file given with {option} is no catalog: each of its streams has a "
            "tap_stream_id and a schema. Make a new one with --discover."
        )
    return io.StringIO(text)


def _is_catalog(found: Mapping[str, Any]) -> bool:
    streams = found.get("streams")
    return isinstance(streams, list) and all(
        isinstance(stream, dict)
        and isinstance(stream.get("tap_stream_id"), str)
        and isinstance(stream.get("schema", {}), dict)
        for stream in streams
    )
