"""For targets: delivery of calls to a vendor's API, no call lost, none sent twice unknowingly.

A target is four small modules on these names:

    target.py       ``CallTarget``, the plugin. Give ``name``, ``config_jsonschema``,
                    ``destination_class``; reading, files, ledger and sending are done here.
    destination.py  ``Destination``, one vendor as data and pure functions. Give its attributes,
                    ``headers``, ``render``, which makes a ``Delivery`` of a record, and ``place``;
                    ``sign`` for headers that depend on the body, ``json_body`` for one of JSON.
    call.py         The vendor's documented parameters, each a ``Parameter`` of a ``Kind``
                    (``text``, ``url``, ``choice``, ``WHOLE`` and others). ``given`` joins record
                    and settings, ``render`` makes what goes over the wire (``Rendered``),
                    ``Local`` reads bare times. ``InvalidCallError`` is for a record that can't
                    become a call, ``NotYetError`` for one that may not be sent yet.
    responses.py    What each status says, a ``ResponseTable``: ``COMMON | {201: Accepted()}``, and
                    ``COMMON | DEDUPED | {...}`` for a vendor that dedupes on our key. A row is an
                    ``Outcome`` (``Accepted``, ``Duplicate``, ``Rejected``, ``Unknown``, ``Retry``,
                    ``Pending``, ``Fatal``), or a function that reads it from the ``Response``.

Where a vendor can be told later what becomes known of a call, ``Destination.latest`` gives a
``LatestDestination``, which makes ``Knowledge`` of a record.
"""

from typing import TYPE_CHECKING

from singer_calls.deliver.delivery import Delivery, Response
from singer_calls.deliver.destination import Destination, LatestDestination, Place
from singer_calls.deliver.identity import Identity
from singer_calls.deliver.knowledge import Knowledge
from singer_calls.deliver.local import Local
from singer_calls.deliver.messages import json_body
from singer_calls.deliver.outcome import (
    Accepted,
    Duplicate,
    Fatal,
    InvalidCallError,
    NotYetError,
    Outcome,
    Pending,
    Rejected,
    Retry,
    Unknown,
)
from singer_calls.deliver.parameters import (
    DIGITS,
    DURATION,
    MONEY,
    NUMBER,
    WHOLE,
    Kind,
    Parameter,
    Rendered,
    choice,
    given,
    ignored,
    in_identity,
    is_blank,
    markdown,
    named,
    render,
    scalar,
    text,
    url,
)
from singer_calls.deliver.statuses import COMMON, DEDUPED, ResponseTable, read_response, text_of

if TYPE_CHECKING:
    from singer_calls.deliver.target import CallTarget
else:

    def __getattr__(name):  # noqa: ANN001, ANN202
        """``CallTarget`` brings the SDK, which ``call-ledger`` does without."""
        if name != "CallTarget":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from singer_calls.deliver.target import CallTarget  # noqa: PLC0415

        return CallTarget


__all__ = [
    "COMMON",
    "DEDUPED",
    "DIGITS",
    "DURATION",
    "MONEY",
    "NUMBER",
    "WHOLE",
    "Accepted",
    "CallTarget",
    "Delivery",
    "Destination",
    "Duplicate",
    "Fatal",
    "Identity",
    "InvalidCallError",
    "Kind",
    "Knowledge",
    "LatestDestination",
    "Local",
    "NotYetError",
    "Outcome",
    "Parameter",
    "Pending",
    "Place",
    "Rejected",
    "Rendered",
    "Response",
    "ResponseTable",
    "Retry",
    "Unknown",
    "choice",
    "given",
    "ignored",
    "in_identity",
    "is_blank",
    "json_body",
    "markdown",
    "named",
    "read_response",
    "render",
    "scalar",
    "text",
    "text_of",
    "url",
]
