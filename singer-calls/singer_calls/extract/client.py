"""Asking a vendor: one session, one pace, one way to ask again."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
import urllib3

from singer_calls.errors import PluginError, SettingsError
from singer_calls.extract.answer import Record, Spill, elements
from singer_calls.extract.errors import AskAgainError, TooMuchError, UnansweredError
from singer_calls.extract.pace import Pace
from singer_calls.http.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_T = TypeVar("_T")

_CHUNK = 2**16
_SLOWEST = 4096  # bytes a second; a body that comes slower than that counts as a timeout
_LONGEST_BACKOFF = 60.0

# What failed -> what is done next, and how it is told. The first row that fits counts.
_FAULTS: list[tuple[type[Exception], type[AskAgainError], str]] = [
    (requests.exceptions.SSLError, AskAgainError, "could not be reached: TLS failed"),
    (requests.exceptions.ProxyError, AskAgainError, "could not be reached: the proxy failed"),
    (requests.exceptions.ConnectTimeout, AskAgainError, "could not be reached in time"),
    (requests.exceptions.Timeout, TooMuchError, "did not answer in time"),
    (requests.exceptions.RequestException, AskAgainError, "could not be reached"),
    (urllib3.exceptions.ReadTimeoutError, TooMuchError, "did not answer in time"),
    (urllib3.exceptions.HTTPError, AskAgainError, "cut its answer short"),
]

# Status -> the same, for statuses that are not final.
_PASSING: dict[int, type[AskAgainError]] = {
    HTTPStatus.REQUEST_TIMEOUT: TooMuchError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooMuchError,
    HTTPStatus.TOO_EARLY: AskAgainError,
    HTTPStatus.TOO_MANY_REQUESTS: AskAgainError,
    HTTPStatus.GATEWAY_TIMEOUT: TooMuchError,
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is tried.

    Attributes:
        timeout: Seconds without an answer, connecting included; likewise between two pieces of a
            body.
        tries: Tries per request, the first included.
        retry_after_max: Longest pause, in seconds, that the vendor may ask for.
    """

    timeout: float = 30
    tries: int = 5
    retry_after_max: float = 300


