"""The target: knows Singer and the SDK. It reads, checks and maps; a delivery run does the rest."""

from __future__ import annotations

import copy
import os
import signal
import stat
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Target, metrics
from singer_sdk.exceptions import RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import TargetCapabilities
from singer_sdk.mapper import RemoveRecordTransform
from singer_sdk.plugin_base import _ConfigInput
from typing_extensions import override

from singer_calls.deliver.intake import Intake
from singer_calls.deliver.ledger_place import anchored, folder_of
from singer_calls.deliver.messages import decode_exactly, encode
from singer_calls.deliver.reader import CallReader, InputError
from singer_calls.deliver.replay import read_mark, read_old_record, read_old_schema
from singer_calls.deliver.source_record import SourceRecord
from singer_calls.deliver.source_stream import SourceStream, named_beside
from singer_calls.deliver.summary import CallMetric, Summary
from singer_calls.deliver.validation import SourceValidator
from singer_calls.deliver.warn_once import WarnOnce
from singer_calls.deliver.watermark import StateWriter, Watermark
from singer_calls.environment import working_folder
from singer_calls.errors import PluginError
from singer_calls.output import write_at_once
from singer_calls.plugin import CAPABILITIES, CallPlugin
from singer_calls.text import shown_bare
from singer_calls.values import phone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from singer_calls.deliver.destination import Destination
    from singer_calls.deliver.dry_run import DryDelivery
    from singer_calls.deliver.launch import LiveDelivery

TEST_STREAM = "meltano_test_stream"  # what `meltano config test` sends
_STDOUT_TIMEOUT_SECONDS = 30.0  # for whoever reads our STATE, at the end


