"""From the first format to the second, in one transaction, with a copy beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def migrate(engine: Engine) -> None:
    """Bring a ledger of the first format to this one."""
    raise NotImplementedError(engine)
