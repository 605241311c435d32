"""How a run sends: the settings as values."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.judgement import Policy
from singer_calls.http.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_calls.deliver.destination import Destination

_OPEN_PER_SLOT = 16  # calls that may wait for their next try, per slot


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """How to send; see settings.py for the settings behind it.

    Attributes:
        target: The plugin's name.
        max_in_flight: Requests side by side.
        requests_per_minute: Never more over any 60 seconds; None for no limit.
        requests_per_second: Likewise over any second.
        retry: How often and how long.
        policy: What may be sent again.
        same_key: Whether one key in two campaigns is two calls, see ``Destination``.
        fresh: Whether the ledger was empty when the run began.
        remembers: Whether the ledger has records that never became a delivery: a delivery closes
            its own, and a person may have decided about it.
    """

    target: str
    max_in_flight: int
    requests_per_minute: int | None
    retry: RetryPolicy
    policy: Policy
    same_key: bool = True
    fresh: bool = False
    remembers: bool = False
    requests_per_second: int | None = None

    def for_latest(self, requests_per_minute: int) -> SenderOptions:
        """The same for what is said later: what may have arrived is said again, to no harm."""
        return replace(
            self,
            requests_per_minute=requests_per_minute,
            requests_per_second=None,
            policy=Policy(retry_unknown=True),
            fresh=False,
            remembers=False,
        )


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The settings of a run; see settings.py for their meaning.

    Attributes:
        sender: How to send.
        latest: How to say what becomes known later, where the destination takes it.
        request_timeout: Seconds; the longest request.
        max_rejected_percent: See ``Thresholds``.
        fail_on_rejected: Whether the first newly rejected call ends the run (``on_error``).
    """

    sender: SenderOptions
    request_timeout: float
    max_rejected_percent: int
    fail_on_rejected: bool = False
    latest: SenderOptions | None = None

    @property
    def max_open(self) -> int:
        """Calls taken from the input and not settled, at most; 1 keeps strict order."""
        in_flight = self.sender.max_in_flight
        return 1 if in_flight == 1 else in_flight * _OPEN_PER_SLOT


def run_options(
    config: Mapping[str, Any],
    destination: Destination,
    target: str,
    *,
    fresh: bool,
    remembers: bool,
) -> RunOptions:
    """What the settings say.

    Args:
        config: The settings.
        destination: Where calls go.
        target: The plugin's name.
        fresh: See ``SenderOptions``.
        remembers: Likewise.
    """
    sender = SenderOptions(
        target=target,
        max_in_flight=config["max_in_flight"],
        requests_per_minute=config.get("requests_per_minute"),
        requests_per_second=config.get("requests_per_second"),
        retry=RetryPolicy(
            max_tries=config["backoff_max_tries"],
            retry_after_max=config["retry_after_max"],
            uniform=random.uniform,
        ),
        policy=Policy(
            retry_unknown=config["on_unknown_outcome"] == "retry",
            same_call_other_id=config["same_call_other_id"],
            key_field=destination.key_field,
        ),
        same_key=destination.same_key,
        fresh=fresh,
        remembers=remembers,
    )
    latest = destination.latest
    return RunOptions(
        sender=sender,
        latest=None if latest is None else sender.for_latest(latest.requests_per_minute),
        request_timeout=config["request_timeout"],
        max_rejected_percent=config["max_rejected_percent"],
        fail_on_rejected=config["on_error"] == "fail",
    )
