"""Why a request failed, grouped by what is to be done next.

    AskAgainError      nobody's fault for good: the same request may be asked again
    └─ TooMuchError    likewise, but half as much is likelier to be answered
    PluginError        (singer_calls.errors) the run ends, in one sentence
    └─ UnansweredError every try of a request failed; a watch asks again at its next poll

A reason never holds a body, a URL's query or a credential.
"""

from __future__ import annotations

from singer_calls.errors import PluginError


class AskAgainError(Exception):
    """The request failed, and the same request may succeed later.

    Args:
        reason: What happened, to follow the vendor's name: "answered HTTP 503".
        after: Seconds the vendor asked to wait, None if it did not say.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class TooMuchError(AskAgainError):
    """The vendor could not answer so much at once: a timeout, HTTP 504, HTTP 413."""


class UnansweredError(PluginError):
    """Every try of a request failed; a later request may succeed.

    Args:
        what: What happened, after the vendor's name: "... answered HTTP 503, 5 times in a row".
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: run again later; what was read before is saved.")
        self.what = what
