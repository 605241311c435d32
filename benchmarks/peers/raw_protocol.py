# /// script
# requires-python = ">=3.11"
# dependencies = ["httptools==0.7.1"]
# ///
"""asyncio's sockets and an HTTP parser: the limit of what Python can send."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import httptools
from calls import authorization, forms, settings


class Connection(asyncio.Protocol):
    """Sends calls one after the other on one connection."""

    def __init__(self, head: bytes, left, done: asyncio.Future[None]) -> None:  # noqa: ANN001
        self._head = head
        self._left = left
        self._done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The next one."""
        if self._parser.get_status_code() != 200:
            raise SystemExit("refused")
        self._send()

    def _send(self) -> None:
        body = next(self._left, None)
        if body is None:
            self._transport.close()
            self._done.set_result(None)
            return
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body))


async def main() -> None:
    """Send all calls, so many at a time."""
    config = settings()
    url = urlsplit(config["url"])
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Authorization: {authorization(config)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    ).encode()
    left = forms()
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(config["in_flight"])]
    for end in ends:
        await loop.create_connection(
            lambda end=end: Connection(head, left, end), url.hostname, url.port
        )
    await asyncio.gather(*ends)


if __name__ == "__main__":
    asyncio.run(main())
