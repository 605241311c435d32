"""Numbers as JSON means them: 5, 5.0 and 5e0 are one number; a text is never one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_LONGEST_DIGITS = 40  # of a whole number that is written out: more are no id
_DEEPEST_LEVELS = 100  # levels of lists and objects looked into
_DIGITS_OF_A_FLOAT = 15  # that survive the way through binary: 0.1 + 0.2 is 0.3
_PLAIN = frozenset({str, int, bool, type(None)})


def whole(number: Decimal | float) -> int | Decimal | float:
    """A whole number as ``int``, any other one as it is."""
    exact = Decimal(number)
    if (
        exact.is_finite()
        and exact.adjusted() < _LONGEST_DIGITS
        and exact == exact.to_integral_value()
    ):
        return int(exact)
    return number


def whole_numbers(record: dict[str, Any]) -> dict[str, Any]:
    """A record in which every whole number is an ``int``, however deep it lies.

    Returns:
        A new record, or the same one when nothing in it had to change.
    """
    return _whole_in(record, _DEEPEST_LEVELS)  # type: ignore[no-any-return]


def _whole_in(value: Any, levels: int) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, (Decimal, float)):
        return whole(value)
    if isinstance(value, dict) and levels:
        changed = {
            name: new
            for name, item in value.items()
            if type(item) not in _PLAIN and (new := _whole_in(item, levels - 1)) is not item
        }
        return value | changed if changed else value
    if isinstance(value, list) and levels:
        items = [item if type(item) in _PLAIN else _whole_in(item, levels - 1) for item in value]
        return (
            items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        )
    return value


def decimal(number: Decimal | float) -> Decimal:
    """A number as people write it: of a float the digits that binary keeps."""
    if isinstance(number, float):
        return Decimal(format(number, f".{_DIGITS_OF_A_FLOAT}g"))
    return Decimal(number)
