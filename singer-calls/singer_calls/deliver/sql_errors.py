"""A database's errors, told by the driver's code (``sqlite_errorcode``, SQLSTATE).

A server's words come in its own language, and may hold an address or a password.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from singer_calls.deliver.ledger import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator


def code_of(error: BaseException | None) -> int | str | None:
    """The driver's code of an error: SQLite's primary result code, or a SQLSTATE."""
    cause = getattr(error, "orig", error)
    number = getattr(cause, "sqlite_errorcode", None)
    return number & 0xFF if number is not None else getattr(cause, "sqlstate", None)


_BUSY, _LOCKED = 5, 6
_RETRIABLE = {_BUSY, _LOCKED, "40001", "40P01", "55P03", "57014", "25006", "25P03", "53300"}


def is_transient(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the same may work in a moment: connection lost, deadlock, locked, restarting."""
    code = code_of(error)
    if isinstance(error, sa.exc.TimeoutError) or code in _RETRIABLE:
        return True
    if isinstance(code, str):
        return code[:2] in {"08", "57"}
    # A connection that broke or could not be made has no code.
    return isinstance(error, sa.exc.OperationalError) and code is None


DAMAGED = "restore it from a backup; starting without it could send calls again"
HINTS: dict[int | str, str] = {
    _BUSY: "another program holds it locked",
    _LOCKED: "another program holds it locked",
    8: "it is read-only",
    10: "its disk can't be read or written",
    11: f"the file is damaged: {DAMAGED}",
    13: "the disk is full: make room and run again",
    14: "its folder does not exist or may not be written",
    26: f"the file is damaged or no ledger: {DAMAGED}",
    "25006": "it is read-only: name the primary server, not a standby",
    "28000": "the server refuses this user",
    "28P01": "the server refuses this password",
    "3D000": "there is no such database on the server",
    "3F000": "there is no schema to make the tables in: see search_path",
    "40P01": "it was busy with other runs for too long",
    "42501": "the user may not read, write or make its tables",
    "53100": "the server's disk is full",
    "53300": "the server takes no more connections",
    "55P03": "another program holds its tables locked",
    "57P01": "the server is being shut down",
    "57P03": "the server is starting or being shut down",
}


def in_words(error: Exception, what: str) -> LedgerError:
    """A database's error as a sentence.

    Args:
        error: From SQLAlchemy, the system or the import of a driver.
        what: ``opened``, ``read`` or ``written``.
    """
    if isinstance(error, ImportError):
        return LedgerError(
            "The ledger (ledger_url) needs a database driver: install the extra [postgres]"
        )
    if isinstance(error, OSError):
        return LedgerError(f"The ledger (ledger_url) can't be {what}: {error.strerror}")
    cause = getattr(error, "orig", None)
    code = code_of(error)
    kind = type(cause or error).__name__ + (f" {code}" if isinstance(code, str) else "")
    hint = "check that it exists, can be reached and is not damaged"
    return LedgerError(
        f"The ledger (ledger_url) can't be {what} ({kind}: {HINTS.get(code or '', hint)})"
    )


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn a database's error into a sentence.

    Raises:
        LedgerError: Instead of it.
    """
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise in_words(error, what) from error
