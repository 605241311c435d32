"""Asking a vendor: one session, one rate limit, one way to ask again."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

import urllib3

from singer_calls.errors import PluginError
from singer_calls.extract.errors import (
    ResponseTooLargeError,
    RetriableError,
    UnansweredError,
)
from singer_calls.extract.failures import FAILURES, fault_of
from singer_calls.extract.json_array import Record, Spill, decoded, iterate_array
from singer_calls.extract.records import SchemaDrift, usable
from singer_calls.extract.session import session
from singer_calls.http import faults
from singer_calls.http.rate_limit import BlockingRateLimiter, SlidingWindow
from singer_calls.http.retry import GiveUp, RetryPolicy, SharedPause
from singer_calls.http.retry_after import retry_after
from singer_calls.http.statuses import Meaning, meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

_T = TypeVar("_T")

_CHUNK_BYTES = 2**16
_SLOWEST_BYTES_PER_SECOND = 4096  # a body that comes slower counts as a timeout

# What a status means -> what is done next, for those that may pass.
_PASSING: Mapping[Meaning, type[RetriableError]] = {
    Meaning.TIMED_OUT: ResponseTooLargeError,
    Meaning.TOO_LARGE: ResponseTooLargeError,
    Meaning.TOO_EARLY: RetriableError,
    Meaning.RATE_LIMIT: RetriableError,
    Meaning.FAILED: RetriableError,
    Meaning.GATEWAY: RetriableError,
    Meaning.GATEWAY_TIMEOUT: ResponseTooLargeError,
    Meaning.UNREACHED: RetriableError,
    Meaning.UNAVAILABLE: RetriableError,
    Meaning.UNHEARD_OF: RetriableError,
}
_SUCCESS = {Meaning.SUCCESS, Meaning.EMPTY}


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a success.

    Attributes:
        status: Of the answer, 200 to 299.
        chunks: Its bytes as they arrive, none of a 204.
        charset: As declared, None without.
    """

    status: int
    chunks: Iterator[bytes]
    charset: str | None

    def text(self, lost: Callable[[int], object] = lambda _count: None) -> Iterator[str]:
        """Its text as it arrives; ``lost`` is told of letters that can't be read."""
        return decoded(self.chunks, self.charset, lost)