class Client:
    """One vendor's API. All threads share it.

    Args:
        vendor: Its name, for messages.
        credential: Name of the setting to check when the vendor refuses us.
        headers: Sent with every request, credentials among them.
        patience: How long a request is tried.
        requests_per_minute: Never exceeded, None for no limit.
        clock: Monotonic seconds.
        sleep: Waits that many seconds.
        chance: A number from 0 to 1, for the backoff's jitter.
        refusal: From the status and the body of an answer that ends the run to the sentence for
            the user; None where it has none of its own.
    """

    def __init__(
        self,
        vendor: str,
        *,
        credential: str,
        headers: Mapping[str, str],
        patience: Patience | None = None,
        requests_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
        refusal: Callable[[int, bytes], str | None] = lambda _status, _body: None,
    ) -> None:
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise SettingsError(
                f"Setting {credential} has a character that a header can't hold: copy it again."
            )
        self.vendor = vendor
        self.patience = patience or Patience()
        self._credential = credential
        self._pace = Pace(requests_per_minute, clock=clock, sleep=sleep)
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._refusal = refusal
        self._log = logging.getLogger(__name__)
        # Its debug lines, and its warning about a malformed header, hold the query.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        self._session = requests.Session()
        self._session.headers.update(headers)
        # The pool of a host must hold the connections of all windows in flight.
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=32))

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        vendor: str,
        *,
        credential: str,
        headers: Mapping[str, str],
        **edges: Callable[..., Any],
    ) -> Self:
        """A client with the settings that all taps share (``singer_calls.options.common``)."""
        return cls(
            vendor,
            credential=credential,
            headers=headers,
            patience=Patience(
                timeout=config["request_timeout"],
                tries=config["backoff_max_tries"],
                retry_after_max=config["retry_after_max"],
            ),
            requests_per_minute=config.get("requests_per_minute"),
            **edges,
        )

    def array(
        self,
        url: str,
        params: Mapping[str, object],
        *,
        convert: Callable[[Any], Record],
        divisible: bool = False,
    ) -> Spill:
        """GET a JSON array, each element converted as it arrives.

        Args:
            url: Without a query.
            params: The query; None values are left out.
            convert: From an element to a record.
            divisible: Raise TooMuchError at once, for the caller to ask for less.

        Returns:
            All records; the answer was whole and well-formed.

        Raises:
            TooMuchError: Only if ``divisible``.
            PluginError: The vendor can't be asked any further.
        """
        return self.get(
            url,
            params,
            read=lambda chunks: Spill(map(convert, elements(chunks))),
            divisible=divisible,
        )

    def get(
        self,
        url: str,
        params: Mapping[str, object],
        *,
        read: Callable[[Iterator[bytes]], _T],
        divisible: bool = False,
    ) -> _T:
        """GET, and ask again as long as it makes sense.

        Args:
            url: Without a query.
            params: The query; None values are left out.
            read: From the pieces of a 200's body to a result; raises AskAgainError for a body
                that is not what it should be.
            divisible: As in ``array``.

        Returns:
            What ``read`` returned.
        """
        tries = 0
        while True:
            tries += 1
            try:
                with self._pace:
                    return self._ask(url, params, read)
            except AskAgainError as error:
                self._wait(error, tries, divisible=divisible)

    def _wait(self, error: AskAgainError, tries: int, *, divisible: bool) -> None:
        """Wait before the next try, or raise if there is none."""
        patience = self.patience
        if error.after is not None and error.after > patience.retry_after_max:
            raise PluginError(
                f"{self.vendor} {error.reason} and asks for a pause of {error.after:.0f} s, more "
                f"than retry_after_max ({patience.retry_after_max:.0f} s): run again later."
            ) from None
        if error.after is not None:
            self._pace.pause(error.after)
        if divisible and isinstance(error, TooMuchError):
            raise error
        if tries >= patience.tries:
            raise UnansweredError(f"{self.vendor} {error.reason}, {tries} times in a row") from None
        backoff = self._chance() * min(_LONGEST_BACKOFF, 2.0 ** (tries - 1))
        wait = backoff if error.after is None else error.after
        self._log.warning(
            "%s %s; asking again in %.1f s (try %d of %d)",
            *(self.vendor, error.reason, wait, tries + 1, patience.tries),
        )
        self._sleep(wait)

    def _ask(
        self,
        url: str,
        params: Mapping[str, object],
        read: Callable[[Iterator[bytes]], _T],
    ) -> _T:
        try:
            with self._session.get(
                url,
                params={name: str(value) for name, value in params.items() if value is not None},
                timeout=self.patience.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                self._judge(response)
                return read(self._body(response))
        except tuple(fault for fault, _, _ in _FAULTS) as error:
            raise next(
                next_step(reason)
                for fault, next_step, reason in _FAULTS
                if isinstance(error, fault)
            ) from None

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        began, size = self._clock(), 0
        for chunk in response.raw.stream(_CHUNK, decode_content=True):
            size += len(chunk)
            took = self._clock() - began
            if took > self.patience.timeout and size < took * _SLOWEST:
                raise TooMuchError("did not answer in time")
            yield chunk

    def _judge(self, response: requests.Response) -> None:
        """Raise unless the answer is a 200."""
        status = response.status_code
        if status == HTTPStatus.OK:
            return
        reason = f"answered HTTP {status}"
        if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            after = retry_after(response.headers, time.time())
            raise _PASSING.get(status, AskAgainError)(reason, after)
        body = response.raw.read(_CHUNK, decode_content=True)
        if sentence := self._refusal(status, body):
            raise PluginError(sentence)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise PluginError(
                f"{self.vendor} refuses the credentials (HTTP {status}): "
                f"check the setting {self._credential}."
            )
        raise PluginError(
            f"{self.vendor} {reason}: check the setting api_url, and whether this version of the "
            "plugin still fits the vendor."
        )
