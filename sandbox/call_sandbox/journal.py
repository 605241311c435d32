"""The journal: every request that reached a vendor, as JSON; the oracle of the tests.

Finished entries are kept as encoded lines (some hundred bytes each), so that 10^5 requests stay
cheap. Requests still under way are listed too, with `status` null.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from time import monotonic, time
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN = "***"


class Journal:
    """In memory, and line by line in `file` when there is one.

    An entry has: `n` (from 1), `at` (epoch seconds), `at_monotonic`, `vendor`, `method`, `path`,
    `query`, `form`, `json`, `key` (of the call), `status` (null: no answer yet, or none was sent),
    `processed` (the vendor's books changed), `fault` (its word, or null), `bytes_in`, `bytes_out`
    (of the bodies), `duration` (seconds). A name that was sent twice has a list. Headers, and so
    credentials, are not in it; the fields in `secret_fields` of a vendor are hidden.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file
        self.clear()

    def clear(self) -> None:
        """Forget all entries; the file keeps its lines."""
        self._lines: list[tuple[int, str, str]] = []
        self._open: dict[int, dict[str, Any]] = {}
        self._count = 0
        self.statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.recent: deque[dict[str, Any]] = deque(maxlen=20)

    def open(self, vendor: str, method: str, path: str) -> dict[str, Any]:
        """Begin an entry; the caller fills it in and hands it to `close`."""
        self._count += 1
        entry: dict[str, Any] = {
            "n": self._count, "at": time(), "at_monotonic": monotonic(), "vendor": vendor,
            "method": method, "path": path, "query": {}, "form": None, "json": None, "key": None,
            "status": None, "processed": False, "fault": None,
            "bytes_in": 0, "bytes_out": 0, "duration": None,
        }  # fmt: skip
        self._open[self._count] = entry
        return entry

    def close(self, entry: dict[str, Any]) -> None:
        """Finish an entry, with whatever is known by now."""
        if self._open.pop(entry["n"], None) is not entry:
            return
        entry["duration"] = monotonic() - entry["at_monotonic"]
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
        self._lines.append((entry["n"], entry["vendor"], line))
        self.statuses[entry["vendor"]][str(entry["status"] or "no answer")] += 1
        self.recent.append({k: v for k, v in entry.items() if k not in {"query", "form", "json"}})
        if self._file:
            self._file.write(f"{line}\n")
            self._file.flush()

    def lines(self, vendor: str | None = None, since: int = 0) -> Iterator[str]:
        """The entries with `n` above `since`, as JSON texts, in the order in which they began."""
        chosen = [
            entry
            for entry in self._lines
            if entry[0] > since and (vendor is None or vendor == entry[1])
        ]
        chosen += [
            (n, entry["vendor"], json.dumps(entry, ensure_ascii=False))
            for n, entry in self._open.items()
            if n > since and (vendor is None or vendor == entry["vendor"])
        ]
        return (line for _, _, line in sorted(chosen))


def readable(pairs: Iterable[tuple[str, str]], secret: frozenset[str]) -> dict[str, Any]:
    """Pairs as a dict for the journal: secrets hidden, a repeated name as a list."""
    shown: dict[str, Any] = {}
    for name, value in pairs:
        text = HIDDEN if name in secret else value
        if name in shown:
            before = shown[name]
            shown[name] = [*before, text] if isinstance(before, list) else [before, text]
        else:
            shown[name] = text
    return shown
