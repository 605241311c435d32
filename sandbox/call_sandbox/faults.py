"""Faults on request: scripts per call, and rules per vendor, in the words of `words.py`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import Any

from call_sandbox.words import WORDS, Match, Word

Clock = Callable[[], float]
"""Seconds that only ever grow."""


class UnknownFaultError(ValueError):
    """A word that is not in the table, or a rule that is no rule."""


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


RULE_NUMBERS = frozenset(
    {"probability", "times", "after", "per_call", "seconds", "per_second", "burst"}
)


@dataclass(slots=True)
class Rule:
    """A fault for any request of a vendor.

    Attributes:
        fault: What happens.
        probability: How likely, per request.
        times: At most so often; None is without end.
        after: Not for the first so many requests.
        per_call: At most so often for one call.
        seconds: For so long, from the first request that it could fire for.
        per_second: Only for requests beyond so many a second: a token bucket.
        burst: What that bucket holds when full; None is the requests of one second.
        clock: Of the last three.
    """

    fault: Fault
    probability: float = 1.0
    times: int | None = None
    after: int = 0
    per_call: int | None = None
    seconds: float | None = None
    per_second: float | None = None
    burst: float | None = None
    clock: Clock = monotonic
    seen: int = 0
    fired: int = 0
    tries: Counter[str | None] = field(default_factory=Counter)
    hits: Counter[str | None] = field(default_factory=Counter)
    began: float | None = None
    tokens: float | None = None
    filled: float = 0.0

    @classmethod
    def parse(cls, told: object, clock: Clock = monotonic) -> Rule:
        """A rule from JSON: a bare word, or an object of `fault` and any of the attributes.

        Raises:
            UnknownFaultError: The word, a name or a value is none that a rule has.
        """
        rule: Mapping[str, Any] = told if isinstance(told, Mapping) else {"fault": told}
        numbers = {name: value for name, value in rule.items() if name != "fault"}
        for name, value in numbers.items():
            if name not in RULE_NUMBERS or not isinstance(value, int | float | None):
                raise UnknownFaultError(f"unknown in a fault rule: {name}={value!r}")
        return cls(Fault.parse(rule.get("fault")), **numbers, clock=clock)

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
        if self._is_over() or self._has_token():
            return False
        self.fired += 1
        self.hits[key] += 1
        return True

    def _is_over(self) -> bool:
        now = self.clock()
        if self.began is None:
            self.began = now
        return self.seconds is not None and now - self.began >= self.seconds

    def _has_token(self) -> bool:
        """Whether the request is within the rate; takes its token."""
        if self.per_second is None:
            return False
        now, full = self.clock(), self.burst if self.burst is not None else self.per_second
        tokens = full if self.tokens is None else self.tokens
        tokens = min(full, tokens + (now - self.filled) * self.per_second)
        self.filled, self.tokens = now, tokens - (tokens >= 1)
        return tokens >= 1


class Faults:
    """What is to go wrong, and what did.

    Args:
        seed: Equal seeds and equal calls give equal faults, in whatever order the calls come.
        clock: Of the rules that know time.
    """

    def __init__(self, seed: int, clock: Clock = monotonic) -> None:
        self.seed = seed
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        """No faults, and none counted."""
        self.rules: defaultdict[str, list[Rule]] = defaultdict(list)
        self._scripts: dict[tuple[str, str], deque[Fault]] = {}
        self.fired: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def set_rules(self, vendor: str, rules: Iterable[object]) -> None:
        """Replace the rules of a vendor."""
        self.rules[vendor] = [Rule.parse(rule, self.clock) for rule in rules]

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