class Client:
    """One vendor's API. All threads share it.

    Args:
        api_url: The vendor's address: it decides about the proxy.
        vendor: Its name, for messages.
        credential: Name of the setting to check when the vendor refuses us.
        headers: Sent with every request, credentials among them, and to nobody else.
        timeout: Seconds without an answer, connecting included; likewise between two pieces of a
            body.
        policy: How often and how long a request is tried.
        requests_per_minute, requests_per_second: Never exceeded, None for no limit.
        limiter: In its place that of another client of the same vendor, to share it.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
        refusal: From the status and the body of an answer that ends the run to the sentence for
            the user; None where it has none of its own.
        environ: Names proxy and certificate authorities (``http.trust``).

    Raises:
        SettingsError: The environment names a proxy or certificates that can't be used.
    """

    def __init__(
        self,
        api_url: str,
        vendor: str,
        *,
        credential: str,
        headers: Mapping[str, str],
        timeout: float = 30,
        policy: RetryPolicy | None = None,
        requests_per_minute: int | None = None,
        requests_per_second: int | None = None,
        limiter: BlockingRateLimiter | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        refusal: Callable[[int, bytes], str | None] = lambda _status, _body: None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.vendor = vendor
        self.timeout = timeout
        self.policy = policy or RetryPolicy()
        self._credential = credential
        self.limiter = limiter or BlockingRateLimiter(
            SlidingWindow(requests_per_minute, requests_per_second), clock=clock, sleep=sleep
        )
        self._pause = SharedPause(self.policy)
        self._pausing = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self._refusal = refusal
        self._log = logging.getLogger(__name__)
        # Its debug lines, and its warning about a malformed header, hold the query.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        self._session = session(api_url, os.environ if environ is None else environ)
        self._session.headers.update(headers)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        vendor: str,
        *,
        credential: str,
        headers: Mapping[str, str],
        **edges: Any,  # noqa: ANN401 (clock, sleep, refusal, limiter)
    ) -> Self:
        """A client with the settings that all taps share (``singer_calls.settings.common``)."""
        return cls(
            config["api_url"],
            vendor,
            credential=credential,
            headers={"Accept": "application/json", **headers},
            timeout=config["request_timeout"],
            policy=RetryPolicy(
                max_tries=config["backoff_max_tries"],
                retry_after_max=config["retry_after_max"],
                uniform=random.uniform,
            ),
            requests_per_minute=config.get("requests_per_minute"),
            requests_per_second=config.get("requests_per_second"),
            **edges,
        )

    def array(
        self,
        url: str,
        params: Mapping[str, object],
        *,
        convert: Callable[[SchemaDrift], Callable[[Any], Record]],
        drift: SchemaDrift,
        where: str = "",
        divisible: bool = False,
    ) -> Spill:
        """GET a JSON array, each element converted as it arrives.

        Args:
            url: Without a query.
            params: The query; None values are left out.
            convert: Makes the function from an element to its record, which counts what it meets;
                it raises NotACallError for one that can't become a record, which costs itself.
            drift: What the vendor sent and no schema expects, told what this answer adds to it.
            where: Which part of the calls is asked for, for people.
            divisible: Raise ResponseTooLargeError at once, for the caller to ask for less.

        Returns:
            All records; the answer was whole and well-formed. None of a 204.

        Raises:
            ResponseTooLargeError: Only if ``divisible``.
            PluginError: The vendor can't be asked any further.
        """

        def read(body: Body) -> tuple[Spill, SchemaDrift]:
            answer = SchemaDrift()
            if meaning(body.status) is Meaning.EMPTY:
                return Spill(), answer
            found = iterate_array(body.text(answer.count_lost))
            records = Spill(usable(found, convert(answer), answer, where))
            records.received += len(answer.unusable)
            return records, answer

        records, answer = self.get(url, params, read=read, divisible=divisible)
        self.tell(drift, answer)
        return records

    def tell(self, drift: SchemaDrift, answer: SchemaDrift) -> None:
        """Add what one answer showed; PluginError when all hold more that is no call than calls."""
        drift.add(answer)
        if drift.hopeless:
            raise PluginError(
                f"{self.vendor} sends more elements that are no usable calls than calls "
                f"({drift.unusable[-1]}): see whether this version of the plugin still fits it."
            )

    def get(
        self,
        url: str,
        params: Mapping[str, object],
        *,
        read: Callable[[Body], _T],
        divisible: bool = False,
    ) -> _T:
        """GET, and ask again as long as it makes sense.

        Args:
            url: Without a query.
            params: The query; None values are left out.
            read: From the body of a success to a result; raises RetriableError for one that is
                not what it should be.
            divisible: As in ``array``.

        Returns:
            What ``read`` returned.
        """
        tries = 0
        while True:
            with self.limiter.permit():
                while left := self._pause.remaining(self._clock()):
                    self._sleep(left)
                began = self._clock()
                try:
                    result = self._ask(url, params, read)
                except RetriableError as error:
                    failure = error
                else:
                    with self._pausing:
                        self._pause.passed()
                    return result
            tries += not failure.everyone
            self._wait(failure, began, tries, divisible=divisible)

    def _wait(self, failure: RetriableError, began: float, tries: int, *, divisible: bool) -> None:
        """Wait before the next try, or raise if there is none."""
        wish = failure.wish or 0.0
        with self._pausing:
            if (
                divisible
                and isinstance(failure, ResponseTooLargeError)
                and wish <= self.policy.retry_after_max
            ):
                self._pause.extend(self._clock() + wish)
                raise failure
            if failure.everyone:
                step = self._pause.refused(began, self._clock(), failure.wish)
            else:
                step = self.policy.after(tries, failure.wish)
        if isinstance(step, GiveUp):
            what = f"{self.vendor} {failure.reason}, {step.why}"
            if wish > self.policy.retry_after_max:
                raise PluginError(f"{what}: run again later.")
            raise UnansweredError(what, failure.advice)
        self._log.warning(
            "%s %s; asking again in %.1f s (at most %d tries)",
            *(self.vendor, failure.reason, step.wait, self.policy.max_tries),
        )
        if not failure.everyone:
            self._sleep(step.wait)

    def _ask(self, url: str, params: Mapping[str, object], read: Callable[[Body], _T]) -> _T:
        answered = False
        try:
            with self._session.get(
                url,
                params={name: str(value) for name, value in params.items() if value is not None},
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                answered = True
                return read(self._success(response))
        except FAILURES as error:
            fault = fault_of(error)
            if answered and fault is not faults.NO_ANSWER:
                fault = faults.CUT
            if fault.lasting:
                raise PluginError(f"{self.vendor} {_told(fault)}: {fault.advice}.") from None
            step = ResponseTooLargeError if fault is faults.NO_ANSWER else RetriableError
            raise step(_told(fault), advice=fault.advice) from None

    def _success(self, response: requests.Response) -> Body:
        """The body of a success; any other answer raises, whether its body is whole or not."""
        status = response.status_code
        means = meaning(status)
        if means in _SUCCESS and self.takes(status):
            declared = Message()
            declared["Content-Type"] = response.headers.get("Content-Type", "")
            return Body(status, self._chunks(response), declared.get_content_charset())
        reason = f"answered HTTP {status}"
        if means in _PASSING:
            limited = means is Meaning.RATE_LIMIT
            wish = retry_after(response.headers, time.time(), limited=limited)
            everyone = limited or wish is not None
            raise _PASSING[means](reason, wish=wish, everyone=everyone)
        body = b""
        with suppress(urllib3.exceptions.HTTPError, OSError):  # the status has decided
            body = response.raw.read(_CHUNK_BYTES, decode_content=True)
        raise PluginError(self._refusal(status, body) or self._sentence(status, means))

    def takes(self, status: int) -> bool:
        """Whether a success of this status is an answer of this vendor's."""
        return status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}

    def _sentence(self, status: int, means: Meaning) -> str:
        told = f"{self.vendor} {{}} (HTTP {status}): {{}}."
        match means:
            case Meaning.CREDENTIALS | Meaning.PERMISSION:
                return told.format(
                    "refuses the credentials", f"check the setting {self._credential}"
                )
            case Meaning.PROXY:
                return told.format("can't be reached", f"{means.value}; see HTTPS_PROXY")
        return (
            f"{self.vendor} answered HTTP {status}: check the setting api_url, and whether this "
            "version of the plugin still fits the vendor."
        )

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        began, size, raw = self._clock(), 0, response.raw
        # Of a body that announces its length, stream() waits for a whole chunk, however long.
        some = iter(lambda: raw.read1(_CHUNK_BYTES, decode_content=True) or b"", b"")
        for chunk in raw.stream(_CHUNK_BYTES, decode_content=True) if raw.chunked else some:
            size += len(chunk)
            took = self._clock() - began
            if took > self.timeout and size < took * _SLOWEST_BYTES_PER_SECOND:
                raise ResponseTooLargeError(_told(faults.NO_ANSWER))
            yield chunk


def _told(fault: faults.Fault) -> str:
    """A fault as a clause after the vendor's name."""
    if fault is faults.NO_ANSWER:
        return "did not answer in time"
    if fault is faults.CUT:
        return "cut its answer short"
    return f"could not be reached ({fault.reason})"
