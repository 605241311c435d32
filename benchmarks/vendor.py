# /// script
# requires-python = ">=3.11"
# dependencies = ["httptools==0.7.1", "uvloop==0.22.1"]
# ///
"""A vendor that is never what limits: it takes calls, counts them by id, and answers after a while.

    vendor.py [--tls CERTIFICATE KEY]

Writes its port and that of TLS to standard output, and serves until it is ended.

    POST anything with a CallSessionId (form or JSON)    {"Status": "OK"}, or what ``retry`` says
    GET /journal                                         what came, see ``Journal``
    POST /reset                                          forget; {"latency": s, "retry": n}
    POST /upstream                                       {"url": whom to ask what is not known}
    GET anything else                                    what upstream answered the first time

``retry``: each n-th new call is answered ``503`` with ``Retry-After: 1``, twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
import time
from collections import Counter
from urllib.request import Request, urlopen

import httptools
import uvloop

_ID = re.compile(rb'CallSessionId"?\s*[=:]\s*"?([^&"]+)')
_OK = b'{"Status": "OK"}'
_HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"


class Journal:
    """Which calls came, and when."""

    def __init__(self, latency: float = 0.0, retry: int = 0) -> None:
        self.latency = latency
        self.retry = retry
        self.accepted: Counter[bytes] = Counter()
        self.asked: Counter[bytes] = Counter()
        self.first = self.last = 0.0
        self.connections = 0

    def take(self, body: bytes) -> tuple[int, bytes, bytes]:
        """Status, further headers and body of the answer to a call."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        found = _ID.search(body)
        if found is None:
            return 400, b"", b'{"Status": "ERROR"}'
        key = found[1]
        number = len(self.asked)
        self.asked[key] += 1
        waits = self.retry and (self.asked[key] > 1 or number % self.retry == 0)
        if waits and key not in self.accepted and self.asked[key] <= 2:
            return 503, b"Retry-After: 1\r\n", b""
        self.accepted[key] += 1
        return 200, b"", _OK

    def told(self) -> bytes:
        """The journal as JSON: requests, ids, how often the most frequent one was accepted."""
        return json.dumps(
            {
                "requests": self.asked.total(),
                "calls": len(self.accepted),
                "most": max(self.accepted.values(), default=0),
                "seconds": self.last - self.first,
                "connections": self.connections,
            }
        ).encode()


class State:
    """What all connections share."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.replay: dict[bytes, bytes] = {}
        self.upstream = ""

    def ask(self, path: bytes, headers: dict[str, str]) -> bytes:
        """What upstream answers; in a thread, since it blocks."""
        request = Request(self.upstream + path.decode(), headers=headers)  # noqa: S310
        with urlopen(request, timeout=600) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found


class Connection(asyncio.Protocol):
    """One connection; requests may follow one another on it."""

    def __init__(self, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self._state = state
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._transport = transport
        self._state.journal.connections += 1

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._body: list[bytes] = []
        self._headers: dict[str, str] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers, for upstream."""
        if self._state.upstream and name.lower() not in {
            b"host",
            b"connection",
            b"accept-encoding",
        }:
            self._headers[name.decode()] = value.decode()

    def on_url(self, url: bytes) -> None:
        """Its target."""
        self._url = url

    def on_body(self, data: bytes) -> None:
        """A piece of its body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Answer it."""
        state, body = self._state, b"".join(self._body)
        latency = 0.0
        if self._parser.get_method() == b"GET":
            if (answer := self._get()) is None:
                asked = self._loop.run_in_executor(None, state.ask, self._url, self._headers)
                asked.add_done_callback(self._keep)
                return
        elif self._url == b"/reset":
            state.journal = Journal(**json.loads(body))
            answer = 200, b"", _OK
        elif self._url == b"/upstream":
            state.upstream = json.loads(body)["url"]
            state.replay.clear()
            answer = 200, b"", _OK
        else:
            answer = state.journal.take(body)
            latency = state.journal.latency
        if latency:
            self._loop.call_later(latency, self._write, *answer)
        else:
            self._write(*answer)

    def _get(self) -> tuple[int, bytes, bytes] | None:
        if self._url == b"/journal":
            return 200, b"", self._state.journal.told()
        found = self._state.replay.get(self._url)
        return None if found is None else (200, b"", found)

    def _keep(self, asked: asyncio.Future[bytes]) -> None:
        self._state.replay[self._url] = asked.result()
        self._write(200, b"", asked.result())

    def _write(self, status: int, headers: bytes, body: bytes) -> None:
        self._transport.write(_HEAD % (status, headers, len(body)) + body)
        if not self._parser.should_keep_alive():
            self._transport.close()


async def serve(tls: list[str] | None) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    state = State()
    contexts: list[ssl.SSLContext | None] = [None]
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        contexts.append(context)
    ports = []
    for context in contexts:
        server = await loop.create_server(
            lambda: Connection(state, loop), "127.0.0.1", 0, ssl=context, backlog=1024
        )
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    uvloop.run(serve(parser.parse_args().tls))
