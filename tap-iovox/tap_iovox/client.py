"""How iovox is asked.

``GET {api_url}/rest/v1/calls/insights`` with the headers ``username`` and ``secureKey`` (vendor
docs). The answer is a bare JSON array without totals, so a page shorter than its limit is the
last; one longer than all before it is not believed until nothing new came after it: a service
that gives fewer at once than is asked for would look the same.

Pages are counted over a list that moves: a call is listed when it has ended, at the place of its
start. So a page is asked for by its first moment instead: ``order=call_start_ASC``, and
``start_date`` moves on to the last call of the page before. What was listed or taken away
meanwhile shifts nothing, and all calls of a second are asked for again together, whatever their
order. ``page`` counts only where a second, or the hour that comes twice, fills a whole page.
Calls in another order would be passed over: then the window is read anew, by page numbers alone.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_calls.errors import PluginError
from singer_calls.extract import Client, ResponseTooLargeError
from singer_calls.values.clock import asked_from, asked_to, from_utc_text
from tap_iovox import filters
from tap_iovox.records import Reader
from tap_iovox.refusals import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_calls.extract import Record, SchemaDrift, Spill, Window
    from singer_calls.http import BlockingRateLimiter

VENDOR = "iovox"
PATH = "/rest/v1/calls/insights"

# Without a start_date iovox answers the current month only (vendor docs).
SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)

_HEAVY = {"transcription_text", "transcription_phrases"}
_SURE = 50  # pages answered before a size that was too much is tried again
_UNORDERED = (
    f"{VENDOR} does not list calls in the order that it is asked for (order=call_start_ASC)"
)
_FEW = 100  # calls: a service that gives no more at once would be known for it


class PageSize:
    """How many calls are asked for at once; all windows of a run share it.

    Halved down to one when iovox can't answer so many, and grown by a quarter with each page that
    it answers, up to what was too much; that is tried again once many pages went well. A race
    between threads costs at most a page of another size.

    Args:
        most: The setting ``page_size``.
        first: To begin with.
    """

    def __init__(self, most: int, first: int) -> None:
        self._most = self._limit = most
        self._answered = 0
        self.size = max(1, first)
        self.longest = _FEW
        """The longest page that was known to be no cut one."""

    def grow(self) -> None:
        """A page was answered."""
        self._answered += 1
        if self._answered % _SURE == 0:
            self._limit = min(self._most, self._limit * 2)
        self.size = min(self._limit, self.size + max(1, self.size // 4))

    def shrink(self, size: int) -> bool:
        """A page of this size was too much; False if another window has found that already."""
        if size > self.size:
            return False
        self._answered = 0
        self._limit = max(1, min(self._limit, size - 1))
        self.size = max(1, size // 2)
        return True


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
        self._numbered = False
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
        """The moment of the first call of all, None without any."""
        start = asked_from(SINCE_EVER, self._zone)
        moments = [at for call in self._page(start, None, 1, 2) if (at := call["call_start"])]
        if moments[1:] and self._is_passed(moments[1], moments[0]):
            raise PluginError(
                f"{_UNORDERED}, so the first one of all is not found: set start_date."
            )
        return from_utc_text(min(moments)) if moments else None

    def between(self, window: Window) -> Iterator[Record]:
        """The calls of a window, some of them twice, and perhaps some around it.

        Unknown is whether ``end_date`` is inclusive: it makes no difference, since the caller
        drops what is in excess.
        """
        first = start = asked_from(window.start or SINCE_EVER, self._zone)
        end, page, size, before = asked_to(window.end, self._zone), 1, 0, set[str]()
        numbered = self._numbered  # for the whole window: another one may find out meanwhile
        while True:
            if page == 1:  # numbered pages are all of one size
                size = self._pages.size
            try:
                calls = self._page(start, end, page, size)
            except ResponseTooLargeError as error:
                self._ask_for_fewer(size, error.reason)
                page = 1
                continue
            self._pages.grow()
            ids, latest, whole, ordered = set[str](), "", len(calls) >= size, True
            for call in calls:
                ids.add(call["id"])
                at = call["call_start"] or latest
                ordered = ordered and (at >= latest or not self._is_passed(at, latest))
                latest = max(latest, at)
                yield call
            if whole and not ordered and not numbered:
                numbered = self._number_pages()
                start, page, before = first, 1, set()
                continue
            new = not ids <= before
            if whole or not new:
                self._pages.longest = max(self._pages.longest, len(ids if whole else before))
            # Unknown is what a page past the end holds: perhaps the last page again.
            if page > 1 and ids == before:
                return
            if not whole and (not new or len(ids) < self._pages.longest):
                return
            start, page = self._following(start, page, "" if numbered else latest)
            before = ids

    def _following(self, start: datetime, page: int, latest: str) -> tuple[datetime, int]:
        """Where the next page begins: at the latest call of this one, or else by its number."""
        following = asked_from(from_utc_text(latest), self._zone) if latest else start
        return (following, 1) if following > start else (start, page + 1)

    def _ask_for_fewer(self, size: int, reason: str) -> None:
        if self._pages.shrink(size):
            self._log.warning(
                "%s %s; asking for fewer calls at once, %d", VENDOR, reason, self._pages.size
            )

    def _number_pages(self) -> bool:
        """Read by page numbers from now on. Calls that are listed meanwhile come twice, at most."""
        if not self._numbered:
            self._log.warning("%s: reading by page numbers", _UNORDERED)
        self._numbered = True
        return True

    def _is_passed(self, at: str, latest: str) -> bool:
        """Whether a page that begins at the latest call would not have this one."""
        local = from_utc_text(at).astimezone(self._zone).replace(tzinfo=None)
        return local < asked_from(from_utc_text(latest), self._zone)

    def _page(self, start: datetime, end: datetime | None, page: int, size: int) -> Spill:
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
            divisible=size > 1 and end is not None,
        )


def _asked(local: datetime) -> str:
    return local.isoformat(sep=" ", timespec="seconds")
