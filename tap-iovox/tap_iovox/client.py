"""How iovox is asked.

``GET {api_url}/rest/v1/calls/insights`` with the headers ``username`` and ``secureKey`` (vendor
docs). The answer is a bare JSON array without totals, so a page shorter than its limit is the
last; one longer than all before it is not believed until nothing new came after it: a service
that gives fewer at once than is asked for would look the same.

Pages are counted over a list that moves: a call is listed when it has ended, at the place of its
start. So a page is asked for by its first moment instead: ``order=call_start_ASC``, and
``start_date`` moves on to the last call of the page before. What was listed or taken away
meanwhile shifts nothing, and all calls of a second are asked for again together, whatever their
order. ``page`` counts only where a second, or the hour that comes twice, fills a whole page, and
until two moments have shown the order. Calls in another order would be passed over: then the
window is read anew, by page numbers alone.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_calls.errors import PluginError
from singer_calls.extract import Client, ResponseTooLargeError
from singer_calls.values.clock import asked_from, asked_to, comes_twice, from_utc_text
from tap_iovox import filters
from tap_iovox.pages import PageSize, Place
from tap_iovox.records import Reader
from tap_iovox.refusals import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_calls.extract import Record, SchemaDrift, Spill, Window
    from singer_calls.http import BlockingRateLimiter
    from tap_iovox.pages import Page

VENDOR = "iovox"
PATH = "/rest/v1/calls/insights"

# Without a start_date iovox answers the current month only (vendor docs).
SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)

_HEAVY = {"transcription_text", "transcription_phrases"}
_UNORDERED = (
    f"{VENDOR} does not list calls in the order that it is asked for (order=call_start_ASC)"
)
_UNPAGED = (
    f"{VENDOR} answers with the same calls whatever page is asked for: those behind them can't be "
    "read. Set page_size above the number of calls of a second."
)
_UNSTABLE = (
    f"{VENDOR} lists calls in another order from page to page: some would be passed over. Set "
    "window_days so low, and page_size so high, that all calls of a window are one page."
)
_FEWEST = 3  # calls of a page: with one fewer, its second page tells it from a last page, repeated


class Iovox:
    """The calls of one iovox account.

    Args:
        config: The tap's settings.
        user_agent: Sent with each request.
        drift: Counts what iovox sends and no schema expects.
        response_fields: Documented names of the fields to ask for.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        user_agent: str,
        drift: SchemaDrift,
        response_fields: Iterable[str],
    ) -> None:
        fields = list(response_fields)
        self._url = config["api_url"].rstrip("/") + PATH
        self._zone = ZoneInfo(config["timezone"])
        self._params = {
            **filters.query(config.get("filters") or {}),
            "order": "call_start_ASC",
            "response_fields": ",".join(fields),
        }
        self._log = logging.getLogger(__name__)
        self._drift = drift
        most = config["page_size"]
        # The published calls have 5 kB with their transcriptions, 0.7 kB without.
        self._pages = PageSize(most, most // 8 if _HEAVY & {*fields} else most)
        self._numbered, self._finding_out = False, threading.Lock()
        self._client = Client.from_config(
            config,
            VENDOR,
            credential="secure_key",
            headers={
                "username": config["username"],
                "secureKey": config["secure_key"],
                "User-Agent": user_agent,
            },
            refusal=sentence,
        )

    @property
    def limiter(self) -> BlockingRateLimiter:
        """The rate limit of this account, for all of iovox's APIs."""
        return self._client.limiter

    def oldest(self) -> datetime | None:
        """The moment of the first call of all, None without any.

        Raises:
            PluginError: It is not found, since calls come in another order.
        """
        start = asked_from(SINCE_EVER, self._zone)
        calls = self._page(start, None, 1, 2)
        moments = [at for call in calls if (at := call["call_start"])]
        if not calls.received:
            return None
        if not moments:
            raise PluginError(
                f"{VENDOR} lists calls without a call_start that can be read, so the first one of "
                "all is not found: set start_date."
            )
        first, last = moments[0], moments[-1]
        # Two moments show the order; of one there may be earlier ones.
        if self._is_before(last, first) or (last == first and self._has_earlier(start, first)):
            raise PluginError(
                f"{_UNORDERED}, so the first one of all is not found: set start_date."
            )
        return from_utc_text(min(moments))

    def between(self, window: Window) -> Iterator[Record]:
        """The calls of a window, some of them twice, and perhaps some around it.

        Unknown is whether ``end_date`` is inclusive: it makes no difference, since the caller
        drops what is in excess.

        Raises:
            PluginError: There are calls behind the first pages that can't be read.
        """
        first = asked_from(window.start or SINCE_EVER, self._zone)
        end, place = asked_to(window.end, self._zone), Place(first, first)
        numbered = self._numbered  # for the whole window: another one may find out meanwhile
        while True:
            if place.number == 1:
                place.again(self._pages.size)
            try:
                calls = self._page(place.start, end, place.number, place.size)
            except ResponseTooLargeError as error:
                self._ask_for_fewer(place.size, error.reason)
                place.number = 1
                continue
            self._pages.grow()
            page = place.page(calls.received)
            for call in calls:
                page.add(call["id"], call["call_start"], self._is_before)
                yield call
            more = page.received >= min(place.size, self._pages.longest)
            if not numbered and (more or place.moved) and not self._follows(page, place):
                numbered, place = self._number_pages(), Place(first, first)
            elif self._is_last(page, place, end):
                return
            else:
                self._go_on(page, place, numbered=numbered)

    def _is_last(self, page: Page, place: Place, end: datetime) -> bool:
        """Whether nothing comes after this page.

        Raises:
            PluginError: It does not belong to the page before.
        """
        whole, ids = page.received >= place.size, {*page.ids}
        new = not ids <= {*place.before.ids}
        if whole or not new:
            longest = page.received if whole else place.before.received
            self._pages.longest = max(self._pages.longest, longest)
        # Unknown is what a page past the end holds: perhaps the last page again, whenever it is
        # asked for. A call that was listed meanwhile may shift one page onto another.
        if place.repeats(page):
            if place.repeated and place.seen == ids and not self._is_paged(page, place, end):
                raise PluginError(_UNPAGED)
            return place.repeated
        if not page.is_shifted(place.before, place.seen):
            raise PluginError(_UNSTABLE)
        return not whole and (not new or page.received < self._pages.longest)

    def _go_on(self, page: Page, place: Place, *, numbered: bool) -> None:
        """To the latest call of this page, or else to the next number."""
        place.take(page)
        following = place.start
        # Two moments show the order: the newest calls of another order may all be of one.
        if not numbered and page.latest > place.earliest:
            following = asked_from(from_utc_text(page.latest), self._zone)
        place.number = 1 if following > place.start else place.number + 1
        place.start = max(following, place.start)

    def _follows(self, page: Page, place: Place) -> bool:
        """Whether a page is in order, and nothing was passed over before it."""
        # From a call on, it begins with that call, unless that was taken off the list meanwhile.
        last = place.before.latest if place.moved and place.number == 1 else ""
        gap = bool(last) and self._is_before(last, page.soonest)
        return page.ordered and not (gap and self._has_earlier(place.start, page.soonest))

    def _has_earlier(self, start: datetime, moment: str) -> bool:
        """Whether there are calls since the start that are earlier than this one."""
        end = asked_from(from_utc_text(moment), self._zone) - timedelta(seconds=1)
        if end < start:  # near a change of the clocks
            return False
        found = [at for call in self._page(start, end, 1, 1) if (at := call["call_start"])]
        return any(self._is_before(at, moment) for at in found)

    def _is_paged(self, page: Page, place: Place, end: datetime) -> bool:
        """Whether two equal pages are the last one, repeated, and not all that can be read."""
        count, fewer = page.received, page.received >= _FEWEST
        number, size = (2, count - 1) if fewer else (1, _FEWEST)
        found = self._page(place.start, end, number, size, divisible=False)
        return found.received <= (1 if fewer else count)

    def _ask_for_fewer(self, size: int, reason: str) -> None:
        if self._pages.shrink(size):
            self._log.warning(
                "%s %s; asking for fewer calls at once, %d", VENDOR, reason, self._pages.size
            )

    def _number_pages(self) -> bool:
        """Read by page numbers from now on. Calls that are listed meanwhile come twice, at most."""
        with self._finding_out:  # windows are read side by side
            known, self._numbered = self._numbered, True
        if not known:
            self._log.warning("%s: reading by page numbers", _UNORDERED)
        return True

    def _is_before(self, at: str, latest: str) -> bool:
        """Whether a call is to be listed before another one, whatever the vendor sorts by.

        By local time or by the moment: in the hour that comes twice these are two orders.
        """
        both = map(from_utc_text, (at, latest))
        return at < latest and not all(comes_twice(moment, self._zone) for moment in both)

    def _page(
        self, start: datetime, end: datetime | None, page: int, size: int, *, divisible: bool = True
    ) -> Spill:
        return self._client.array(
            self._url,
            {
                **self._params,
                "start_date": _asked(start),
                "end_date": end and _asked(end),
                "limit": size,
                "page": page,
            },
            convert=lambda drift: Reader(self._zone, drift),
            drift=self._drift,
            where=f"from {_asked(start)}, page {page} of {size} calls",
            divisible=divisible and size > 1 and end is not None,
        )


def _asked(local: datetime) -> str:
    return local.isoformat(sep=" ", timespec="seconds")
