"""The sink of one stream: a record becomes a delivery, or is set aside with its reason.

A vendor's sink defines ``path``, ``session_headers``, ``delivery`` and ``outcome``. It knows
nothing of threads, retries or files.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.sinks import Sink

from singer_calls.deliver.identities import Identities
from singer_calls.deliver.outcome import InvalidCallError, Outcome, Rejected
from singer_calls.deliver.remarks import Remarks
from singer_calls.deliver.validation import CompiledValidator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.sinks.core import BaseJSONSchemaValidator

    from singer_calls.deliver.delivery import Answer, Delivery


class CallSink(Sink):
    """Base of the vendors' sinks; calls leave through the target's one sender.

    Attributes:
        path: Where calls are posted, below ``api_url``.
    """

    path: ClassVar[str]

    @cached_property
    def url(self) -> str:
        """The full URL of the POST."""
        return str(self.config["api_url"]).rstrip("/") + self.path

    @cached_property
    def remarks(self) -> Remarks:
        """For what a vendor's sink leaves out or guesses."""
        return Remarks(self.logger)

    @cached_property
    def identities(self) -> Identities:
        """For a vendor's sink to see that a key names one call only."""
        return Identities()

    @abstractmethod
    def session_headers(self) -> Mapping[str, str]:
        """Headers of every request: credentials, ``Accept``."""

    @abstractmethod
    def delivery(self, record: Mapping[str, Any]) -> Delivery:
        """The request that delivers this record.

        Args:
            record: As JSON gives it; numbers with a point are ``Decimal``, date-times stay text.

        Raises:
            InvalidCallError: The record can't become a call of the vendor.
        """

    @abstractmethod
    def outcome(self, answer: Answer) -> Outcome:
        """What the vendor's answer says about the call."""

    def get_validator(self) -> BaseJSONSchemaValidator | None:
        """A compiled validator, unless ``validate_records`` is off."""
        return CompiledValidator(self.schema) if self.validate_schema else None

    def prepare(self, record: dict[str, Any]) -> Delivery | Rejected:
        """Check a mapped record and make its delivery.

        Raises:
            MissingKeyPropertiesError: The record lacks a key property of its stream.
        """
        try:
            if self._validator is not None:
                self._validator.validate(record)
            self._singer_validate_message(record)
            return self.delivery(record)
        except InvalidCallError as error:
            return Rejected(error.reason, field=error.field)

    @property
    def current_size(self) -> int:
        """Always 0: nothing waits here, the sender has it."""
        return 0

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Not used: the target hands records to ``prepare`` with their originals."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Not used: there are no batches."""
