"""What a task is to become: what the log of Meltano and its plugins says became of the calls."""

from __future__ import annotations

import enum
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


class Verdict(enum.Enum):
    """What a task is to become; README.md, What the colours mean."""

    DONE = "done"
    AGAIN = "again"  # it may heal by itself
    PENDING = "pending"  # calls may not be sent yet
    ASIDE = "aside"  # calls wait for a person
    WRONG = "wrong"  # a person has to correct a setting


# Sentences of Meltano and of the plugins (`Setting ...` of all, the others of one status or word)
# that running again won't change.
_WRONG = re.compile(
    r"^Setting |^The (mapping in stream_maps|environment variable) |"
    r"refuse[sd] (the credentials|\w+_token)|denied permission|correct (it|them|api_url)"
    r"|referenced but not set|is not known to Meltano|must be specified"
    r"|install the extra|^No module named |Executable .* could not be found"
)
_NEW = ("rejected", "held")
_EARLIER = ("still_rejected", "still_held")


@dataclass
class Log:
    """What Meltano and the plugins say, line by line.

    Attributes:
        counts: Of the target's summary line, by its words; empty until it comes.
        errors: The sentences of level error.
        places: Of the files, or of the objects in a bucket, of the calls that were set aside.
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def hear(self, line: str) -> tuple[str, str] | None:
        """Take in a line.

        Returns:
            Its level, and its text for people; None for one that is none of their business.
        """
        try:
            told: Any = json.loads(line)
            level, text = told["level"], str(told["event"]).strip()
        except (ValueError, KeyError, TypeError):
            return "info", line.rstrip()
        if text == "METRIC":
            return None
        if summary := re.search(r"Summary: (.*)", text):
            self.counts = Counter(
                {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", summary[1])}
            )
        if place := re.match(r"(?:Rejected|Held) calls are in (.+?)(?:\.$|: see)", text):
            self.places.append(place[1])
        if level in {"error", "critical"}:
            self.errors.append(text.splitlines()[0])
        return level, f"{told['name']}: {text}" if "name" in told else text

    def verdict(self, code: int, *, counted: bool, again: bool) -> tuple[Verdict, str]:
        """What the task is to become.

        Args:
            code: How Meltano ended.
            counted: Whether the target has a summary line: without it, nobody knows.
            again: Whether calls that an earlier run set aside count too: where this run repeats
                it, and nobody may take the calls for delivered.

        Returns:
            It, and a sentence for people.
        """
        names = _NEW + _EARLIER if again else _NEW
        aside = ", ".join(f"{self.counts[name]} {name}" for name in names if self.counts[name])
        if aside and self.places:
            aside = f"{aside}, in {' and '.join(self.places)}"
        if code:
            wrong = [error for error in self.errors if _WRONG.search(error)]
            if wrong:
                return Verdict.WRONG, _advised(wrong[0])
            said = self._said()
            return Verdict.AGAIN, f"{said} So far {aside}." if aside else said
        if counted and not self.counts:
            return Verdict.AGAIN, "The target ended without its summary line."
        if aside:
            return Verdict.ASIDE, (
                f"Calls are set aside: {aside}. `call-ledger list` names them, `call-ledger show`"
                " their files, and `call-ledger resolve` decides them; then run this again."
            )
        if self.counts["pending"]:
            return Verdict.PENDING, f"{self.counts['pending']} calls may not be sent yet."
        return Verdict.DONE, ""

    def _said(self) -> str:
        # Meltano's own last words (ELT could not be completed) come after the plugin's.
        plugins = [e for e in self.errors if not re.match(r"(ELT|Run|Block|Extract|Load)", e)]
        return (plugins or self.errors or ["Meltano ended without a word."])[0]


def _advised(said: str) -> str:
    # The one that Meltano leaves without a word of what to do.
    if not said.startswith("No module named "):
        return said
    return (
        f"{said}: Meltano on this machine has no driver for MELTANO_DATABASE_URI. Install"
        " meltano[postgres] there."
    )
