"""How a target reads times without an offset and phone numbers without a calling code."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.values import moment as moments
from singer_calls.values import phone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What lies outside is no date of a call, but what systems write for none: year 1, 1899-12-30
# (Excel's zero), 1970, 9999.
_FIRST = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Local:
    """Where the calls are from.

    Attributes:
        zone: Of times without an offset (``timezone``).
        country: Of phone numbers without a calling code, ISO 3166 alpha-2 (``default_country``).
        now: Epoch seconds.
    """

    zone: ZoneInfo
    country: str
    now: Callable[[], float] = time.time

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Local:
        """What these settings say."""
        return cls(
            zone=ZoneInfo(settings.get("timezone") or "UTC"),
            country=(settings.get("default_country") or "US").upper(),
        )

    def moment(self, name: str, value: object) -> tuple[datetime, list[str]]:
        """The value of the parameter ``name`` as an aware datetime, and what to warn of.

        Raises:
            InvalidCallError: It is none, or none of a call.
        """
        read = moments.read(value)
        located = read and moments.located(read, self.zone)
        if read is None or located is None:
            raise InvalidCallError("must be a date with a time, such as 2026-01-31T09:30:00Z", name)
        ahead = located - datetime.fromtimestamp(self.now(), UTC)
        if located < _FIRST or ahead > _AHEAD:
            raise InvalidCallError(
                "can't be the date of a call: it lies before 1990, or more than a day ahead", name
            )
        bare = read.tzinfo is None
        told = f"{name} without an offset: read as of {self.zone.key} (timezone)"
        return located, [told] if bare else []

    def number(self, name: str, value: object, country: str | None = None) -> phone.Phone:
        """The value of the parameter ``name`` as a phone number, by default of ``country``.

        Raises:
            InvalidCallError: It is none.
        """
        country = country or self.country
        read = phone.parse(value, country)
        if read is None:
            raise InvalidCallError(
                f"must be a phone number, with + and its calling code or of {country}", name
            )
        return read
