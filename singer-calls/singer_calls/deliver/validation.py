"""Source records against their stream's schema: compiled once, and a message without the value."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import fastjsonschema
from singer_sdk.exceptions import InvalidJSONSchema

from singer_calls.deliver.outcome import InvalidCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))
_SIMPLE = frozenset({str, int, bool, type(None)})  # what JSON Schema knows as Python does
_DATA = frozenset({"enum", "const", "default", "examples"})  # keywords that hold no schema
_BY_NAME = frozenset({"properties", "patternProperties", "definitions", "$defs", "dependencies"})


class SourceValidator:
    """Checks the records of one stream as their tap sends them.

    Formats are not checked, as in the SDK: a target's ``call.py`` reads dates and URLs itself.
    ``multipleOf`` is not checked either: database taps write the scale of a column there, of
    values that have been rounded by then. A reference to another document is not fetched.

    Args:
        schema: Schema of the stream.
        key_properties: Of the stream.
        check: Whether to check the schema (``validate_records``); a key property is always asked.

    Raises:
        InvalidJSONSchema: The schema itself is malformed.
    """

    def __init__(
        self, schema: dict[str, Any], key_properties: Sequence[str], *, check: bool
    ) -> None:
        self._key_properties = tuple(key_properties)
        self._check: Callable[[Any], object] | None = None
        if check:
            try:
                self._check = fastjsonschema.compile(
                    readable(schema), use_default=False, use_formats=False
                )
            except Exception as error:
                # The compiler lets KeyError and AttributeError of malformed schemas through.
                raise InvalidJSONSchema("A SCHEMA message is not a valid JSON Schema") from error

    def validate(self, record: Mapping[str, Any]) -> None:
        """Check a record.

        Raises:
            InvalidCallError: With the field and the rule, never the value.
        """
        for name in self._key_properties:
            if name not in record:
                raise InvalidCallError("is missing: it is a key property of the stream", name)
        if self._check is None:
            return
        try:
            simple = _SIMPLE.issuperset(map(type, record.values()))
            self._check(record if simple else _plain(record))
        except fastjsonschema.JsonSchemaValueException as error:
            field = str(error.path[1]) if len(error.path) > 1 else None
            reason = f"does not fit the rule '{error.rule}' of the stream's schema"
            raise InvalidCallError(reason, field) from None
        except Exception as error:  # noqa: BLE001 - whatever a check raises, it costs this record
            raise InvalidCallError(
                f"can't be checked against the stream's schema ({type(error).__name__})"
            ) from None


def readable(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A schema without what would be read wrongly.

    Draft 4 says ``"exclusiveMaximum": true`` beside ``maximum``, and pipelinewise's taps do so
    without naming their draft.
    """
    if isinstance(schema, list):
        return [readable(item) for item in schema]
    if not isinstance(schema, dict):
        return float(schema) if isinstance(schema, Decimal) else schema
    result = {
        name: value
        if name in _DATA
        else {key: readable(one) for key, one in value.items()}
        if name in _BY_NAME and isinstance(value, dict)
        else readable(value)
        for name, value in schema.items()
        if name not in {"$schema", "multipleOf"}
    }
    reference = result.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        del result["$ref"]
    for exclusive, bound in _BOUNDS:
        if isinstance(strict := result.get(exclusive), bool):
            del result[exclusive]
            if strict and bound in result:
                result[exclusive] = result.pop(bound)
    return result


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value as JSON Schema knows it: numbers are int or float."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value.as_tuple().exponent == 0 else float(value)
    return value
