"""Singer messages as JSON: nothing is lost or changed between reading and writing them again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import simplejson

from singer_calls.deliver.outcome import InvalidCallError

_LONGEST_DIGITS = 40  # of a whole number that is written out: more are no id


def _number(text: str) -> int | Decimal:
    """A JSON number with a point or an exponent: 5, 5.0 and 5e0 are one number."""
    number = Decimal(text)
    short = number.is_finite() and number.adjusted() < _LONGEST_DIGITS
    return int(number) if short and number == number.to_integral_value() else number


def _whole(text: str) -> int | Decimal:
    """A JSON number without a point; Python refuses to make an int of thousands of digits."""
    return int(text) if len(text) <= _LONGEST_DIGITS else Decimal(text)


_fast = msgspec.json.Decoder(float_hook=_number).decode


def decode(line: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """One line; numbers that are not whole become ``Decimal``, whole ones ``int``.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return _fast(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Taps also write NaN, halves of surrogate pairs and bytes that are no UTF-8, which msgspec
        # refuses: one such value must cost its call, not the run.
        return _slow(line, parse_float=_number)


def decode_exactly(line: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """One line with its numbers as they are written: 5.0 stays 5.0.

    Raises:
        ValueError: It is not JSON.
    """
    return _slow(line, parse_float=Decimal)


def _slow(line: bytes | str, **numbers: Any) -> Any:  # noqa: ANN401
    text = line if isinstance(line, str) else line.decode(errors="surrogateescape")
    try:
        return simplejson.loads(text, parse_int=_whole, allow_nan=True, **numbers)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def encode(message: object) -> str:
    """One message on one line, ASCII only, without a line end."""
    return simplejson.dumps(message, use_decimal=True, allow_nan=True, separators=(",", ":"))


def json_body(value: object) -> bytes:
    """A value as the JSON of a request's body, in UTF-8, its numbers as exact as they came.

    Raises:
        InvalidCallError: It holds a number or a text that JSON has no form for.
    """
    try:
        text = simplejson.dumps(
            value, use_decimal=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidCallError("a text in it is none (half a pair, or no UTF-8)") from None
    except ValueError:
        raise InvalidCallError("a number in it is none (NaN or infinite)") from None
