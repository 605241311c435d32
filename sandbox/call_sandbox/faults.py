"""Faults on request: one table of words, scripts per call, and rules per vendor."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from aiohttp import web

from call_sandbox.exchange import Exchange
from call_sandbox.vendor import Answer

HUGE = 5_000_000

Match = re.Match[str]
Act = Callable[[Exchange, Match, float], Awaitable[web.StreamResponse]]
"""Answers a request in a faulty way; the number is a seeded one in [0, 1)."""


class UnknownFaultError(ValueError):
    """A word that is not in the table, or a rule that is no rule."""


async def _ok(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    return await exchange.send(exchange.process())


async def _status(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    status = int(match["status"])
    answer = exchange.vendor.refuse(exchange.ask, status, "Injected by the sandbox")
    answer.status = status
    if match["header"]:
        answer.headers[match["header"].title()] = match["value"]
    if 300 <= status < 400:  # noqa: PLR2004
        answer.headers["Location"] = f"{exchange.request.path}/redirected"
    if status in {204, 304}:
        answer.body = b""
    return await exchange.send(answer)


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


async def _late(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    answer = exchange.process()
    await asyncio.sleep(float(match["seconds"]))
    return await exchange.send(answer)


async def _slow_drip(exchange: Exchange, match: Match, _: float) -> web.StreamResponse:
    return await exchange.send(exchange.process(), over=float(match["seconds"]))


async def _latency(exchange: Exchange, match: Match, chance: float) -> web.StreamResponse:
    low = float(match["low"])
    high = float(match["high"] or low)
    await asyncio.sleep((low + chance * (high - low)) / 1000)
    return await exchange.send(exchange.process())


async def _error_in_200(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    answer = exchange.vendor.refuse(exchange.ask, 500, "Injected by the sandbox")
    answer.status = 200
    return await exchange.send(answer)


async def _cut_json(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    return await exchange.send_half(exchange.process(), announced=True)


async def _close_after(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
    response = await exchange.send(exchange.process())
    if exchange.request.transport:
        exchange.request.transport.close()
    return response


def _instead(body: bytes, content_type: str) -> Act:
    """A 200 with this body; the vendor does nothing."""

    async def act(exchange: Exchange, _: Match, __: float) -> web.StreamResponse:
        return await exchange.send(Answer(200, body, content_type))

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
        "not processed; this status in the vendor's own error form; optionally followed by "
        "`retry-after <anything>` or `x-ratelimit-reset <n>`",
        r"(?P<status>[2-5]\d\d)(?: (?P<header>retry-after|x-ratelimit-reset) (?P<value>.+))?",
        _status,
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
    Word("close_after", "processed and answered, then the kept connection is closed",
         "close_after", _close_after),
    Word("late <seconds>", "processed at once, answered so much later",
         r"late (?P<seconds>\d+(\.\d+)?)", _late),
    Word("slow_drip <seconds>", "processed, the answer's body drips for so long",
         r"slow_drip (?P<seconds>\d+(\.\d+)?)", _slow_drip),
    Word("latency <ms> | latency <min>-<max>", "so many milliseconds, then processed and answered",
         r"latency (?P<low>\d+)(?:-(?P<high>\d+))?", _latency),
    Word("200-with-error", "not processed; the vendor's error form in a 200",
         "200-with-error", _error_in_200),
    Word("cut_json", "processed; a complete HTTP answer with half its body", "cut_json", _cut_json),
    Word("html", "not processed; 200 with a web page", "html",
         _instead(b"<!doctype html><title>Sorry</title><p>We'll be right back.", "text/html")),
    Word("empty", "not processed; 200 with no body", "empty", _instead(b"", "application/json")),
    Word("huge", "not processed; 200 with 5 MB of spaces", "huge",
         _instead(b" " * HUGE, "application/json")),
    Word("binary", "not processed; 200 with bytes that are no text", "binary",
         _instead(bytes(range(256)) * 4, "application/octet-stream")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A word with its arguments read."""

    text: str
    word: Word
    match: Match

    @classmethod
    def parse(cls, text: object) -> Fault:
        """The fault a text stands for.

        Raises:
            UnknownFaultError: No row of the table accepts it.
        """
        if isinstance(text, str):
            for word in WORDS:
                if match := re.fullmatch(word.pattern, text):
                    return cls(text, word, match)
        known = ", ".join(word.form for word in WORDS)
        raise UnknownFaultError(f"unknown fault {text!r}; known are: {known}")


