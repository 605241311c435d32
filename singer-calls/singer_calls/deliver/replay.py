"""Our marks in a file of calls set aside, read back: a licence, or a sign of an earlier run."""

from __future__ import annotations

import contextlib
from typing import Any

from singer_calls.deliver.dead_letters_files import files_at
from singer_calls.deliver.entries import HELD, UNKNOWN
from singer_calls.deliver.identity import Account
from singer_calls.deliver.messages import decode
from singer_calls.deliver.source_record import MARK, Licence
from singer_calls.errors import PluginError

# The first form wrote its mark into the record, and declared it in SCHEMA, word for word:
_OLD_MARK = "rejected"
_OLD_SAYS = "Why this call was set aside; removed again when the file is replayed."


def read_mark(message: dict[str, Any], target: str) -> Licence | None:
    """Take our mark out of a RECORD message.

    Args:
        message: The message, changed in place.
        target: The plugin that reads it.

    Returns:
        The licence, None when the message has no mark of ours.

    Raises:
        PluginError: The file was written by another target.
    """
    mark = message.get(MARK)
    if not isinstance(mark, dict):
        return None
    del message[MARK]
    if mark.get("target") != target:
        raise PluginError(
            f"This file of rejected calls was not written by {target}: replay it with the target "
            "that its lines name."
        )
    account = mark.get("account")
    return Licence(
        outcome={HELD: UNKNOWN}.get(said := str(mark.get("outcome")), said),
        account=Account(
            vendor=str(account.get("vendor")),
            origin=str(account.get("origin")),
            campaign=str(account.get("campaign")),
        )
        if isinstance(account, dict)
        else None,
        key=str(mark.get("key") or ""),
        attempt=int(mark.get("attempt") or 0),
    )


def read_old_schema(message: dict[str, Any]) -> bool:
    """Take the first form's mark out of a SCHEMA message.

    Returns:
        True when it was there: the stream is of a file that the first form wrote.
    """
    properties = message.get("schema", {}).get("properties")
    declared = properties.get(_OLD_MARK) if isinstance(properties, dict) else None
    ours = isinstance(declared, dict) and declared.get("description") == _OLD_SAYS
    if ours:
        message["schema"] = {
            **message["schema"],
            "properties": {n: value for n, value in properties.items() if n != _OLD_MARK},
        }
    return ours


def read_old_record(message: dict[str, Any]) -> Licence | None:
    """Take the first form's mark out of a RECORD message of such a stream.

    Raises:
        PluginError: The call's outcome is unknown, and the file does not say of which attempt.
    """
    record = message["record"]
    mark = record.pop(_OLD_MARK, None)
    if not isinstance(mark, dict):
        return None
    if mark.get("outcome") != "rejected":
        raise PluginError(
            "This file is of held calls and was written by release 0.1, which did "
            "not note the attempt: see at the vendor what became of each call, then say so with "
            "call-ledger resolve; what is released is sent when the tap gives it again."
        )
    return Licence("rejected")


def signs_of_earlier_runs(place: str, target: str, origin: str) -> str:
    """What shows that this target delivered to this vendor before; "" when nothing does.

    Args:
        place: ``rejected_path``.
        target: The plugin's name.
        origin: The vendor's, see ``http.origin``.

    Raises:
        PluginError: It is a bucket, and can't be read.
    """
    files = files_at(place)
    for name in files.names():
        with contextlib.suppress(OSError), files.open(name) as lines:
            for line in lines:
                # What is no line of ours is nobody's sign.
                with contextlib.suppress(ValueError, AttributeError):
                    mark = decode(line).get(MARK) or {}
                    account = mark.get("account") or {}
                    if mark.get("target") == target and account.get("origin") == origin:
                        return f"{name} is of a run that delivered to {origin}"
    return ""
