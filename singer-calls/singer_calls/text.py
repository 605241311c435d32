"""Text from elsewhere, fit for a log or a terminal."""

from __future__ import annotations

_LONGEST_CHARS = 64


def many(count: int, thing: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def shown(name: str, longest: int = _LONGEST_CHARS) -> str:
    """A name from outside, in quotes and on one line, with what could steer a terminal escaped.

    Args:
        name: A field's or a stream's name, an id. Never a value of a call.
        longest: More characters than that are cut.
    """
    return repr(name if len(name) <= longest else f"{name[:longest]}…")


def shown_bare(name: str, longest: int = _LONGEST_CHARS) -> str:
    """The same without the quotes, for a sentence."""
    return shown(name, longest)[1:-1]
