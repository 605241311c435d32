"""One request under way: reading it, letting the vendor process it, and answering (or not)."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from weakref import WeakSet

from aiohttp import web

from call_sandbox.journal import HIDDEN, readable
from call_sandbox.vendor import BadJson, Handler, Request, Response, Vendor

if TYPE_CHECKING:
    from collections.abc import Iterator

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a TCP reset."""

_DOOMED: WeakSet[object] = WeakSet()
"""Connections whose next request is not read."""

DRIP_PARTS = 20
"""Parts of an answer that drips."""


class Exchange:
    """What a fault can do with a request.

    Args:
        request: As aiohttp received it, body unread.
        vendor: Whose path it is.
        handler: Who answers it.
        entry: Its journal entry.
    """

    def __init__(
        self, request: web.Request, vendor: Vendor, handler: Handler, entry: dict[str, Any]
    ) -> None:
        self.request = request
        self.vendor = vendor
        self.entry = entry
        self._handler = handler
        self.ask = Request(
            request.method,
            request.path,
            request.headers,
            list(request.query.items()),
            match=dict(request.match_info),
        )
        entry["query"] = readable(self.ask.query, vendor.secret_fields)

    async def read(self) -> None:
        """Read the body and decode it by its content type; once is enough."""
        body = await self.request.read()
        kind = self.request.content_type if body else ""
        form: list[tuple[str, str]] = []
        decoded: Any = None
        if kind == "application/x-www-form-urlencoded":
            form = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        elif kind.endswith("json"):
            try:
                decoded = json.loads(body)
            except ValueError:
                decoded = BadJson()
        self.ask = replace(self.ask, form=form, json=decoded, body=body)
        secret = self.vendor.secret_fields
        self.entry |= {
            "form": readable(form, secret) if form else None,
            "json": _hidden(decoded, secret),
            "bytes_in": len(body),
            "key": self.vendor.key(self.ask),
        }

    def process(self) -> Response:
        """Let the vendor do its work; what it books is booked from here on."""
        answer = self._handler(self.ask)
        self.entry["processed"] = answer.processed
        return answer

    async def send(
        self, answer: Response, *, over: float = 0, announced: bool = False
    ) -> web.StreamResponse:
        """Send an answer whole, its body spread over so many seconds, its length told or not."""
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type = answer.content_type
        self.entry["status"] = answer.status
        parts = [answer.body] if isinstance(answer.body, bytes) else answer.body
        if over:
            parts = _drips(b"".join(parts))
        if announced or (not over and isinstance(answer.body, bytes)):
            parts = [*parts]
            response.content_length = sum(map(len, parts))
        await response.prepare(self.request)
        for part in parts:
            # Also without a pause: other requests get their turn between two parts.
            await asyncio.sleep(over / DRIP_PARTS)
            self.entry["bytes_out"] += len(part)
            await response.write(part)
        await response.write_eof()
        return response

    async def send_half(self, answer: Response, *, announced: bool) -> web.StreamResponse:
        """Send the first half of a body.

        Args:
            answer: The whole answer.
            announced: True: the half is all there is to come, a complete HTTP answer. False: the
                headers promise more.
        """
        half = _first_half(answer.body)
        answer.body = half
        if announced:
            return await self.send(answer)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type = answer.content_type
        response.content_length = 2 * len(half) + 1
        self.entry["status"] = answer.status
        await response.prepare(self.request)
        self.entry["bytes_out"] += len(half)
        await response.write(half)
        return response

    def write_raw(self, data: bytes) -> None:
        """Put bytes on the wire as they are."""
        if (transport := self.request.transport) and not transport.is_closing():
            transport.write(data)

    @staticmethod
    def whole(answer: Response) -> bytes:
        """The body as one text, also of an answer that is made while it is sent."""
        return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)

    def write_answer(self, answer: Response, after: float = 0) -> None:
        """Put a whole answer on the wire that no request asked for, so many seconds from now."""
        body = self.whole(answer)
        headers = {"Content-Type": answer.content_type, "Content-Length": len(body)}
        lines = "".join(f"{k}: {v}\r\n" for k, v in (headers | answer.headers).items())
        head = f"HTTP/1.1 {answer.status:03} Answer\r\n{lines}\r\n"
        if after:
            asyncio.get_running_loop().call_later(after, self.write_raw, head.encode() + body)
        else:
            self.write_raw(head.encode() + body)

    def send_raw(self, answer: Response) -> web.StreamResponse:
        """Send an answer with a status that no server library writes, and close."""
        self.entry["status"] = answer.status
        self.write_answer(answer)
        self.close()
        return web.Response()

    def close(self) -> None:
        """Close the connection when all that was sent has left."""
        if self.request.transport:
            self.request.transport.close()

    def reset_next(self) -> None:
        """Let the next request on this connection meet a reset."""
        if self.request.transport:
            _DOOMED.add(self.request.transport)

    @property
    def doomed(self) -> bool:
        """Whether an earlier request asked for that."""
        return self.request.transport in _DOOMED

    def reset(self) -> web.StreamResponse:
        """Cut the connection with a TCP reset."""
        if transport := self.request.transport:
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESET
            )
            transport.abort()
        return web.Response()


def _hidden(decoded: Any, secret: frozenset[str]) -> Any:  # noqa: ANN401
    if isinstance(decoded, BadJson):
        return "not JSON"
    if isinstance(decoded, dict) and secret:
        return {k: HIDDEN if k in secret else _hidden(v, secret) for k, v in decoded.items()}
    return decoded


def _first_half(body: bytes | Iterator[bytes]) -> bytes:
    """The first half; of a stream its beginning, cut within a row."""
    if isinstance(body, bytes):
        return body[: len(body) // 2]
    beginning = b"".join(islice(body, 2))
    return beginning[: len(beginning) // 2 + 1]


def _drips(body: bytes) -> list[bytes]:
    """The body in equal parts, some of them empty when it is short."""
    return [
        body[n * len(body) // DRIP_PARTS : (n + 1) * len(body) // DRIP_PARTS]
        for n in range(DRIP_PARTS)
    ]
