"""From a raw JSON object to a typed record: a table of fields, and a count of what did not fit."""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from singer_calls.extract.errors import NotACallError, RetriableError
from singer_calls.text import shown
from singer_calls.values.boolean import boolean
from singer_calls.values.clock import to_utc
from singer_calls.values.numbers import whole

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from singer_calls.extract.json_array import Record

_INT64 = 2**63
_DIGITS = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_NAMES_KEPT = 1000  # a vendor may make up its names: memory stays flat
_NAMES_SHOWN = 20
_NONE: Mapping[str, str] = MappingProxyType({})


class SchemaDrift:
    """What a vendor sent and no schema expects, counted by field name, told once a run.

    Attributes:
        unknown: Fields that no schema knows; they were dropped.
        misfits: Values that do not fit their field's type; they became null.
        usable: Elements of lists that became records.
        unusable: Where the others were, and why; they cost themselves.
        lost_letters: U+FFFD in place of bytes that are none of the declared charset.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.unknown: Counter[str] = Counter()
        self.misfits: Counter[str] = Counter()
        self.usable = 0
        self.unusable: list[str] = []
        self.lost_letters = 0

    def count_unknown(self, name: str) -> None:
        """A field that no schema knows."""
        if name in self.unknown or len(self.unknown) < _NAMES_KEPT:
            self.unknown[name] += 1

    def count_misfit(self, name: str) -> None:
        """A value that does not fit its field's type."""
        self.misfits[name] += 1

    def count_lost(self, letters: int) -> None:
        """Letters that can't be read."""
        self.lost_letters += letters

    @property
    def hopeless(self) -> bool:
        """Whether so many elements are none that the lists as a whole must be taken for broken."""
        return len(self.unusable) > max(1, self.usable)

    def add(self, answer: SchemaDrift) -> None:
        """Add what one answer showed; from any thread."""
        with self._lock:
            self.unknown.update(answer.unknown)
            self.misfits.update(answer.misfits)
            self.usable += answer.usable
            self.unusable += answer.unusable
            self.lost_letters += answer.lost_letters

    def report(self, vendor: str, log: logging.Logger) -> None:
        """One warning per kind, by field name or position only, and forget."""
        for counter, text in (
            (self.unknown, "%s sent fields that this version does not know, left out: %s"),
            (self.misfits, "%s sent values that do not fit their field, set to null: %s"),
        ):
            if counter:
                names = [
                    f"{shown(name)} ({n} calls)" for name, n in counter.most_common(_NAMES_SHOWN)
                ]
                log.warning(text, vendor, _listed(names, len(counter)))
                counter.clear()
        if self.unusable:
            log.warning(
                "%s sent %d elements that are no usable calls, left out; the bookmark moves on "
                "all the same: %s",
                *(vendor, len(self.unusable)),
                _listed(self.unusable[:_NAMES_SHOWN], len(self.unusable)),
            )
            self.unusable.clear()
        if self.lost_letters:
            log.warning(
                "%s sent %d letters that can't be read in the charset that it declares, replaced "
                "by U+FFFD",
                *(vendor, self.lost_letters),
            )
            self.lost_letters = 0


def _listed(told: list[str], of: int) -> str:
    more = f", and {of - len(told)} more" if of > len(told) else ""
    return f"{', '.join(told)}{more}"


def usable(
    elements: Iterable[Any],
    convert: Callable[[Any], Record],
    drift: SchemaDrift,
    where: str,
) -> Iterator[Record]:
    """The records of a list; an element that can't become one costs itself.

    Args:
        elements: The raw elements.
        convert: From one of them to its record; raises NotACallError.
        drift: Of this answer alone.
        where: Which list this is, for people.

    Raises:
        RetriableError: The list as a whole is broken: most of it is no call, or what is none has
            not one field of a call.
    """
    broken = RetriableError(
        "sent a list that is not one of calls",
        advice="see whether this version of the plugin still fits the vendor",
    )
    recognised = True
    for position, element in enumerate(elements, 1):
        try:
            record = convert(element)
        except NotACallError as error:
            drift.unusable.append(f"element {position} of the list {where} ({error.reason})")
            recognised = recognised and error.recognised
            continue
        drift.usable += 1
        yield record
    if drift.hopeless or (drift.unusable and not drift.usable and not recognised):
        raise broken


