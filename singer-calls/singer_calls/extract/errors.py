"""Why a request failed, grouped by what is to be done next.

    RetriableError              nobody's fault for good: the same request may be asked again
    └─ ResponseTooLargeError    likewise, but half as much is likelier to be answered
    NotACallError               an element of a list that can't become a record: it costs itself
    PluginError                 (singer_calls.errors) the run ends, in one sentence
    └─ UnansweredError          every try of a request failed; a watch asks again at its next poll

A reason never holds a body, a URL's query or a credential.
"""

from __future__ import annotations

from singer_calls.errors import PluginError


class RetriableError(Exception):
    """The request failed, and the same request may succeed later.

    Args:
        reason: What happened, to follow the vendor's name: "answered HTTP 503".
        wish: Seconds the vendor asked to wait, None if it did not say.
        everyone: Whether it is meant for all requests, not for this one.
        advice: What to do if it stays so, None for "run again later".
    """

    def __init__(
        self,
        reason: str,
        *,
        wish: float | None = None,
        everyone: bool = False,
        advice: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wish = wish
        self.everyone = everyone
        self.advice = advice


class ResponseTooLargeError(RetriableError):
    """The vendor could not answer so much at once: a timeout, HTTP 504, HTTP 413."""


class NotACallError(ValueError):
    """An element of a vendor's list that can't become a record.

    Args:
        reason: What is wrong with it, without a value.
        recognised: Whether it is a call all the same: it has a field that is documented.
    """

    def __init__(self, reason: str, *, recognised: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.recognised = recognised


class UnansweredError(PluginError):
    """Every try of a request failed; a later request may succeed.

    Args:
        what: What happened, after the vendor's name: "... answered HTTP 503, 5 times in a row".
        advice: What to do, None for "run again later".
    """

    def __init__(self, what: str, advice: str | None = None) -> None:
        super().__init__(f"{what}: {advice or 'run again later'}; what was read before is saved.")
        self.what = what
        self.advice = advice
