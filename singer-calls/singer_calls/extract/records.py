"""From a raw JSON object to a typed record: a table of fields, and a count of what did not fit."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from singer_calls.errors import PluginError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from singer_calls.extract.answer import Record

_INT64 = 2**63


class Oddities:
    """What a vendor sent and no schema expects, counted by field name, told once a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.unknown: Counter[str] = Counter()
        self.misfits: Counter[str] = Counter()

    def count_unknown(self, name: str) -> None:
        """A field that no schema knows; it was dropped."""
        with self._lock:
            self.unknown[name] += 1

    def count_misfit(self, name: str) -> None:
        """A value that does not fit its field's type; it became null."""
        with self._lock:
            self.misfits[name] += 1

    def report(self, vendor: str, log: logging.Logger) -> None:
        """One warning per kind, by field name only, and forget."""
        for counter, text in (
            (self.unknown, "%s sent fields that this version does not know, left out: %s"),
            (self.misfits, "%s sent values that do not fit their field, set to null: %s"),
        ):
            if counter:
                names = (f"{name[:64]!r} ({n} calls)" for name, n in counter.most_common(20))
                log.warning(text, vendor, ", ".join(names))
                counter.clear()


def text(value: object) -> str:
    """A value as text; numbers and booleans in their JSON spelling.

    Raises:
        ValueError: The value is a list or an object.
    """
    if isinstance(value, str):
        # Half of a surrogate pair (a text cut by the vendor) can't be written as UTF-8.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise ValueError("not a text")


def integer(value: object) -> int:
    """A whole number of at most 64 bits, also from its text.

    Raises:
        ValueError: The value is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a whole number")  # noqa: TRY004 (one kind for all misfits)
    try:
        number = int(value)
    except OverflowError:
        raise ValueError("not a whole number") from None
    if number != (value if isinstance(value, float) else number) or abs(number) >= _INT64:
        raise ValueError("not a whole number")
    return number


def typed(
    raw: object,
    fields: Mapping[str, Callable[[Any], object]],
    odd: Oddities,
    *,
    vendor: str,
    key: str,
) -> Record:
    """One raw object as a record with exactly the given fields.

    ``""``, null and absence are null. A value that its function refuses (ValueError) is null and
    counted; a field that is not in the table is dropped and counted.

    Args:
        raw: The element as decoded.
        fields: Name to function, the schema's order.
        odd: Counts what did not fit.
        vendor: Its name, for messages.
        key: The field that identifies the call.

    Raises:
        PluginError: The element is not an object, or has no usable key.
    """
    if not isinstance(raw, dict):
        raise PluginError(
            f"{vendor} sent a list with something in it that is not a call: ask the vendor."
        )
    record: Record = dict.fromkeys(fields)
    for name, value in raw.items():
        convert = fields.get(name)
        if convert is text and type(value) is str and value.isascii():
            record[name] = value or None  # nine of ten fields: no call for them
        elif convert is None:
            odd.count_unknown(name)
        elif value is not None and value != "":
            try:
                record[name] = convert(value)
            except ValueError:
                odd.count_misfit(name)
    if record[key] is None:
        raise PluginError(
            f"{vendor} sent a call without a usable {key}: it can't be told from others, so "
            "the run ends here; ask the vendor."
        )
    return record
