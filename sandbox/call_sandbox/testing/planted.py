"""Values that are put in where they belong, and may come out nowhere."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CRASHES = ("Traceback (most recent call last)", "Fatal Python error")
"""What a program says that has lost control of itself; a traceback quotes what it handled."""


def _forms(text: str) -> tuple[str, ...]:
    """A text as it is, and as a URL has it: in its path, in its parts, in a form."""
    return text, quote(text), quote(text, safe=""), quote_plus(text)


# A measured time has so many digits that a phone number may be among them.
_FRACTION = re.compile(r"\d\.\d{12,}")


@dataclass(frozen=True)
class Planted:
    """Secrets and personal values of a test.

    Attributes:
        secrets: Tokens, passwords, names: found as they are and in the form of a URL.
        numbers: The first digits of phone numbers, at least five; four more follow. They are found
            with whatever a person writes between digits, and as the form of a URL has them.
        logins: User and password of HTTP's basic authentication: found in its header's form.
    """

    secrets: Sequence[str] = ()
    numbers: Sequence[str] = ()
    logins: Sequence[tuple[str, str]] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        between = r"(?:%[0-9A-F]{2}|[^\w\n]){0,2}"
        rest = rf"(?:{between}\d){{4}}"
        # The end of a header's base64 changes with what follows: what is before it does not.
        headers = (b64encode(":".join(login).encode()).decode()[:-4] for login in self.logins)
        texts = {form for text in self.secrets for form in _forms(text)}
        parts = [re.escape(text) for text in {*CRASHES, *texts, *headers} if text]
        parts += [between.join(number) + rest for number in self.numbers]
        return re.compile("|".join(parts))

    def shown_in(self, outputs: Iterable[str]) -> list[str]:
        """The lines of an output that show what they may not, or the end of a crash."""
        return [line for line in outputs if self._pattern.search(_FRACTION.sub("", line))]
