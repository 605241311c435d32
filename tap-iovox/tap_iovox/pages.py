"""What pages show of the list behind them, and how many calls are asked for at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_SURE = 50  # pages answered before a size that was too much is tried again
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


class Page:
    """What a page has shown.

    Args:
        received: How many elements it has; one that is no call is none of ``ids``.
        latest: The latest moment of the pages before it from the same start.

    Attributes:
        ids: Of its calls, as they came.
        moments: Their starts.
        soonest: The earliest of them, "" without any.
        latest: The latest moment up to its end.
        ordered: Whether no call came after one that it was to come before.
    """

    def __init__(self, received: int = 0, latest: str = "") -> None:
        self.received = received
        self.ids: list[str] = []
        self.moments: list[str] = []
        self.soonest = ""
        self.latest = latest
        self.ordered = True

    def add(self, key: str, moment: str | None, is_before: Callable[[str, str], bool]) -> None:
        """Take a call in."""
        at = moment or self.latest
        self.ids.append(key)
        self.moments.append(at)
        self.soonest = min(self.soonest or at, at)
        self.ordered = self.ordered and (at >= self.latest or not is_before(at, self.latest))
        self.latest = max(self.latest, at)

    def repeats(self, before: Page) -> bool:
        """Whether it is that page again; the order of calls of one moment is not kept by all."""
        return {*self.ids} == {*before.ids} and self.moments == before.moments

    def is_shifted(self, before: Page, seen: set[str]) -> bool:
        """Whether calls that came on earlier pages are the end of the last one, or there are none.

        So it looks when calls were listed meanwhile, some of them perhaps on this page.
        """
        again = [key for key in self.ids if key in seen]
        return not again or again == before.ids[-len(again) :]


@dataclass(slots=True)
class Place:
    """How far a window is read.

    Attributes:
        first: Its beginning, local.
        start: From when the next page is asked for, local.
        number: Of the next page from there.
        size: Of all pages from there.
        before: The page before.
        earliest: The first moment of the window's first page.
        seen: The ids of all pages from there.
        repeated: Whether the page before came twice.
    """

    first: datetime
    start: datetime
    number: int = 1
    size: int = 0
    before: Page = field(default_factory=Page)
    earliest: str = ""
    seen: set[str] = field(default_factory=set)
    repeated: bool = False

    @property
    def moved(self) -> bool:
        """Whether it is beyond the window's beginning."""
        return self.start > self.first

    def again(self, size: int) -> None:
        """Begin with the first page from there: numbered pages are all of one size."""
        self.number, self.size, self.repeated = 1, size, False
        self.seen.clear()

    def page(self, received: int) -> Page:
        """The next page, before its first call."""
        return Page(received, self.before.latest if self.number > 1 else "")

    def repeats(self, page: Page) -> bool:
        """Whether a page is the one before it again."""
        return self.number > 1 and page.repeats(self.before)

    def take(self, page: Page) -> None:
        """The page is the one before now."""
        self.earliest = self.earliest or page.soonest
        self.before, self.repeated = page, self.repeats(page)
        self.seen |= {*page.ids}