class CallTarget(CallPlugin, Target):
    """Base of the targets. A vendor's target defines its settings and its destination.

    Attributes:
        destination_class: The vendor.
        resumed: Whether the tap began with the bookmarks of an earlier run.
        empty_ledger_is_fatal: Whether an empty ledger beside signs of earlier runs ends the run:
            where the vendor does not know a call again, all of them would be paid again.
    """

    capabilities = [*CAPABILITIES, TargetCapabilities.VALIDATE_RECORDS]  # noqa: RUF012
    message_reader_class = CallReader
    message_reader: CallReader
    destination_class: ClassVar[type[Destination]]
    empty_ledger_is_fatal: ClassVar[bool]
    config_files: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        self._stop_signal: int | None = None
        self._streams: dict[str, SourceStream] = {}
        self.resumed = False
        self._finished = False
        super().__init__(**kwargs)
        with suppress(ValueError):  # not the main thread
            # A signal may reach any thread of the process, and must wake the one that reads.
            signal.set_wakeup_fd(self.message_reader.wake.writes, warn_on_full_buffer=False)
        self.destination = self.destination_class(self.config)
        self.watermark = Watermark()
        self._intake = Intake(self.destination, self.watermark, WarnOnce(self.logger))
        self._states = StateWriter(self.watermark, self._write_state_message, self._unheard)
        self._delivery = self._open_delivery()

    @override
    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """Also the country of bare phone numbers.

        Yields:
            A sentence for each setting that is wrong.
        """
        yield from super().setting_errors(config)
        if not phone.is_country((config.get("default_country") or "US").upper()):
            yield "default_country must be an ISO 3166 alpha-2 code, such as US, GB or RO"

    def _open_delivery(self) -> DryDelivery | LiveDelivery:
        # Here, since it brings SQLAlchemy and aiohttp: half a second that --version can do without.
        if self.config.get("dry_run"):
            from singer_calls.deliver.dry_run import DryDelivery  # noqa: PLC0415

            return DryDelivery(self)
        from singer_calls.deliver.launch import LiveDelivery  # noqa: PLC0415

        return LiveDelivery(self)

    # Messages

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"stream", "schema"})
        old = read_old_schema(message_dict)
        schema, stream = message_dict["schema"], message_dict["stream"]
        if stream == TEST_STREAM:
            return
        self._assert_line_requires(schema, requires={"properties"})
        key_properties = message_dict.get("key_properties") or []
        names = [stream, *key_properties] if isinstance(key_properties, list) else [None]
        if not all(isinstance(name, str) for name in names):
            raise InputError(
                "A SCHEMA message of the input has a stream that is no text, or key_properties "
                "that are no list of texts."
            )
        known = self._streams.get(stream)
        if known is not None and known.schema == message_dict:
            return  # some taps say it again before each page, or for each parent of a child stream
        if known is None and (others := named_beside(stream, self.config.get("stream_maps") or {})):
            self.logger.warning(
                "stream_maps has nothing for the stream %s, its records are taken as they come: it "
                "names %s.",
                shown_bare(stream),
                ", ".join(map(shown_bare, others)),
            )
        self._streams[stream] = SourceStream(
            copy.deepcopy(message_dict),
            SourceValidator(
                schema, key_properties, check=self.config.get("validate_records", True)
            ),
            old=old,
        )
        self.mapper.register_raw_stream_schema(stream, schema, key_properties)

    @override
    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"stream", "record"})
        name = message_dict["stream"]
        if name == TEST_STREAM:
            return
        stream = self._streams.get(name) if isinstance(name, str) else None
        if stream is None:
            raise RecordsWithoutSchemaException
        licence = read_mark(message_dict, self.name)
        if licence is None and stream.old:
            licence = read_old_record(message_dict)
        line = b"" if licence else self.message_reader.line
        maps = self.mapper.stream_maps[name]
        alone = len(maps) == 1 or sum(not isinstance(m, RemoveRecordTransform) for m in maps) == 1
        source = SourceRecord(stream.schema, message_dict, line, licence, alone)
        for mapped in stream.mapped(message_dict["record"], maps):
            self._delivery.summary.add(CallMetric.READ)
            if mapped is None:
                self._delivery.summary.add(CallMetric.FILTERED)
            else:
                self._delivery.take(self._intake.take(source, mapped))

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        if message_dict.get("value", 0) is None:
            return  # says nothing, as an empty one does
        self._assert_line_requires(message_dict, requires={"value"})
        value = decode_exactly(self.message_reader.line)["value"]
        if not self._streams and value.get("bookmarks"):
            self.resumed = True
        if self._delivery.emits_state:
            self.watermark.state(value)
            if self._states.ident is None:
                self._states.start()

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Calls can't be withdrawn: there is no version to activate."""

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        raise InputError("The input has a BATCH message: switch batch_config off in the tap.")

    @override
    def _write_state_message(self, state: Mapping[str, Any]) -> None:
        write_at_once(f"{encode(state)}\n")

    def _unheard(self, error: OSError) -> None:
        self._delivery.fail(
            PluginError(
                f"STATE can't be written to standard output ({error.strerror or error}): whoever "
                "read it is gone. Run again; what was delivered is in the ledger."
            )
        )

    # The end

    @override
    def process_endofpipe(self) -> None:
        """Settle what is open, let the last STATE out, and say what became of the calls."""
        self.finish(abandon=self._stop_signal is not None, check=True)

    def finish(self, *, abandon: bool = False, check: bool = False) -> None:
        """Settle, write the last STATE, close everything; once.

        Args:
            abandon: Wait for requests in flight only.
            check: Whether the run as a whole is judged.

        Raises:
            PluginError: Sending could not go on, or STATE could not be written, or too many calls
                were set aside.
        """
        if self._finished:
            return
        self._finished = True
        heard = True
        failure: PluginError | None = None
        try:
            failure = self._delivery.settle(abandon=abandon, check=check)
            heard = self._states.ident is None or self._states.close(_STDOUT_TIMEOUT_SECONDS)
        finally:
            how = "stopped" if abandon else "failed" if failure or not heard else "done"
            failure = self._close(how, failure)
            with suppress(ValueError):
                signal.set_wakeup_fd(-1)
            self.message_reader.wake.close()
            self._say(self._delivery.summary)
        if failure is not None:
            raise failure
        if not heard:
            raise PluginError("The last STATE was not taken from standard output: run again.")

    def _close(self, how: str, failure: PluginError | None) -> PluginError | None:
        """Close the delivery; why the run has failed, also when that is only now."""
        try:
            self._delivery.close(how)
        except PluginError as error:
            if failure is None:
                return error
            self.logger.warning("%s", error)
        return failure

    def _say(self, summary: Summary) -> None:
        summary.log(self.logger)
        points = metrics.get_metrics_logger()
        for name, count in summary.counts.items():
            metric: metrics.Metric = _Named(f"calls_{name}")  # type: ignore[assignment]
            metrics.log(points, metrics.Point("counter", metric, count))

    # Signals

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        if self._stop_signal is not None:
            # The second one: now. What was in flight is `unknown` to the next run.
            os._exit(128 + signum)
        self._stop_signal = signum
        with suppress(OSError, ValueError, AttributeError):
            if stat.S_ISFIFO(os.fstat(2).st_mode):
                os.set_blocking(2, False)
        self.message_reader.wake.set()

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked for the end."""
        return self._stop_signal is not None

    # The command line

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        """The SDK's command line, with ``--ledger``."""
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--ledger"],
                is_flag=True,
                help="Print what the ledger knows: calls by day and outcome, and the keys of held "
                "and rejected calls.",
            )
        )
        return command

    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the configuration files, and remember where they are."""
        cls.config_files = tuple(path for path in value if path != "ENV")
        return super().cb_config(ctx, param, value)

    @classmethod
    @override
    def run(
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[bytes] | None = None,
        ledger: bool = False,
        **_more: Any,
    ) -> None:
        """Deliver what the input holds, or show the settings or the ledger.

        Raises:
            PluginError: The run could not do its work; all that could be settled is.
        """
        if about:
            cls.print_about(about_format)
            sys.stdout.flush()
            return
        config = config or _ConfigInput()
        target = cls(config=config.config, parse_env_config=config.parse_env)
        if ledger:
            from singer_calls.deliver.sql_report import report  # noqa: PLC0415 - see _open_delivery

            click.echo("\n".join(report(target.ledger_url)))
            return
        try:
            target.listen(file_input)  # type: ignore[arg-type]
        except BaseException:
            with suppress(PluginError):
                target.finish()
            raise
        if target._stop_signal is not None:
            sys.exit(128 + target._stop_signal)

    @property
    def ledger_url(self) -> str:
        """The ledger's address, absolute.

        Raises:
            PluginError: It is relative to nothing that stays, or the first form put it elsewhere.
        """
        return anchored(
            self.config["ledger_url"],
            environment=os.environ,
            config_files=self.config_files,
            working=working_folder(),
        )

    @property
    def rejected_path(self) -> str:
        """Where calls are set aside: a folder, absolute, or the URL of a bucket."""
        return folder_of(
            self.config["rejected_path"],
            environment=os.environ,
            config_files=self.config_files,
            working=working_folder(),
        )


class _Named:
    """A metric of ours where the SDK expects one of its own enumeration."""

    def __init__(self, value: str) -> None:
        self.value = value
