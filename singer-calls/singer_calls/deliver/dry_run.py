"""A dry run: maps, checks and shows what would be sent, and to whom; sends and writes nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from singer_calls.deliver.summary import CallMetric, Summary
from singer_calls.deliver.thresholds import exceeded
from singer_calls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_calls.deliver.call import Call
    from singer_calls.deliver.delivery import Delivery
    from singer_calls.deliver.destination import Destination
    from singer_calls.deliver.launch import Host

_EXAMPLES_SHOWN = 3
_ROWS_SHOWN = 20  # of the table of partners
_VALUE_CHARS = 40  # of a value that are shown


class DryDelivery:
    """Takes every call, as if none had been sent before.

    Attributes:
        emits_state: False: the next run would take these calls for delivered.
        summary: Counts.
    """

    emits_state = False

    def __init__(self, target: Host) -> None:
        self.summary = Summary()
        self._logger = target.logger
        self._percent: int = target.config["max_rejected_percent"]
        self._preview = Preview(target.destination, target.config.get("stream_map_config") or {})

    def take(self, call: Call) -> None:
        """Count a call."""
        if call.delivery is not None:
            self.summary.add(CallMetric.WOULD_SEND)
            self._preview.add(call.delivery)
        elif call.refused is not None:
            self.summary.settle(call.refused)

    def fail(self, failure: PluginError) -> None:
        """End the run."""
        raise failure

    def settle(self, *, abandon: bool, check: bool) -> PluginError | None:
        """Why the run has failed, or None."""
        if abandon or not check:
            return None
        refused = self.summary.count(CallMetric.REJECTED)
        tried = refused + self.summary.count(CallMetric.WOULD_SEND)
        sentence = exceeded(self._percent, tried, refused)
        return PluginError(f"{sentence}.") if sentence else None

    def close(self, how: str) -> None:  # noqa: ARG002 - as a live run is closed
        """Show what would have been sent."""
        for line in self._preview.lines():
            self._logger.info("%s", line)


class Preview:
    """What would be sent: some calls with their values masked, and all by partner.

    Args:
        destination: Where to.
        tables: The users' own, by name, as their stream maps look partners up.
    """

    def __init__(self, destination: Destination, tables: Mapping[str, Any]) -> None:
        self._destination = destination
        self._tables = {name: table for name, table in tables.items() if isinstance(table, dict)}
        self._examples: list[str] = []
        self._partners: Counter[str] = Counter()

    def add(self, delivery: Delivery) -> None:
        """One call that would be sent."""
        values = _values(delivery)
        partner = values.get(self._destination.partner_field, delivery.account.campaign)
        self._partners[_printable(str(partner))] += 1
        if len(self._examples) < _EXAMPLES_SHOWN:
            values.setdefault(self._destination.key_field, delivery.key)
            self._examples.append(" ".join(self._masked(values)))

    def _masked(self, values: Mapping[str, Any]) -> Iterator[str]:
        """Personal values as their shape: it tells a wrong one as well."""
        for name, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if name == self._destination.key_field:
                text = re.sub(r"\d", "#", text)
            elif name not in self._destination.impersonal:
                text = re.sub(r"[^\W\d]", "x", re.sub(r"\d", "#", text))
            yield f"{name}={_printable(text)}"

    def lines(self) -> Iterator[str]:
        """What people read, none for no call."""
        if not self._partners:
            return
        yield "Would be sent, were it all new (# is a digit, x a letter of what is personal):"
        yield from self._examples
        field = self._destination.partner_field
        yield f"{'calls':>9}  {field}"
        for partner, calls in self._partners.most_common(_ROWS_SHOWN):
            yield f"{calls:>9}  {partner}"
        if (more := len(self._partners) - _ROWS_SHOWN) > 0:
            yield f"          and {more} more"
        for name, table in self._tables.items():
            named = {_printable(str(value)) for value in table.values()}
            missing = sorted(named - self._partners.keys())
            if missing and len(missing) < len(named):  # else it is a table of something else
                yield f"{name} names {field} without a call: {', '.join(missing[:_ROWS_SHOWN])}"


def _values(delivery: Delivery) -> dict[str, Any]:
    """The parameters of a request; none when its body is made at the last moment."""
    if not delivery.body:
        return {}
    text = delivery.body.decode()
    if delivery.headers.get("Content-Type") == "application/json":
        sent = json.loads(text)
        return {**sent.pop("call", {}), **sent}
    return dict(parse_qsl(text, keep_blank_values=True))


def _printable(text: str) -> str:
    short = text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in short
    )
