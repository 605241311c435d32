"""How a target reads times without an offset and phone numbers without a calling code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.values import moment, phone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Local:
    """Where the calls are from.

    Attributes:
        zone: Of times without an offset (``timezone``).
        country: Of phone numbers without a calling code, ISO 3166 alpha-2 (``default_country``).
    """

    zone: ZoneInfo
    country: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Local:
        """What these settings say."""
        return cls(
            zone=ZoneInfo(settings.get("timezone") or "UTC"),
            country=(settings.get("default_country") or "US").upper(),
        )

    def moment(self, name: str, value: object) -> datetime:
        """The value of the parameter ``name`` as an aware datetime.

        Raises:
            InvalidCallError: It is none.
        """
        read = moment.parse(value, self.zone)
        if read is None:
            raise InvalidCallError("must be a date with a time, such as 2026-01-31T09:30:00Z", name)
        return read

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
