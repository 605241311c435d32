"""The target: reads messages, hands calls to its sender, lets STATE out after its calls."""

from __future__ import annotations

import copy
import os
import random
import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, cast

import click
from singer_sdk import Target
from singer_sdk.helpers.capabilities import TargetCapabilities
from singer_sdk.plugin_base import _ConfigInput

from singer_calls.deliver import ledger as db
from singer_calls.deliver.messages import encode
from singer_calls.deliver.outcome import Outcome, Rejected
from singer_calls.deliver.reader import CallReader, InputError, StopReading
from singer_calls.deliver.rejected import (
    HeldFile,
    Original,
    RejectedFile,
    unmark_record,
    unmark_schema,
)
from singer_calls.deliver.retry import RetryPolicy
from singer_calls.deliver.sender import Call, Sender, SenderOptions
from singer_calls.deliver.sink import CallSink
from singer_calls.deliver.summary import CallMetric, Summary
from singer_calls.deliver.transport import Transport
from singer_calls.deliver.watermark import StateWriter, Watermark
from singer_calls.errors import PluginError
from singer_calls.plugin import CAPABILITIES, CallPlugin
from singer_calls.progress import Progress
from singer_calls.values import phone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

TEST_STREAM = "meltano_test_stream"  # what `meltano config test` sends
_THRESHOLD_FROM = 100  # calls before max_rejected_percent is looked at
_STDOUT_PATIENCE = 30.0  # seconds for whoever reads our STATE, at the end
_WAKE = getattr(signal, "SIGUSR1", None)  # ends a wait for input when the sender has failed


