"""One request and its answer; every failure on the way is an outcome.

    no connection, a proxy that fails, a connection on which something waits    Retry: not sent
    from the first byte on, and no status                                       Unknown
    a status, its body whole or not                                             the vendor's table

One call goes over one connection, opened ahead of need. On a kept one an answer to an earlier
request, late or doubled, can't be told from the answer to this one, by anybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import aiohttp
from yarl import URL

from singer_calls.deliver.connection import Connection
from singer_calls.deliver.failures import not_opened
from singer_calls.deliver.outcome import Fatal, Retry, Unknown
from singer_calls.http.trust import proxy_for, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_calls.deliver.connection import Reply
    from singer_calls.deliver.delivery import Delivery, Response
    from singer_calls.deliver.outcome import Outcome

_FRESH_SECONDS = 4.0  # gateways that wait for a first request give up after 5 and more
_ADDRESSES_SECONDS = 10  # the vendor may move
_TAKES = 3  # connections opened for one try of one call

KEEP_CONNECTIONS = (
    "Keep a connection for the next call instead of opening one for each. Faster, and what it can "
    "cost: a proxy or server that sends an answer twice or late on a kept connection makes another "
    "call count as accepted that never arrived, or be sent twice; one that closes it at the moment "
    "of the next call leaves that call's outcome unknown."
)


class Transport:
    """Connections to the vendor; an async context, to be used from its loop only.

    Args:
        url: The vendor's address (``api_url``); every delivery goes there.
        headers: Asked for each request, credentials among them. A proxy's CONNECT has none.
        sign: Headers of a request that depend on its body, asked for each attempt.
        timeout: Seconds for one request; connecting may take half of them.
        connections: Requests side by side, at most. As many may be open ahead of need, and as
            many wait for the vendor to close them.
        may_send: Asked right before the first byte of each request; False, and it is not sent.
        environ: Where proxies and certificate authorities are named (http/trust.py).
        keep_connections: See ``KEEP_CONNECTIONS``.

    Raises:
        SettingsError: The environment names a proxy or a certificate authority that can't be used.
    """

    def __init__(
        self,
        *,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        sign: Callable[[bytes], Mapping[str, str]] = lambda _body: {},
        timeout: float,
        connections: int,
        may_send: Callable[[], bool],
        environ: Mapping[str, str],
        keep_connections: bool = False,
    ) -> None:
        self._origin = URL(url).origin()
        self._headers = headers
        self._sign = sign
        self._timeout = timeout
        self._connections = connections
        self._may_send = may_send
        self._keep = keep_connections
        self._proxy = proxy_for(url, environ)
        secure = self._origin.scheme == "https" or (self._proxy and self._proxy.scheme == "https")
        self._tls = tls_context(environ) if secure else None
        self._ready: deque[Connection] = deque()
        self._used: deque[Connection] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._in_flight = 0

    async def __aenter__(self) -> Self:
        proxy = self._proxy
        self._connector = aiohttp.TCPConnector(
            limit=0, force_close=True, ttl_dns_cache=_ADDRESSES_SECONDS
        )
        headers = {"Proxy-Authorization": proxy.authorization} if proxy else {}
        self._address = aiohttp.ClientRequest(
            "POST",
            self._origin,
            loop=asyncio.get_running_loop(),
            ssl=self._tls or True,
            proxy=URL.build(scheme=proxy.scheme, host=proxy.host, port=proxy.port)
            if proxy
            else None,
            proxy_headers={name: value for name, value in headers.items() if value},
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in (*self._ready, *self._used):
            connection.close()
        await self._connector.close()
        await asyncio.sleep(0)  # the loop closes the sockets

    async def post(self, delivery: Delivery, classify: Callable[[Response], Outcome]) -> Outcome:
        """Send one call, once. A redirect is an answer: nothing is posted along.

        Args:
            delivery: What to send.
            classify: Reads the answer; of one whose body was cut, too (``Response.whole``).
        """
        deadline = asyncio.get_running_loop().time() + self._timeout
        self._in_flight += 1
        try:
            reply = await self._exchange(self._request(delivery), deadline)
        except _NotSentError as error:
            return error.outcome
        finally:
            self._in_flight -= 1
        answer = reply.answer()
        if answer is None:
            return Unknown(reply.fault.reason)
        try:
            return classify(answer)
        except Exception as error:  # noqa: BLE001 - the request left: its call has an outcome
            return Unknown(f"the answer could not be read ({type(error).__name__})")

    async def _exchange(self, request: bytes, deadline: float) -> Reply:
        connection = await self._take()
        reply = None
        try:
            if not self._may_send():
                raise _NotSentError(Retry("this run may send no more: its lease is over"))
            if not connection.send(request):
                raise _NotSentError(Retry("the connection broke before the call was sent"))
            self._open_ahead()
            reply = await connection.reply(deadline)
        finally:
            self._give_back(connection, reply)
        return reply

    async def _take(self) -> Connection:
        """A connection on which nothing came; the loop has not turned since that was seen."""
        opened = 0
        while opened < _TAKES or self._ready:
            if self._ready:
                connection = self._ready.popleft()
            else:
                opened += 1
                connection = await self._open()
            if connection.age < _FRESH_SECONDS and await connection.untouched():
                return connection
            connection.close()
        raise _NotSentError(Retry("the vendor ends connections before they are used"))

    async def _open(self) -> Connection:
        try:
            async with asyncio.timeout(self._timeout / 2):
                opened = await self._connector.connect(self._address, [], aiohttp.ClientTimeout())
                return Connection(opened)
        except Exception as error:
            raise _NotSentError(not_opened(error, proxied=self._proxy is not None)) from error

    def _open_ahead(self) -> None:
        """Open one for a call to come, while fewer are ready than calls are in flight."""
        ahead = len(self._ready) + len(self._opening)
        if not self._keep and ahead < min(self._in_flight, self._connections):
            task = asyncio.get_running_loop().create_task(self._make_ready())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _make_ready(self) -> None:
        with suppress(_NotSentError):  # the next call opens its own, and tells what is wrong
            self._ready.append(await self._open())

    def _give_back(self, connection: Connection, reply: Reply | None) -> None:
        if reply is None or not reply.complete:
            connection.close()
        elif self._keep and reply.reusable:
            self._ready.append(connection)
        else:
            # The vendor closes first, if it will: who does so keeps the port for a minute, and a
            # machine has 28,000 of them for one address.
            self._used.append(connection)
            if len(self._used) > self._connections:
                self._used.popleft().close()

    def _request(self, delivery: Delivery) -> bytes:
        plain = self._proxy if self._origin.scheme == "http" else None
        headers = {
            "Accept-Encoding": "identity",
            **self._headers(),
            **delivery.headers,
            **self._sign(delivery.body),
            "Content-Length": str(len(delivery.body)),
            "Connection": "keep-alive" if self._keep else "close",
        }
        if plain and plain.authorization:
            headers["Proxy-Authorization"] = plain.authorization
        head = _request_line(delivery.url, absolute=plain is not None)
        for name, value in headers.items():
            if not value.isprintable():
                raise _NotSentError(
                    Fatal(
                        f"The header {name} would hold a line break or another control character: "
                        "correct the setting that it is made of"
                    )
                )
            head += f"{name}: {value}\r\n"
        return f"{head}\r\n".encode() + delivery.body


class _NotSentError(Exception):
    """Certainly nothing left; the outcome says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


@lru_cache(maxsize=64)
def _request_line(url: str, *, absolute: bool) -> str:
    """Request line and Host; with the whole URL for a proxy that passes the request on."""
    parts = URL(url)
    target = str(parts.with_fragment(None)) if absolute else parts.raw_path_qs
    return f"POST {target} HTTP/1.1\r\nHost: {parts.host_port_subcomponent}\r\n"
