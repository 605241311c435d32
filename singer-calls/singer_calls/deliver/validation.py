"""Records against their stream's schema: compiled once, and a message without the value."""

from __future__ import annotations

from typing import Any

import fastjsonschema
from singer_sdk.exceptions import InvalidJSONSchema
from singer_sdk.sinks.core import BaseJSONSchemaValidator

from singer_calls.deliver.outcome import InvalidCallError


class CompiledValidator(BaseJSONSchemaValidator):
    """Compiles the schema to Python code (fastjsonschema).

    Formats are not checked, as in the SDK: a target's ``call.py`` reads dates and URLs itself.

    Args:
        schema: Schema of the stream.

    Raises:
        InvalidJSONSchema: The schema itself is malformed.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        try:
            self._check = fastjsonschema.compile(schema, use_default=False, use_formats=False)
        except Exception as error:
            # The compiler lets KeyError and AttributeError of malformed schemas through.
            raise InvalidJSONSchema("A SCHEMA message is not a valid JSON Schema") from error

    def validate(self, record: dict[str, Any]) -> None:
        """Check a record.

        Raises:
            InvalidCallError: With the field and the rule, never the value.
        """
        try:
            self._check(record)
        except fastjsonschema.JsonSchemaValueException as error:
            field = str(error.path[1]) if len(error.path) > 1 else None
            reason = f"does not fit the rule '{error.rule}' of the stream's schema"
            raise InvalidCallError(reason, field) from None