RULE_NUMBERS = frozenset({"probability", "times", "after", "per_call"})


@dataclass(slots=True)
class Rule:
    """A fault for any request of a vendor.

    Attributes:
        fault: What happens.
        probability: How likely, per request.
        times: At most so often; None is without end.
        after: Not for the first so many requests.
        per_call: At most so often for one call.
    """

    fault: Fault
    probability: float = 1.0
    times: int | None = None
    after: int = 0
    per_call: int | None = None
    seen: int = 0
    fired: int = 0
    tries: Counter[str | None] = field(default_factory=Counter)
    hits: Counter[str | None] = field(default_factory=Counter)

    @classmethod
    def parse(cls, told: object) -> Rule:
        """A rule from JSON: a bare word, or an object of `fault` and any of the attributes.

        Raises:
            UnknownFaultError: The word, a name or a value is none that a rule has.
        """
        rule: Mapping[str, Any] = told if isinstance(told, Mapping) else {"fault": told}
        numbers = {name: value for name, value in rule.items() if name != "fault"}
        for name, value in numbers.items():
            if name not in RULE_NUMBERS or not isinstance(value, int | float | None):
                raise UnknownFaultError(f"unknown in a fault rule: {name}={value!r}")
        return cls(Fault.parse(rule.get("fault")), **numbers)

    @property
    def early(self) -> bool:
        """Whether it can act before the call's key is known."""
        return self.fault.word.early and self.per_call is None

    def fires(self, key: str | None, salt: str) -> bool:
        """Whether it fires for this request; the same for the same call, try and seed."""
        self.seen += 1
        self.tries[key] += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        if self.per_call is not None and self.hits[key] >= self.per_call:
            return False
        if chance(salt, key, self.tries[key]) >= self.probability:
            return False
        self.fired += 1
        self.hits[key] += 1
        return True


class Faults:
    """What is to go wrong, and what did.

    Args:
        seed: Equal seeds and equal calls give equal faults, in whatever order the calls come.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        """No faults, and none counted."""
        self.rules: defaultdict[str, list[Rule]] = defaultdict(list)
        self._scripts: dict[tuple[str, str], deque[Fault]] = {}
        self.fired: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def set_rules(self, vendor: str, rules: Iterable[object]) -> None:
        """Replace the rules of a vendor."""
        self.rules[vendor] = [Rule.parse(rule) for rule in rules]

    def set_script(self, vendor: str, calls: Mapping[str, Iterable[str]]) -> None:
        """Prescribe the answers of calls: each try takes the next, after the last all is normal."""
        self._scripts |= {
            (vendor, key): deque(map(Fault.parse, words)) for key, words in calls.items()
        }

    def draw(self, vendor: str, key: str | None = None, *, early: bool) -> Fault | None:
        """The fault for a request, before (`early`) or after its body is read."""
        fault = None
        if not early and key is not None and (script := self._scripts.get((vendor, key))):
            fault = script.popleft()
        for place, rule in enumerate(self.rules[vendor]):
            if fault is None and rule.early == early:
                fault = rule.fault if rule.fires(key, f"{self.seed}/{vendor}/{place}") else None
        if fault:
            self.fired[vendor][fault.text] += 1
        return fault


def chance(*words: object) -> float:
    """A number in [0, 1) that the words determine."""
    digest = blake2b(repr(words).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56