class CallTarget(CallPlugin, Target):
    """Base of the targets. A vendor's target defines its settings and its sink."""

    capabilities = [*CAPABILITIES, TargetCapabilities.VALIDATE_RECORDS]  # noqa: RUF012
    message_reader_class = CallReader
    message_reader: CallReader
    default_sink_class: type[CallSink]

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        self._stop_signal: int | None = None
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._sender: Sender | None = None
        self._ledger: db.Ledger | None = None
        self._finished = False
        self._watermark = Watermark()
        self._summary = Summary()
        super().__init__(**kwargs)
        self._dry_run = bool(self.config.get("dry_run"))
        self._states = StateWriter(self._watermark, self._write_state_message, self._unheard)
        self._progress = Progress(self._progress_line, self.logger)
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        files = (self.config["rejected_path"], f"{self.name}-{started}")
        self._rejected, self._held = RejectedFile(*files), HeldFile(*files)

    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """Also the country of bare phone numbers.

        Yields:
            A sentence for each setting that is wrong.
        """
        yield from super().setting_errors(config)
        if not phone.is_country((config.get("default_country") or "US").upper()):
            yield "default_country must be an ISO 3166 alpha-2 code, such as US, GB or RO"

    # Messages

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"stream", "schema"})
        unmark_schema(message_dict)
        self._schemas[message_dict["stream"]] = copy.deepcopy(message_dict)
        if message_dict["stream"] != TEST_STREAM:
            super()._process_schema_message(message_dict)

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"stream", "record"})
        stream = message_dict["stream"]
        if stream == TEST_STREAM:
            return
        if stream not in self.mapper.stream_maps:
            self._assert_sink_exists(stream)
        replayed = unmark_record(message_dict)
        original = Original(self._schemas.get(stream, {}), message_dict, replayed=replayed)
        for stream_map in self.mapper.stream_maps[stream]:
            self._summary.add(CallMetric.READ)
            try:
                record = stream_map.transform(copy.copy(message_dict["record"]))
            except Exception as error:  # noqa: BLE001 - expressions raise anything
                self._take(
                    Rejected(_mapping_reason(error), field=_mapped_property(error)), original
                )
                continue
            if record is None:
                self._summary.add(CallMetric.FILTERED)
                continue
            self._assert_sink_exists(stream_map.stream_alias)
            sink = cast("CallSink", self.get_sink(stream_map.stream_alias))
            sink._remove_sdc_metadata_from_record(record)  # noqa: SLF001 - as the SDK does
            sink.tally_record_read()
            sink.record_counter_metric.increment()
            self._take(sink.prepare(record), original, sink)

    def _take(self, prepared: Any, original: Original, sink: CallSink | None = None) -> None:  # noqa: ANN401
        if self._dry_run:
            if isinstance(prepared, Rejected):
                self._summary.settle(prepared)
            else:
                self._summary.add(CallMetric.WOULD_SEND)
            self._check_threshold()
            return
        number = self._watermark.open()
        if isinstance(prepared, Rejected) or sink is None:
            call = Call(number, original, refused=prepared)
        else:
            call = Call(number, original, delivery=prepared, classify=sink.outcome)
        self._running().submit(call)

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"value"})
        if not self._dry_run:
            # A dry run emits none: the next run would take its calls for delivered.
            self._watermark.state(message_dict["value"])
            self._start_states()

    def _process_activate_version_message(self, _message: dict[str, Any]) -> None:
        """Calls can't be withdrawn: there is no version to activate."""

    def _process_batch_message(self, _message: dict[str, Any]) -> None:
        raise InputError("The input has a BATCH message: switch batch_config off in the tap.")

    # The sender and its surroundings

    def _running(self) -> Sender:
        if self._sender is None:
            config = self.config
            sink = next(iter(self._sinks_active.values()), None)
            headers = sink.session_headers() if isinstance(sink, CallSink) else {}
            self._ledger = db.Ledger(config["ledger_url"], self.name)
            self._sender = Sender(
                SenderOptions(
                    max_in_flight=config["max_in_flight"],
                    requests_per_minute=config.get("requests_per_minute"),
                    retry=RetryPolicy(
                        max_tries=config["backoff_max_tries"],
                        retry_after_max=config["retry_after_max"],
                        retry_unknown=config["on_unknown_outcome"] == "retry",
                        uniform=random.uniform,
                    ),
                ),
                transport=Transport(
                    url=config["api_url"],
                    headers=lambda: {"User-Agent": self.user_agent, **headers},
                    timeout=config["request_timeout"],
                    connections=config["max_in_flight"],
                    may_send=lambda: True,
                    environ=os.environ,
                ),
                ledger=self._ledger,
                rejected=self._rejected,
                held=self._held,
                settled=self._settled,
                failed=self._wake_reader,
                stopping=lambda: self._stop_signal is not None,
            )
            self._sender.start()
            self._progress.start()
        return self._sender

    def _start_states(self) -> None:
        if self._states.ident is None:
            self._states.start()

    def _settled(self, call: Call, outcome: Outcome) -> None:
        self._summary.settle(outcome)
        self._watermark.settle(call.number)
        if isinstance(outcome, Rejected) and self.config["on_error"] == "fail":
            self._fail("A call was rejected and on_error is fail")
        self._check_threshold()

    def _check_threshold(self, at_least: int = _THRESHOLD_FROM) -> None:
        most = self.config["max_rejected_percent"]
        if self._summary.settled >= at_least and self._summary.set_aside_percent > most:
            self._fail(
                f"More than {most} % of the calls were rejected or held (max_rejected_percent)"
            )

    def _fail(self, sentence: str) -> None:
        where = [str(file.path) for file in (self._rejected, self._held) if file.path]
        see = (
            f": see {' and '.join(where)}, correct the cause and replay with --input"
            if where
            else ""
        )
        failure = PluginError(f"{sentence}{see}.")
        if self._sender is None:
            raise failure
        self._sender.fail(failure)

    def _unheard(self, error: OSError) -> None:
        with suppress(OSError, ValueError):  # or the interpreter complains at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        failure = PluginError(
            f"STATE can't be written to standard output ({error.strerror or error}): whoever read "
            "it is gone. Run again; what was delivered is in the ledger."
        )
        if self._sender is not None:
            self._sender.fail(failure)

    def _progress_line(self) -> str:
        sender = self._sender
        waits = f" waits_for={sender.waits_for}" if sender and sender.waits_for else ""
        return f"{self._summary.line()} in_flight={sender.in_flight if sender else 0}{waits}"

    # The end

    def process_endofpipe(self) -> None:
        """Settle what is open, let the last STATE out, and say what became of the calls."""
        self.finish(abandon=self._stop_signal is not None)
        self._check_threshold(at_least=1)
        if self._sender is not None and self._sender.failure is not None:
            raise self._sender.failure

    def finish(self, *, abandon: bool = False) -> None:
        """Settle, write the last STATE, close everything; once.

        Args:
            abandon: Wait for requests in flight only.

        Raises:
            PluginError: Sending could not go on, or STATE could not be written.
        """
        if self._finished:
            return
        self._finished = True
        try:
            if self._sender is not None:
                self._sender.close(abandon=abandon)
        finally:
            self._progress.close()
            heard = self._states.ident is None or self._states.close(_STDOUT_PATIENCE)
            if self._ledger is not None:
                self._ledger.close()
            for sink in self._sinks_active.values():
                sink.clean_up()
            self._summary.log(self.logger)
        if not heard:
            raise PluginError("The last STATE was not taken from standard output: run again.")

    def _write_state_message(self, state: Mapping[str, Any]) -> None:
        sys.stdout.write(f"{encode(state)}\n")
        sys.stdout.flush()

    # Signals

    def _setup_signal_handlers(self) -> None:
        super()._setup_signal_handlers()
        if _WAKE is not None and threading.current_thread() is threading.main_thread():
            signal.signal(_WAKE, self._woken)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._stop_signal is not None:
            # The second one: now. What was in flight is `unknown` to the next run.
            os._exit(128 + signum)
        self._stop_signal = signum
        self.message_reader.stop()

    def _wake_reader(self) -> None:
        if _WAKE is not None:
            with suppress(ProcessLookupError):
                signal.pthread_kill(threading.main_thread().ident or 0, _WAKE)

    def _woken(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._sender is not None and self._sender.failure is not None:
            self.message_reader.stop()

    # The command line

    @classmethod
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
    def run(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[bytes] | None = None,
        ledger: bool = False,
    ) -> None:
        """Deliver what the input holds, or show the settings or the ledger.

        Raises:
            PluginError: The run could not do its work; all that could be settled is.
        """
        if about:
            cls.print_about(about_format)
            return
        config = config or _ConfigInput()
        target = cls(config=config.config, parse_env_config=config.parse_env)
        if ledger:
            click.echo("\n".join(db.report(target.config["ledger_url"])))
            return
        try:
            target.listen(file_input)  # type: ignore[arg-type]
        except StopReading:
            target.process_endofpipe()
        except BaseException:
            with suppress(PluginError):
                target.finish()
            raise
        if target._stop_signal is not None:
            sys.exit(128 + target._stop_signal)


def _mapping_reason(error: Exception) -> str:
    return f"the stream map failed ({type(error).__name__}): correct stream_maps or the record"


def _mapped_property(error: Exception) -> str | None:
    """The property whose expression failed; the SDK has it only in its own frame."""
    trace = error.__traceback__
    name = None
    while trace is not None:
        name = trace.tb_frame.f_locals.get("property_name") or name
        trace = trace.tb_next
    return name if isinstance(name, str) else None
