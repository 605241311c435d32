"""What is asked for and what comes back: the 56 documented response fields as one table.

The request's names and the answer's differ (vendor docs, Response fields against the published
examples): ``talk_time_seconds`` is answered as ``talk_time_sec``, ``comment_text`` as ``text``
inside ``comments``. The streams speak the request's language for a call's own fields and the
answer's inside its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CATEGORY_KINDS = ("link", "call", "node", "contact")


class Field(NamedTuple):
    """One documented response field.

    Attributes:
        request: Its name in ``response_fields``.
        part: Dotted path of the list that holds it in the answer; empty for the call itself.
        answer: Its key there.
    """

    request: str
    part: str
    answer: str


def _call(*names: str) -> Iterator[Field]:
    return (Field(name, "", name) for name in names)


def _part(part: str, prefix: str, *names: str, own: tuple[str, ...] = ()) -> Iterator[Field]:
    # The id keeps its prefix inside a comment or a transcription, the other keys lose it.
    yield from (Field(f"{prefix}{name}", part, f"{prefix}{name}") for name in own)
    yield from (Field(f"{prefix}{name}", part, name) for name in names)


RESPONSE_FIELDS: tuple[Field, ...] = (
    *_call("id", "call_start", "call_end", "call_origin", "call_origin_location"),
    *_call("iovox_number", "call_destination", "call_time"),
    Field("call_time_seconds", "", "call_time_sec"),
    *_call("talk_time"),
    Field("talk_time_seconds", "", "talk_time_sec"),
    *_call("call_type", "call_result", "rule_result"),
    *_call("node_id", "node_name", "node_type", "link_id", "link_name", "link_type"),
    *_call("has_recording"),
    # Never shown in an answer: the key is the one of the older API (v3).
    Field("email_alert", "", "email_sent"),
    *_call("direction"),
    *(
        Field(f"{kind}_category_{name}", f"categories.{kind}_categories", answer)
        for kind in CATEGORY_KINDS
        for name, answer in (("id", "category_id"), ("label", "label"), ("value", "value"))
    ),
    *_part("tags", "tag_", "text", "colour", "source_type"),
    Field("keyword_rules", "keyword_rules", ""),
    # Only an empty list is published: the keys are inferred, by the same rule as the others.
    *_part("tasks", "task_", "username", "created", "assigned_username", "reminder_date"),
    *_part("tasks", "task_", "reminder_message", "status", "due_date"),
    *_part("comments", "comment_", "created", "username", "language", "text", own=("id",)),
    Field("call_outcomes", "call_outcomes", ""),
    *_part("transcriptions", "transcription_", "language", "text", "phrases", own=("id",)),
)

# (part, key of the answer) -> property of the stream, where the two differ. An answer under the
# request's name is read too.
PROPERTIES: dict[tuple[str, str], str] = {
    (field.part, key): name
    for field in RESPONSE_FIELDS
    for name in [field.answer if field.part else field.request]
    for key in (field.answer, field.request)
    if field.answer and key != name
}

# Response fields that say whether a call may have a recording.
RECORDING_NEEDS = frozenset({"has_recording", "call_end", "talk_time_seconds"})