def text(value: object) -> str:
    """A value as text; numbers and booleans in their JSON spelling, a whole number without a point.

    An id that is 5 in one answer and 5.0 in the next is one id.

    Raises:
        ValueError: The value is a list, an object, or no finite number.
    """
    if isinstance(value, str):
        # Half of a surrogate pair (a text cut by the vendor) can't be written as UTF-8.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value)):
        return str(whole(value))
    raise ValueError("not a text")


def tree(value: object) -> Record:
    """An object whose form nobody has published, as it is; what can't be UTF-8 is ``?``.

    Raises:
        ValueError: The value is no object, or too deep.
    """
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 (one kind for all misfits)
    try:
        written = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        found: Record = json.loads(written)
    except RecursionError:
        raise ValueError("too deep") from None
    return found


def integer(value: object) -> int:
    """A whole number of at most 64 bits, also from its text.

    Raises:
        ValueError: The value is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a whole number")  # noqa: TRY004 (one kind for all misfits)
    if isinstance(value, str) and not _DIGITS.fullmatch(value.strip()):
        raise ValueError("not a whole number")  # for int(), 1_2 is 12
    try:
        number = int(value)
    except OverflowError:
        raise ValueError("not a whole number") from None
    if number != (value if isinstance(value, float) else number) or abs(number) >= _INT64:
        raise ValueError("not a whole number")
    return number


def functions(
    schema: Mapping[str, Any], zone: ZoneInfo, **special: Callable[[Any], object]
) -> Mapping[str, Callable[[Any], object]]:
    """The table of fields for ``conform``, as a flat schema says.

    Args:
        schema: Properties with one type and perhaps null: string, integer or boolean; a string of
            format ``date-time`` becomes UTC.
        zone: Of the vendor's times without an offset.
        special: Functions of the fields that are read in another way, and of all other types.

    Raises:
        KeyError: A field has another type, and no function of its own.
    """
    by_type = {"string": text, "integer": integer, "boolean": boolean}

    def function(one: Mapping[str, Any]) -> Callable[[Any], object]:
        if one.get("format") == "date-time":
            return lambda value: to_utc(text(value), zone)
        return by_type[one["type"] if isinstance(one["type"], str) else one["type"][0]]

    properties = schema["properties"].items()
    return {name: special[name] if name in special else function(one) for name, one in properties}


def conform(
    raw: object,
    fields: Mapping[str, Callable[[Any], object]],
    drift: SchemaDrift,
    *,
    key: str,
    renamed: Mapping[str, str] = _NONE,
) -> Record:
    """One raw object as a record with exactly the given fields.

    Args:
        raw: The element as decoded.
        fields: Name to function, the schema's order.
        drift: Counts what did not fit.
        key: The field that identifies the call.
        renamed: The vendor's name of a field -> ours, where they differ.

    Raises:
        NotACallError: The element is not an object, or has no usable key.
    """
    if not isinstance(raw, dict):
        raise NotACallError("not an object")
    record = conform_part(raw, fields, drift, renamed=renamed)
    if record[key] is None:
        raise NotACallError(
            f"without a usable {key}",
            recognised=any(value is not None for value in record.values()),
        )
    return record


def conform_part(
    raw: Mapping[str, Any],
    fields: Mapping[str, Callable[[Any], object]],
    drift: SchemaDrift,
    *,
    path: str = "",
    renamed: Mapping[str, str] = _NONE,
) -> Record:
    """An object, or one inside of it, with exactly the given fields.

    ``""``, null and absence are null. A value that its function refuses (ValueError) is null and
    counted; a field that is not in the table is dropped and counted.

    Args:
        raw: As decoded.
        fields: Name to function, the schema's order.
        drift: Counts what did not fit.
        path: Where it is in its call, ending in a point; "" for the call itself.
        renamed: The vendor's name of a field -> ours, where they differ.
    """
    record: Record = dict.fromkeys(fields)
    for sent, value in raw.items():
        name = renamed.get(sent, sent)
        convert = fields.get(name)
        if convert is text and type(value) is str and value.isascii():
            record[name] = value or None  # nine of ten fields: no call for them
        elif convert is None:
            drift.count_unknown(path + name)
        elif value is not None and value != "":
            try:
                record[name] = convert(value)
            except ValueError:
                drift.count_misfit(path + name)
    return record
