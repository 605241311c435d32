"""The fault words: what goes wrong with one request, a row each. README.md shows the same table."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from call_sandbox.exchange import Exchange
from call_sandbox.vendor import Response

HUGE_BYTES = 5_000_000
FIRST_FINAL_STATUS = 200
INJECTED = "Injected by the sandbox"

Match = re.Match[str]
Act = Callable[[Exchange, Match, float], Awaitable[web.StreamResponse]]
"""Answers a request in a faulty way; the number is a seeded one in [0, 1)."""


async def _ok(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    return await exchange.send(exchange.process())


def _refused(exchange: Exchange, match: Match) -> Response:
    """The vendor's own error with the word's status."""
    status = int(match["status"])
    answer = exchange.vendor.refuse(exchange.ask, status, INJECTED)
    answer.status = status
    if 300 <= status < 400:  # noqa: PLR2004
        answer.headers["Location"] = f"{exchange.request.path}/redirected"
    if status in {204, 304}:
        answer.body = b""
    return answer


async def _status(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    answer = _refused(exchange, match)
    if match["header"]:
        answer.headers[match["header"].title()] = match["value"]
    if answer.status < FIRST_FINAL_STATUS:
        return exchange.send_raw(answer)
    return await exchange.send(answer)


async def _refuse(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    return await exchange.send(exchange.vendor.object_to(exchange.ask, match["words"]))


async def _processed(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    exchange.process()
    return await exchange.send(_refused(exchange, match))


async def _cut(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    response = await exchange.send_half(_refused(exchange, match), announced=False)
    exchange.close()
    return response


async def _reset(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    return exchange.reset()


async def _reset_half_body(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    half = (exchange.request.content_length or 0) // 2
    if half and not exchange.request.content.at_eof():
        await exchange.request.content.readexactly(half)
    return exchange.reset()


async def _reset_after_body(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    exchange.process()
    return exchange.reset()


async def _reset_mid_headers(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    exchange.process()
    exchange.write_raw(b"HTTP/1.1 200 OK\r\nContent-Type: applic")
    await asyncio.sleep(0.01)
    return exchange.reset()


async def _reset_half_answer(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    await exchange.send_half(exchange.process(), announced=False)
    await asyncio.sleep(0.01)
    return exchange.reset()


async def _reset_after_answer(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    response = await exchange.send(exchange.process())
    await asyncio.sleep(0.01)
    exchange.reset()
    return response


async def _late(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    answer = exchange.process()
    await asyncio.sleep(float(match["seconds"]))
    return await exchange.send(answer)


async def _slow_drip(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    over, announced = float(match["seconds"]), bool(match["announced"])
    return await exchange.send(exchange.process(), over=over, announced=announced)


async def _latency(exchange: Exchange, match: Match, chance: float) -> web.StreamResponse:
    low = float(match["low"])
    high = float(match["high"] or low)
    await asyncio.sleep((low + chance * (high - low)) / 1000)
    return await exchange.send(exchange.process())


async def _error_in_200(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    answer = exchange.vendor.refuse(exchange.ask, 500, INJECTED)
    answer.status = 200
    return await exchange.send(answer)


async def _cut_json(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    return await exchange.send_half(exchange.process(), announced=True)


async def _close_after(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    response = await exchange.send(exchange.process())
    exchange.close()
    return response


async def _reset_next(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    exchange.reset_next()
    return await exchange.send(exchange.process())


async def _stray(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    response = await exchange.send(exchange.process())
    exchange.write_answer(_foreign(exchange, int(match["status"])), int(match["ms"] or 0) / 1000)
    return response


async def _twice(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    answer = exchange.process()
    answer.body = exchange.whole(answer)
    response = await exchange.send(answer)
    exchange.write_answer(answer, int(match["ms"] or 0) / 1000)
    return response


async def _early(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    exchange.write_answer(_foreign(exchange, int(match["status"])))
    await exchange.read()
    return await exchange.send(exchange.process())


def _foreign(exchange: Exchange, status: int) -> Response:
    """An answer to nobody's request: it looks like the vendor's own."""
    if status < 300:  # noqa: PLR2004
        answer = exchange.vendor.accept(exchange.ask)
    else:
        answer = exchange.vendor.refuse(exchange.ask, status, INJECTED)
    answer.status = status
    return answer


def _instead(body: bytes, content_type: str) -> Act:
    """A 200 with this body; the vendor does nothing."""

    async def act(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
        return await exchange.send(Response(200, body, content_type))

    return act


@dataclass(frozen=True, slots=True)
class Word:
    """One row of the table.

    Attributes:
        form: As written in the README.
        meaning: What happens.
        pattern: What is accepted.
        act: Does it.
        early: Acts before the body is read (from a rule; a script has to read it to know the call).
    """

    form: str
    meaning: str
    pattern: str
    act: Act
    early: bool = False


WORDS = (
    Word("ok", "processed and answered", "ok", _ok),
    Word(
        "<status>",
        "not processed; this status in the vendor's own error form, also one that HTTP doesn't "
        "have (000 to 099, 600 to 999); optionally followed by `retry-after <anything>` or "
        "`x-ratelimit-reset <n>`",
        r"(?P<status>[02-9]\d\d)(?: (?P<header>retry-after|x-ratelimit-reset) (?P<value>.+))?",
        _status,
    ),
    Word(
        "refuse <words>",
        "not processed; the vendor refuses the call in these words of its own: at impact "
        "`Field: why; Field: why` or a sentence (400), at Invoca `Class: why` (403)",
        r"refuse (?P<words>.+)",
        _refuse,
    ),
    Word(
        "processed <status>", "processed, yet answered with this status in the vendor's error form",
        r"processed (?P<status>[2-9]\d\d)", _processed,
    ),
    Word(
        "cut <status>",
        "not processed; this status, and the connection is closed after half the body it announced",
        r"cut (?P<status>[3-9]\d\d)", _cut,
    ),
    Word("reset_before_read", "TCP reset, body unread", "reset_before_read", _reset, early=True),
    Word(
        "reset_half_body", "TCP reset, half the request's body read", "reset_half_body",
        _reset_half_body, early=True,
    ),
    Word("reset_before_processing", "body read, not processed, TCP reset",
         "reset_before_processing", _reset),
    Word("reset_after_body", "processed, then TCP reset", "reset_after_body", _reset_after_body),
    Word("reset_mid_headers", "processed, TCP reset within the answer's headers",
         "reset_mid_headers", _reset_mid_headers),
    Word("reset_half_answer", "processed, TCP reset after half the answer's body",
         "reset_half_answer", _reset_half_answer),
    Word("reset_after_answer", "processed and answered, then TCP reset of the kept connection",
         "reset_after_answer", _reset_after_answer),
    Word(
        "reset_next",
        "processed and answered; the next request on the same connection meets a TCP reset, unread",
        "reset_next", _reset_next,
    ),
    Word("close_after", "processed and answered, then the kept connection is closed",
         "close_after", _close_after),
    Word(
        "stray <status> | stray <status> <ms>",
        "processed and answered; then, at once or so much later, a second answer that belongs to "
        "nobody: below 300 as the vendor accepts, else as it refuses",
        r"stray (?P<status>[2-5]\d\d)(?: (?P<ms>\d+))?", _stray,
    ),
    Word("twice | twice <ms>", "processed; the answer is sent, and sent again so much later",
         r"twice(?: (?P<ms>\d+))?", _twice),
    Word(
        "early <status>",
        "an answer that belongs to nobody, before the request's body is read; then processed and "
        "answered", r"early (?P<status>[2-5]\d\d)", _early, early=True,
    ),
    Word("late <seconds>", "processed at once, answered so much later",
         r"late (?P<seconds>\d+(\.\d+)?)", _late),
    Word("slow_drip <seconds> | slow_drip <seconds> announced",
         "processed, the answer's body drips for so long, its length told or not",
         r"slow_drip (?P<seconds>\d+(\.\d+)?)(?P<announced> announced)?", _slow_drip),
    Word("latency <ms> | latency <min>-<max>", "so many milliseconds, then processed and answered",
         r"latency (?P<low>\d+)(?:-(?P<high>\d+))?", _latency),
    Word("200-with-error", "not processed; the vendor's error form in a 200",
         "200-with-error", _error_in_200),
    Word("cut_json", "processed; a complete HTTP answer with half its body", "cut_json", _cut_json),
    Word("html", "not processed; 200 with a web page", "html",
         _instead(b"<!doctype html><title>Sorry</title><p>We'll be right back.", "text/html")),
    Word("empty", "not processed; 200 with no body", "empty", _instead(b"", "application/json")),
    Word("huge", "not processed; 200 with 5 MB of spaces", "huge",
         _instead(b" " * HUGE_BYTES, "application/json")),
    Word("binary", "not processed; 200 with bytes that are no text", "binary",
         _instead(bytes(range(256)) * 4, "application/octet-stream")),
)  # fmt: skip
