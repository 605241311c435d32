"""What a store answers, as a sentence that quotes nothing of it."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, InvalidPathError

from singer_calls.errors import PluginError
from singer_calls.recordings.checks import PathError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a store answers -> what to do about it. Words of S3, Azure, Google and of file systems, the
# first that is found counts.
_REFUSALS: dict[str, str] = {
    "RequestTimeTooSkewed|difference between the request time": "says that its clock and this "
    "machine's differ: set the time here",
    "InvalidAccessKeyId|SignatureDoesNotMatch|InvalidAuthenticationInfo|AuthenticationFailed"
    "|AuthorizationHeaderMalformed": "refuses the credentials: check key, secret and region in "
    "recordings_storage",
    "ExpiredToken|InvalidToken": "says that the credentials have expired: renew them",
    "NoSuchBucket|ContainerNotFound|The specified bucket does not exist": "does not exist: check "
    "recordings_url, or create it",
    "NotImplemented|InvalidRequest": "can't do what is asked of it: ask for conditional writes "
    "(If-None-Match), or use another store",
    "missing from response": "answers otherwise than a store of this kind does: check "
    "recordings_url, and the endpoint in recordings_storage",
    "No space left|Disk quota|File too large|QuotaExceeded|InsufficientCapacity|EDQUOT|507 ": "is "
    "full: make room",
    "Permission denied|Read-only file system": "may not be written to: check the folder's owner",
    # A HEAD is refused without a word, also by a wrong clock.
    "AccessDenied|403 |401 |HEAD .* 400 ": "refuses: check key, secret and rights in "
    "recordings_storage (they must be allowed to list, read and write, see the README), and this "
    "machine's clock",
    "[Mm]issing|[Cc]redential|decode": "can't be used with these credentials: check "
    "recordings_storage",
    "code: 50[03] |SlowDown": "fails by itself, as one does that is full or overloaded: see "
    "whether it has room, and run again",
    "error sending request|[Cc]onnect|timed out|dns": "can't be reached: check recordings_url, the "
    "endpoint in recordings_storage, and the network",
}


class StoreError(PluginError):
    """The store refuses, or can't be reached."""


@contextlib.contextmanager
def in_sentences(*expected: type[Exception]) -> Iterator[None]:
    """Turn whatever the store answers into a sentence that quotes nothing of it."""
    try:
        yield
    except expected:
        raise
    except (BaseError, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, InvalidPathError) or "parse path" in str(error):
            raise PathError("is not the path of a recording") from None
        raise StoreError(f"The store of recordings {refusal(error)}.") from None


def refusal(error: Exception) -> str:
    """What the store says, and what to do about it: a clause without a value."""
    told = str(error)
    for words, advice in _REFUSALS.items():
        if re.search(words, told):
            return advice
    return f"failed ({type(error).__name__}): run again later"
