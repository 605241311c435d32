"""Where each call is, by what the vendor saw."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Place(StrEnum):
    """Where a call can be."""

    PROCESSED = "processed by the vendor"
    SET_ASIDE = "set aside for a person"
    REFUSED = "sent, answered, and not processed"
    UNANSWERED = "sent, and not processed or answered"
    NEVER_SENT = "never sent"


@dataclass(frozen=True)
class Verdict:
    """What became of the calls of a test.

    Attributes:
        places: Call key -> where it is. A call that the vendor processed is there, also when it
            is set aside as well.
        processed: Call key -> how often the vendor processed it.
        sent: Call key -> how many requests had it; one that was cut off before it said its key
            is not counted.
    """

    places: Mapping[str, Place]
    processed: Mapping[str, int]
    sent: Mapping[str, int]

    @property
    def lost(self) -> set[str]:
        """Calls that neither the vendor nor a person has."""
        kept = {Place.PROCESSED, Place.SET_ASIDE}
        return {key for key, place in self.places.items() if place not in kept}

    @property
    def doubled(self) -> set[str]:
        """Calls that the vendor processed more than once."""
        return {key for key, times in self.processed.items() if times > 1}

    @property
    def repeated(self) -> set[str]:
        """Calls that were sent more than once, whatever became of that."""
        return {key for key, times in self.sent.items() if times > 1}

    @property
    def foreign(self) -> set[str]:
        """Calls that the vendor processed and nobody expected."""
        return set(self.processed) - set(self.places)


def judge(
    expected: Iterable[str],
    journal: Iterable[Mapping[str, Any]],
    set_aside: Collection[str] = (),
) -> Verdict:
    """The verdict over the calls that should have been delivered.

    Args:
        expected: Their keys.
        journal: What the vendor saw, as `Sandbox.journal` gives it.
        set_aside: Keys of the calls that the target kept for a person, in whatever file.
    """
    sent: Counter[str] = Counter()
    processed: Counter[str] = Counter()
    answered = set()
    for entry in journal:
        key = entry["key"]
        if key is not None:
            sent[key] += 1
            processed[key] += bool(entry["processed"])
            if entry["status"] is not None:
                answered.add(key)
    processed = +processed  # without those that are zero

    def place(key: str) -> Place:
        if key in processed:
            return Place.PROCESSED
        if key in set_aside:
            return Place.SET_ASIDE
        if key in answered:
            return Place.REFUSED
        return Place.UNANSWERED if key in sent else Place.NEVER_SENT

    return Verdict({key: place(key) for key in expected}, processed, sent)
