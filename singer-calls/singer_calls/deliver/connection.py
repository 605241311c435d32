"""One connection to the vendor: what was written on it, and what came back, in which order.

aiohttp opens it (names, proxies, TLS). The exchange is ours: whether a call may be sent again
depends on which bytes left, and whose an answer is on when it began, and no client tells either.
"""

from __future__ import annotations

import asyncio
import select
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import httptools
from multidict import CIMultiDict
from typing_extensions import override

from singer_calls.deliver.delivery import Response
from singer_calls.http import faults

if TYPE_CHECKING:
    import aiohttp

    from singer_calls.http.faults import Fault

BODY_LIMIT_BYTES = 64 * 1024  # read of an answer: enough for every documented one
_ZLIB_OR_GZIP = 47  # zlib's wbits: both kinds of head, told apart
HEAD_LIMIT_BYTES = 64 * 1024
_EARLY = faults.Fault("an answer came before the request was written whole", sent=True)
_LOOKS = 3  # at a connection on which something waits

if hasattr(select, "poll"):

    def _readable(file: int) -> bool:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        return bool(poll.poll(0))

else:  # pragma: no cover - Windows: its loop has read already what came

    def _readable(file: int) -> bool:  # noqa: ARG001
        return False


class Reply:
    """An answer as it comes in, read by llhttp.

    Attributes:
        complete: The answer is whole, nothing more of it comes.
        broken: What came is not HTTP, or more than was asked for.
        fault: Why no more was read; it counts when no status came.
    """

    def __init__(self) -> None:
        self.complete = False
        self.broken = False
        self.fault = faults.BROKEN
        self._parser = httptools.HttpResponseParser(self)
        self._status: int | None = None
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._head_read = False
        self._unread_head = 0
        self._keep_alive = False
        self._body = bytearray()

    @property
    def ended(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.complete or self.broken

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self.complete and not self.broken and self._keep_alive

    def feed(self, data: bytes) -> bool:
        """Read on.

        Returns:
            Whether there is nothing more to wait for.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete = self.broken = True
        except httptools.HttpParserError:
            self.broken = True
        self._unread_head = 0 if self._head_read else self._unread_head + len(data)
        if self._unread_head and (self.broken or self._unread_head > HEAD_LIMIT_BYTES):
            self.broken = True
            self._status = None  # what a nonsense head begins with says nothing
        return self.ended

    def end(self) -> None:
        """The connection ended in good order: so does a body without a length."""
        framed = "Content-Length" in self._headers or "Transfer-Encoding" in self._headers
        self.complete = self.complete or (self._head_read and not framed)

    def answer(self) -> Response | None:
        """The answer, whole or not; None when not even its status came."""
        if self._status is None:
            return None
        body, whole = _decoded(self._headers.get("Content-Encoding", ""), bytes(self._body))
        return Response(self._status, self._headers, body, whole=whole and self.complete)

    # What llhttp calls

    def on_message_begin(self) -> None:
        """A second answer: one of them is not ours."""
        self.broken = self.broken or self.complete

    def on_status(self, _reason: bytes) -> None:
        """The status line has its three digits."""
        if not self.complete:
            self._status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those are as good."""
        if not self.complete:
            self._headers.add(name.decode("latin-1"), value.decode("latin-1").strip())

    def on_headers_complete(self) -> None:
        """The head is read."""
        if not self.complete:
            self._status = self._parser.get_status_code()
            self._head_read = True

    def on_body(self, data: bytes) -> None:
        """A piece of the body; what is too long is read no further."""
        if not self.complete:
            self._body += data[: BODY_LIMIT_BYTES - len(self._body)]
            self.broken = len(self._body) >= BODY_LIMIT_BYTES

    def on_message_complete(self) -> None:
        """The end, unless this was an interim answer (100 to 199, RFC 9110 section 15.2)."""
        if self.ended:
            return
        if self._status is not None and self._status < 200:  # noqa: PLR2004 - see above
            self._status, self._head_read = None, False
            self._headers = CIMultiDict()
        else:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()


def _decoded(encoding: str, body: bytes) -> tuple[bytes, bool]:
    """The body, and whether it could be decoded to its end. We ask for none; some encode."""
    match encoding.lower():
        case "" | "identity":
            return body, True
        case "gzip" | "x-gzip" | "deflate":
            decoder = zlib.decompressobj(_ZLIB_OR_GZIP)
            try:
                return decoder.decompress(body, BODY_LIMIT_BYTES), decoder.eof
            except zlib.error:
                return b"", False
        case _:
            return b"", False


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time.

    Args:
        opened: As aiohttp opened it; from now on it is ours.

    Raises:
        ConnectionError: It has ended already, or something came unasked.
    """

    def __init__(self, opened: aiohttp.connector.Connection) -> None:
        self._opened = opened
        transport = opened.transport
        if transport is None or opened.protocol is None or opened.protocol.should_close:
            opened.close()
            raise ConnectionResetError
        self._transport = transport
        self._file: int = transport.get_extra_info("socket").fileno()
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._spoiled = False
        self._reply: Reply | None = None
        self._ended: asyncio.Future[None] | None = None
        transport.set_protocol(self)

    @property
    def age(self) -> float:
        """Seconds since it was opened, or since it last carried a request."""
        return self._loop.time() - self._since

    async def untouched(self) -> bool:
        """Whether a request may be written: it is open, and nothing came or waits on it.

        When this returns, the loop has not turned since the last look.
        """
        for _ in range(_LOOKS):
            if self._spoiled or self._transport.is_closing():
                return False
            if not _readable(self._file):
                return True
            # An answer to nobody, an end, or TLS at work (session tickets): the loop tells.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return False

    def send(self, request: bytes) -> bool:
        """Write a request.

        Returns:
            False when certainly no byte of it left.
        """
        self._reply = Reply()
        self._ended = self._loop.create_future()
        self._transport.write(request)
        # The loop's transports write at once; what could not be written closes them.
        return not self._transport.is_closing()

    async def reply(self, deadline: float) -> Reply:
        """What comes back on the request.

        Args:
            deadline: In the loop's time; what has come until then counts.
        """
        reply, ended = self._reply, self._ended
        assert reply is not None  # noqa: S101 - sent before
        assert ended is not None  # noqa: S101
        timer = self._loop.call_at(deadline, self._end, faults.NO_ANSWER)
        try:
            await ended
        finally:
            timer.cancel()
            self._reply, self._since = None, self._loop.time()
        return reply

    def close(self) -> None:
        """Close it at once, without TLS's farewell: its answer is read, or nobody waits for one."""
        with suppress(AttributeError):  # CPython 3.11.2, of TLS that has ended
            self._transport.abort()
        self._opened.close()

    # asyncio.Protocol

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came: of the answer, or of nobody's."""
        reply = self._reply
        if reply is None or reply.ended:
            self._spoiled = True
        elif self._transport.get_write_buffer_size():
            self._spoiled = True
            self._end(_EARLY)
        elif reply.feed(data):
            self._end(faults.NOT_HTTP)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        """It ended, by whomever."""
        self._opened.close()
        if self._reply is not None and error is None:
            self._reply.end()
        self._end(faults.BROKEN)

    def _end(self, fault: Fault) -> None:
        if self._reply is not None and self._ended is not None and not self._ended.done():
            self._reply.fault = fault
            self._ended.set_result(None)
