"""What a record says of its call's recording: the words between taps and targets. Imports nothing.

    stored     it is in the store, at ``recording_path``
    pending    there is none yet: the call is young, or the source failed just now
    missing    the source has none
    unusable   what the source gave is no whole recording, or is too large: it was not stored

A mono recording is ``stored``: a warehouse can use it, and a target decides about its channels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

STORED, PENDING, MISSING, UNUSABLE = "stored", "pending", "missing", "unusable"
STATUSES = (STORED, PENDING, MISSING, UNUSABLE)


class Recording(NamedTuple):
    """What became of one call's recording.

    Attributes:
        status: One of ``STATUSES``.
        path: Below ``recordings_url``, of a stored one.
        problem: Why it is not stored, a clause without a value.
        channels: 1 is mono.
        seconds: How long it plays.
        bytes: Its size.
    """

    status: str
    path: str | None = None
    problem: str | None = None
    channels: int | None = None
    seconds: float | None = None
    bytes: int | None = None

    def fields(self) -> dict[str, Any]:
        """The record's fields."""
        return {f"recording_{name}": value for name, value in self._asdict().items()}


def _property(kind: str, description: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": [kind, "null"], "description": description, **more}


PROPERTIES: dict[str, Any] = {
    "recording_status": _property(
        "string",
        "Of the call's recording: stored, pending (none yet), missing (the source has none) or "
        "unusable (not a whole recording, or too large).",
    ),
    "recording_path": _property(
        "string", "Where the recording is, below recordings_url; never a URL that opens it."
    ),
    "recording_problem": _property("string", "Why there is no recording in the store, in words."),
    "recording_channels": _property(
        "integer", "Channels of the recording; 1 is mono, and two that hold the same."
    ),
    "recording_seconds": _property("number", "How long the recording plays, seconds."),
    "recording_bytes": _property("integer", "Size of the recording."),
}
"""JSON Schema of those fields, for a tap's stream."""
