"""Windows of time: how a long past is read in pieces that can be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from typing_extensions import override

from singer_calls.values.clock import utc_text

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """All moments from start, inclusive, to end, exclusive; both aware, whole seconds.

    Attributes:
        start: None for "since ever".
        end: The first moment that is not in the window.
    """

    start: datetime | None
    end: datetime

    @override
    def __str__(self) -> str:
        first, beyond = self.bounds()
        return f"from {first or 'the beginning'} to {beyond}"

    @property
    def length(self) -> timedelta:
        """How long the window is; without a start, longer than any other."""
        return self.end - self.start if self.start else timedelta.max

    def halves(self, floor: timedelta) -> tuple[Window, Window] | None:
        """The window in two, or None if it is open or a half would be shorter than the floor."""
        if self.start is None or self.length / 2 < floor:
            return None
        middle = (self.start + self.length / 2).replace(microsecond=0)
        return Window(self.start, middle), Window(middle, self.end)

    def earlier(self, by: timedelta) -> Window:
        """The window with so much before it."""
        return Window(self.start - by, self.end) if self.start else self

    def bounds(self) -> tuple[str, str]:
        """Start and end as texts to compare UTC texts with."""
        return utc_text(self.start) if self.start else "", utc_text(self.end)


def cut(start: datetime | None, end: datetime, step: timedelta) -> list[Window]:
    """Cut a time into windows of at most ``step``, oldest first, without gap or overlap.

    Returns:
        No window if nothing lies between start and end; one open window without a start.
    """
    if start is None:
        return [Window(None, end)]
    count = max(0, -((start - end) // step))
    borders = [start + step * index for index in range(count)] + [end]
    return [Window(*pair) for pair in pairwise(borders)]
