"""One raw INVOX object -> one typed call. Pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from singer_calls.extract import SchemaDrift, conform, functions
from singer_calls.values.duration import seconds
from tap_invox.schemas import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from singer_calls.extract import Record


@cache
def _functions(zone: ZoneInfo) -> Mapping[str, Callable[[Any], object]]:
    return functions(CALLS, zone, duration=seconds)


def call(raw: Any, drift: SchemaDrift, zone: ZoneInfo) -> Record:  # noqa: ANN401 (JSON)
    """A call as the schema ``calls`` has it.

    Documented is ``call_id``; a client of the real service reads ``id``. Both are taken.

    Args:
        raw: The element as decoded.
        drift: Counts what did not fit.
        zone: The zone of bare times in ``date``.

    Raises:
        NotACallError: The element is no object, or has no usable id.
    """
    if isinstance(raw, dict) and "id" in raw:
        raw = {**raw, "call_id": raw.get("call_id") or raw["id"]}
        del raw["id"]
    return conform(raw, _functions(zone), drift, key="call_id")
