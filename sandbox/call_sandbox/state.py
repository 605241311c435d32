"""Everything one running sandbox knows, and what may be asked of it or changed in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from call_sandbox.vendors.invoca_signals import InvocaSignals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from call_sandbox.faults import Faults
    from call_sandbox.journal import Journal
    from call_sandbox.vendor import Vendor, World

CALLS_SHOWN = 12
"""Rows per vendor on the page."""


class BadRequestError(ValueError):
    """A vendor, switch or value that the sandbox does not have; the message is for people."""


class State:
    """One sandbox: its world, vendors, journal and faults."""

    def __init__(
        self, world: World, vendors: Iterable[Vendor], journal: Journal, faults: Faults
    ) -> None:
        self.world = world
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.journal = journal
        self.faults = faults

    def vendor(self, name: object) -> Vendor:
        """The vendor of this name.

        Raises:
            BadRequestError: There is none.
        """
        if name not in self.vendors:
            raise BadRequestError(f"no vendor {name!r}; there are: {', '.join(self.vendors)}")
        return self.vendors[str(name)]

    def books(self, name: str) -> dict[str, int]:
        """Call key -> how often the vendor processed it."""
        return dict(self.vendor(name).books)

    def signals(self) -> dict[str, dict[str, Any]]:
        """What Invoca knows of each call: its signals, its custom data."""
        (vendor,) = (v for v in self.vendors.values() if isinstance(v, InvocaSignals))
        return vendor.known()

    def switches(self) -> dict[str, dict[str, Any]]:
        """The current value of every switch, by vendor."""
        return {name: dict(vendor.switch) for name, vendor in self.vendors.items()}

    def set_switches(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Turn switches, all or none.

        Raises:
            BadRequestError: A vendor, a switch or a value is unknown.
        """
        for name, values in told.items():
            known = self.vendor(name).switches
            for word, value in values.items():
                if word not in known:
                    raise BadRequestError(f"no switch {word!r}; {name} has: {', '.join(known)}")
                if not known[word].accepts(value):
                    choices = ", ".join(known[word].choices) or "a whole number from 0 on"
                    raise BadRequestError(f"{name}.{word} cannot be {value!r}, only: {choices}")
        for name, values in told.items():
            self.vendor(name).switch.update(values)

    def advance(self, seconds: float) -> float:
        """Move the sandbox's time on; returns the new time, epoch seconds."""
        self.world.now += seconds
        self.world.changed.set()
        return self.world.now

    def reset(self) -> None:
        """Forget books, journal, faults and scripts; time and switches stay."""
        for vendor in self.vendors.values():
            vendor.reset()
        self.journal.clear()
        self.faults.clear()

    def summary(self) -> dict[str, Any]:
        """What the page shows; phone numbers masked."""
        return {
            "now": self.world.now,
            "seed": self.world.seed,
            "vendors": [
                {
                    "name": vendor.name,
                    "title": vendor.title,
                    "serves": vendor.serves,
                    "total": vendor.total(),
                    "sent_again": sum(vendor.books.values()) - len(vendor.books),
                    "statuses": dict(vendor.statuses()),
                    "answers": dict(self.journal.statuses[vendor.name]),
                    "faults": dict(self.faults.fired[vendor.name]),
                    "newest": [
                        asdict(call) | {"times": vendor.books.get(call.key)}
                        for call in vendor.newest(CALLS_SHOWN)
                    ],
                }
                for vendor in self.vendors.values()
            ],
            "requests": [*self.journal.recent][::-1],
        }
