"""Singer messages as JSON: nothing is lost or changed between reading and writing them again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import simplejson

_fast = msgspec.json.Decoder(float_hook=Decimal).decode


def decode(line: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """One line; numbers with a point become ``Decimal``.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return _fast(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Taps also write NaN and halves of surrogate pairs, which msgspec refuses: one such value
        # must cost its call, not the run.
        return simplejson.loads(line, use_decimal=True, allow_nan=True)


def encode(message: object) -> str:
    """One message on one line, ASCII only, without a line end."""
    return simplejson.dumps(message, use_decimal=True, allow_nan=True, separators=(",", ":"))
