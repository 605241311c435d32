"""What a vendor module has to be: a name, a prefix, its paths, its books, its page.

A vendor never sees a socket: it gets a `Request` and returns a `Response`. Journal, faults, resets
and delays lie around it (`exchange.py`, `faults.py`), the same for all.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from call_sandbox.calls import Call, Calls


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read whole.

    Attributes:
        method: Upper case.
        path: With the vendor's prefix, without the query.
        headers: Names compare without case.
        query: Pairs as sent; a name may occur twice.
        form: Pairs of a form body; empty when the body is none.
        json: The decoded JSON body; None when the body is none, `BadJson` when it is broken.
        match: The placeholders of the path, e.g. `{version}`.
        body: The bytes as they came.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    query: list[tuple[str, str]]
    form: list[tuple[str, str]] = field(default_factory=list)
    json: Any = None
    match: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


class BadJson:
    """Stands for a JSON body that is none."""


@dataclass(slots=True)
class Response:
    """What goes back. `processed` says that the vendor's books changed."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    processed: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """One unknown of the vendor's documents: the default and the other readings.

    Without `choices` the value is a whole number.
    """

    meaning: str
    default: str | int
    choices: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Whether `value` is one of the choices, or a whole number from 0 on."""
        if self.choices:
            return value in self.choices
        return type(value) is int and value >= 0


@dataclass(slots=True)
class World:
    """What all vendors share.

    Attributes:
        seed: Equal seeds give equal calls.
        calls: The calls.
        now: The sandbox's own time, epoch seconds.
        ingested: Of Invoca: id of each call ingested -> when, and the whole request.
        to_fetch: Of Invoca: since when, id and address of recordings on this machine, oldest first.
        changed: Set when there is more to fetch, or time has passed.
    """

    seed: int
    calls: Calls
    now: float
    ingested: dict[str, tuple[float, Mapping[str, Any]]] = field(default_factory=dict)
    to_fetch: deque[tuple[float, str, str]] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def started(self) -> int:
        """How many calls exist now."""
        return self.calls.existing(self.now)

    def newest(self, count: int) -> Iterator[Call]:
        """Up to `count` calls that exist now, the newest first."""
        last = self.started()
        return (self.calls.call(n) for n in range(last - 1, max(last - count, 0) - 1, -1))


@dataclass(frozen=True, slots=True)
class PageCall:
    """One call as the page shows it; `caller` is masked."""

    key: str
    when: str
    caller: str
    status: str
    seconds: int | None
    times: int | None = None


SHORT_DIGITS = 8
"""A number of so many characters is masked whole."""

Handler = Callable[[Request], Response]


class Vendor(ABC):
    """Base of all vendors.

    Attributes:
        name: As in the journal, in faults and scripts.
        title: For people.
        prefix: First part of every path; two vendors may share one.
        serves: True when calls are read from it, False when calls are delivered to it.
        switches: The unknowns of its documents.
        secret_fields: Query and body fields that the journal must never show.
        books: Call key -> how often it was processed.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    prefix: ClassVar[str]
    serves: ClassVar[bool]
    switches: ClassVar[Mapping[str, Switch]] = {}
    secret_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, world: World) -> None:
        self.world = world
        self.switch: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything but the switches that were set."""
        self.books: Counter[str] = Counter()
        for word, switch in self.switches.items():
            self.switch.setdefault(word, switch.default)

    @abstractmethod
    def paths(self) -> Mapping[str, Handler]:
        """Path below the prefix (placeholders as `{name}`) -> who answers it, for any method."""

    @abstractmethod
    def refuse(self, request: Request, status: int, message: str) -> Response:
        """The vendor's own error answer with this status; 200 included."""

    def accept(self, request: Request) -> Response:
        """The vendor's own answer to a call that it took; nothing is booked."""
        del request
        return Response(200, b"[]")

    def object_to(self, request: Request, words: str) -> Response:
        """The vendor's refusal of one call, for a reason in its own words."""
        return self.refuse(request, 400, words)

    def key(self, request: Request) -> str | None:
        """The key of the call that a request delivers; None when it delivers none."""
        del request
        return None

    def newest(self, count: int) -> list[PageCall]:
        """Up to `count` calls that the vendor served or received, newest first, for the page."""
        del count
        return []

    def statuses(self) -> Mapping[str, int]:
        """Counts by the vendor's own status words, for the page."""
        return Counter(call.status for call in self.newest(1000))

    def total(self) -> int:
        """How many calls the vendor has (serves) or received (each key once)."""
        return self.world.started() if self.serves else len(self.books)


def mask(number: str) -> str:
    """A phone number for the page: its first three and last two characters."""
    shown = (number[:3], "•••", number[-2:]) if len(number) > SHORT_DIGITS else ("•••",)
    return "\N{NO-BREAK SPACE}".join(shown) if number else "withheld"
