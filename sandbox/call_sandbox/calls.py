"""The one truth behind all vendors: calls that are computed, not stored.

Call `n` follows from `(seed, n)` alone, so a million calls cost no memory and any of them can be
asked for in any order. Times are UTC epoch seconds; each vendor renders them in its own words.

Numbers: the United Kingdom reserves ranges for drama (Ofcom: 07700 900xxx, 020 7946 0xxx), these
are used. Romania reserves none: its numbers here are 07xx 000 xxx, 021 200 0xxx and 031 200 0xxx.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import accumulate
from math import ceil
from typing import NamedTuple
from zoneinfo import ZoneInfo

DEFAULT_NOW = int(datetime(2025, 11, 3, 10, tzinfo=UTC).timestamp())
"""Fixed, so that equal seeds give equal bytes; 60 days before it contain a repeated hour."""

DAY_SECONDS = 86400
HOUR_SECONDS = 3600
RINGING_SECONDS = 120
"""The last seconds before the start of the sandbox hold calls that are still `Calling`."""

HOME = ZoneInfo("Europe/Bucharest")
"""Its repeated hour gets calls of its own."""

KEYPAD = ("+266696687", "+7378742833")
"""ANONYMOUS and RESTRICTED typed on a keypad: some networks show them for a withheld number."""

BURST_CALLS = 40
"""Every 40th call is followed by two more in the same second."""


class Business(NamedTuple):
    """Who is called: one account ("website profile") at the vendor."""

    name: str
    country: str
    site: str
    line: str
    tracking: str
    keywords: tuple[str, ...]


class Channel(NamedTuple):
    """How the caller found the business; each has a tracking number of its own."""

    name: str
    weight: int
    source: str | None = None
    medium: str | None = None
    referrer: str | None = None
    click_id: str | None = None


BUSINESSES = (
    Business(
        "clinica.example", "RO", "https://clinica.example", "+40212000101", "+4031200001",
        ("clinică dentară bucurești", "implant dentar preț", "stomatolog non stop"),
    ),
    Business(
        "auto.example", "RO", "https://auto.example", "+40212000102", "+4031200002",
        ("service auto ilfov", "test drive suv", "leasing auto persoane fizice"),
    ),
    Business(
        "imobiliare.example", "RO", "https://imobiliare.example", "+40212000103", "+4031200003",
        ("apartamente noi cluj", "garsonieră de închiriat", "credit ipotecar"),
    ),
    Business(
        "homes.example", "GB", "https://homes.example", "+442079460104", "+442079460",
        ("new homes london", "shared ownership flats", "estate agent near me"),
    ),
)  # fmt: skip

CHANNELS = (
    Channel("paid search", 34, "google", "cpc", "https://www.google.com/", "gclid"),
    Channel("organic search", 20, "google", "organic", "https://www.google.com/"),
    Channel("social", 10, "facebook", "paid_social", "https://m.facebook.com/", "fbclid"),
    Channel("social", 6, "tiktok", "paid_social", "https://www.tiktok.com/", "ttclid"),
    Channel("newsletter", 6, "newsletter", "email"),
    Channel("referral", 8, "partner.example", "referral", "https://partner.example/review"),
    Channel("direct", 8),
    Channel("outdoor", 4),
    Channel("print", 4),
)
OFFLINE = frozenset({"outdoor", "print"})

OUTCOMES = (
    ("answered", 62), ("no_answer", 14), ("voicemail", 8),
    ("busy", 7), ("rejected", 5), ("unallocated", 4),
)  # fmt: skip
"""The neutral words for how a call ended, with their share in percent."""

SENTIMENTS = ("positive", "neutral", "negative")
DEVICES = ("mobile", "mobile", "mobile", "computer", "tablet")
TALK_SECONDS = (6, 14, 25, 40, 62, 95, 130, 190, 260, 420, 780, 1500)
TOPICS = {
    "RO": (
        ("Programare", "Clientul a cerut o programare pentru săptămâna viitoare."),
        ("Ofertă", "Clientul a întrebat de preț și așteaptă oferta pe e-mail."),
        ("Reclamație", "Clientul e nemulțumit că nu a fost sunat înapoi."),
        ("Informații", "Clientul a întrebat despre program și adresă."),
    ),
    "GB": (
        ("Viewing", "The caller asked to view a flat on Saturday."),
        ("Price", "The caller asked for the price and the monthly cost."),
        ("Complaint", "The caller was unhappy that nobody had called back."),
        ("Opening hours", 'The caller asked for "the usual" opening hours, and parking.'),
    ),
}


class Call(NamedTuple):
    """One call, as it happened. Seconds are integers; numbers are E.164, "" when withheld.

    `caller` may also be a word in digits (`KEYPAD`).
    """

    number: int
    start: int
    ring: int
    talk: int
    outcome: str
    caller: str
    tracking: str
    destination: str
    business: Business
    channel: Channel
    keyword: str | None
    device: str | None
    recorded: bool
    click: str | None
    reason: str | None
    summary: str | None
    client_sentiment: str | None
    operator_sentiment: str | None
    final_at: int
    insight_at: int
    dice: tuple[int, ...]
    """Sixteen even 32-bit numbers of this call, for what only one vendor shows."""

    @property
    def end(self) -> int:
        """When the line was free again, epoch seconds."""
        return self.start + self.ring + self.talk


class Calls:
    """All calls of one seed, ordered by start.

    Args:
        seed: Equal seeds give equal calls.
        count: How many calls started before `now`; more follow at the same rate after it.
        now: Epoch seconds at which the sandbox starts.
        days: The span before `now` in which the calls lie.
    """

    def __init__(
        self, seed: int = 1, count: int = 1000, now: int = DEFAULT_NOW, days: int = 60
    ) -> None:
        self.count = count
        self._key = seed.to_bytes(8, "big", signed=True)
        self._spread = seed * 0x85EBCA77
        self._edges, self._mass = _past(count, now, days)
        self._rate = self._mass[-1] / max(count, 1)

    def existing(self, now: float) -> int:
        """How many calls have started at `now`: these are numbers 0 to n-1."""
        return self.first_after(now)

    def first_after(self, moment: float) -> int:
        """The number of the first call that starts later than `moment`."""
        if not self.count:
            return 0
        self._extend(moment)
        edge = bisect_right(self._edges, moment)
        highest = ceil(self._mass[min(edge, len(self._mass) - 1)] / self._rate) + BURST_CALLS
        return bisect_right(range(highest), moment, key=self.start)

    def start(self, number: int) -> int:
        """When call `number` starts, epoch seconds; never earlier than the call before it."""
        first = number - number % BURST_CALLS + BURST_CALLS // 2
        if first < number <= first + 2 and not first < self.count <= number:
            number = first
        jitter = ((number * 0x9E3779B1 + self._spread) & 0xFFFFFFFF) / 0x1_0000_0000
        mass = (number + jitter) * self._rate
        while mass >= self._mass[-1]:
            self._extend(self._edges[-1] + 7 * DAY_SECONDS)
        slot = bisect_right(self._mass, mass)
        low, high = self._mass[slot - 1], self._mass[slot]
        begin, end = self._edges[slot - 1], self._edges[slot]
        return begin + int((mass - low) / (high - low) * (end - begin))

    def _extend(self, moment: float) -> None:
        """Add the hours up to `moment` to the table of hours."""
        while self._edges[-1] <= moment:
            self._mass.append(self._mass[-1] + _weight(self._edges[-1]))
            self._edges.append(self._edges[-1] + HOUR_SECONDS)

    def call(self, number: int) -> Call:
        """Call `number`, computed."""
        digest = blake2b(number.to_bytes(8, "big"), digest_size=64, key=self._key).digest()
        dice = struct.unpack("<16I", digest)
        start = self.start(number)
        business = BUSINESSES[dice[0] % len(BUSINESSES)]
        place = _CHANNEL_WHEEL[dice[1] % len(_CHANNEL_WHEEL)]
        channel = CHANNELS[place]
        outcome = _OUTCOME_WHEEL[dice[2] % len(_OUTCOME_WHEEL)]
        ring, talk = _seconds(outcome, dice[3])
        online = channel.name not in OFFLINE
        heard = outcome == "answered" and talk > 20 and dice[4] % 8 > 0  # noqa: PLR2004
        topic = TOPICS[business.country][dice[5] % 4] if heard else (None, None)
        final_at = start + ring + talk + RINGING_SECONDS + dice[6] % 360
        return Call(
            number, start, ring, talk, outcome,
            caller=_caller(business.country, dice[7], dice[8]),
            tracking=f"{business.tracking}{place}{'00' if business.country == 'GB' else ''}",
            destination=business.line,
            business=business,
            channel=channel,
            keyword=business.keywords[dice[9] % 3] if channel.medium == "cpc" else None,
            device=DEVICES[dice[10] % len(DEVICES)] if online else None,
            recorded=talk > 0 and dice[4] % 16 > 1,
            click=_click(channel, dice),
            reason=topic[0],
            summary=topic[1],
            client_sentiment=SENTIMENTS[dice[11] % 3] if heard else None,
            operator_sentiment=SENTIMENTS[dice[11] % 5 % 2] if heard else None,
            final_at=final_at,
            insight_at=final_at + 1200 + dice[12] % (40 * HOUR_SECONDS),
            dice=dice,
        )  # fmt: skip


_CHANNEL_WHEEL = tuple(n for n, channel in enumerate(CHANNELS) for _ in range(channel.weight))
_OUTCOME_WHEEL = tuple(word for word, weight in OUTCOMES for _ in range(weight))


def _weight(moment: int) -> float:
    """How many calls an hour has, against a night hour: people call in the day, on weekdays."""
    day, second = divmod(moment + 2 * HOUR_SECONDS, DAY_SECONDS)
    busy = 10 if 8 <= second // HOUR_SECONDS < 19 else 1  # noqa: PLR2004
    return busy * (0.4 if (day + 3) % 7 > 4 else 1.0)  # noqa: PLR2004


def _repeated(moment: int) -> bool:
    """Whether this UTC hour shows the same local time as a neighbour (clocks set back)."""
    before, here, after = (
        datetime.fromtimestamp(moment + shift, HOME).utcoffset()
        for shift in (-HOUR_SECONDS, 0, HOUR_SECONDS)
    )
    return after < here or here < before  # type: ignore[operator]


def _past(count: int, now: int, days: int) -> tuple[list[int], list[float]]:
    """The hours before `now`, and how many calls (in weights) lie before each of them."""
    quiet = now - RINGING_SECONDS
    begin = now - days * DAY_SECONDS
    edges = [*range(begin - begin % HOUR_SECONDS, quiet, HOUR_SECONDS), quiet, now]
    weights = [_weight(edge) for edge in edges[:-2]]
    total = sum(weights)
    share = total / max(count, 1)
    twice = [n for n, edge in enumerate(edges[:-2]) if _repeated(edge)]
    for n in twice:
        weights[n] += share * min(250, ceil(count * 0.02))
    weights.append(share * min(8, ceil(count * 0.03)))
    return edges, list(accumulate(weights, initial=0.0))


def _seconds(outcome: str, die: int) -> tuple[int, int]:
    """Ring and talk seconds that fit the outcome."""
    if outcome == "answered":
        base = TALK_SECONDS[die % len(TALK_SECONDS)]
        return 2 + die % 23, base + die // 100 % base
    if outcome == "voicemail":
        return 25, 3 + die % 50
    return (20 + die % 35 if outcome == "no_answer" else die % 5), 0


def _click(channel: Channel, dice: tuple[int, ...]) -> str | None:
    """The click id of a partner's link, which most of the callers from there bring along."""
    if channel.medium != "referral" or dice[12] % 6 == 0:
        return None
    return f"Q{dice[10]:08X}{dice[11]:08x}-{dice[12] % 100:02}"


def _caller(country: str, die: int, other: int) -> str:
    """Mostly from the business's country; one in thirty hides the number, one in 150 in digits."""
    if die % 30 == 0:
        return ""
    if die % 150 == 1:
        return KEYPAD[other % len(KEYPAD)]
    if (country == "GB") == (die % 10 > 0):
        return f"+447700900{other % 1000:03}"
    return f"+407{20 + other % 50}000{other // 50 % 1000:03}"
