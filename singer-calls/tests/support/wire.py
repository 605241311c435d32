"""A vendor and a proxy made of bytes: what they do is said by each test."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

from singer_calls.deliver.delivery import Delivery
from singer_calls.deliver.identity import Account
from singer_calls.deliver.transport import Transport

SECRET = "Basic c2VjcmV0"


async def request(reader):
    """Read one request.

    Returns:
        Its head and its body; None when the connection ended instead.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(length[0].split(b":")[1])) if length else b""


def answer(status=200, body=b"{}", *headers):
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def abort(writer):
    """End a connection with a reset."""
    writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


@asynccontextmanager
async def listening(serve, tls=None):
    """A server.

    Yields:
        Its port.
    """
    tasks, writers = set(), []

    async def connected(reader, writer):
        tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writers.append(writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=2**24)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            with suppress(AttributeError):  # CPython 3.11.2, of TLS that has ended
                writer.transport.abort()
        # The loop closes sockets later, and handshakes that were broken off later still.
        await asyncio.sleep(0.1 if tls else 0.005)


def transport(url, **options):
    """A transport as the targets make it."""
    defaults = {
        "headers": lambda: {"Authorization": SECRET},
        "timeout": 5,
        "connections": 8,
        "may_send": lambda: True,
        "environ": {},
    }
    return Transport(url=url, **(defaults | options))


def delivery(url, body=b"call"):
    """One call."""
    account = Account("vendor", url, "1")
    return Delivery(account, "key", f"{url}/calls?a=b", body, {"Content-Type": "text/plain"})


async def post(url, *, body=b"call", classify=lambda answer: answer, **options):
    """One call through a transport of its own.

    Returns:
        Its outcome, by default the answer itself.
    """
    async with transport(url, **options) as vendor:
        return await vendor.post(delivery(url, body), classify)
