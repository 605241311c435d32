"""What a user is told when a run ends: a sentence for each exception that may reach its edge."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import PurePath

from singer_sdk.exceptions import (
    ConfigValidationError,
    InvalidJSONSchema,
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
    StreamMapConfigError,
)

from singer_calls.errors import PluginError
from singer_calls.output import let_go

# What the system says when a limit is met.
LIMITS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}

_GONE = "The reader of this program's output is gone: look for its own message."


def unwritten(error: OSError) -> str:
    """The sentence for what was to be written and found no place."""
    return (
        f"A file could not be written ({error.strerror}): make room where the output goes and in "
        "the folder of temporary files (TMPDIR)."
    )


_SDK_SENTENCES: dict[type[Exception], str] = {
    RecordsWithoutSchemaException: "A record came before the schema of its stream: the tap is at "
    "fault.",
    MissingKeyPropertiesError: "A record lacks a key property of its stream: correct the tap, or "
    "the __key_properties__ of stream_maps.",
    InvalidJSONSchema: "The schema of a stream is no valid JSON Schema: the tap is at fault; "
    "validate_records: false goes on without it.",
}


def sentences(error: Exception) -> list[str]:
    """What the user is told about an exception: never a value, never a traceback."""
    if isinstance(error, ConfigValidationError):
        return [f"Setting {sentence}." for sentence in error.errors]
    if isinstance(error, PluginError):
        return [str(error)]
    if isinstance(error, (StreamMapConfigError, MapExpressionError)):
        said = f"The mapping in stream_maps is wrong: {error}".splitlines()[0]
        keys = " Name mapped ones in __key_properties__." if "key properties" in said else ""
        return [f"{said}{keys}"]
    told = _of_the_system(error) or next(
        (sentence for cls, sentence in _SDK_SENTENCES.items() if isinstance(error, cls)), None
    )
    if told:
        return [told]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{PurePath(frame.filename).name}:{frame.lineno}"
    return [
        f"A fault in the program ({type(error).__name__} at {where}) stopped the run: report it."
    ]


def _of_the_system(error: Exception) -> str | None:
    """What the system refused, None where it is none of its errors."""
    number = getattr(error, "errno", None)
    if isinstance(error, BrokenPipeError):
        let_go(sys.stdout)
        return _GONE
    if isinstance(error, OSError) and number in _FULL:
        let_go(sys.stdout)
        return unwritten(error)
    if isinstance(error, MemoryError) or "can't start new thread" in str(error) or number in LIMITS:
        return (
            "The system refuses more memory, threads or files (ulimit): allow more and run again."
        )
    return None
