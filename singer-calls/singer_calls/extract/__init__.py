"""For taps: windows, bookmarks and late data over APIs that have no "updated since" filter.

A tap is four small modules on these names:

    CallTap          base of the tap: dates, signals, catalog and state checked, one sentence
                     at the end. Give ``name``, ``vendor``, ``config_jsonschema``,
                     ``discover_streams``.
    CallStream       base of a stream whose records are typed: the SDK's fast path, ``bookmark``,
                     ``save_bookmark``, ``dates``, ``prefetch``, ``drift``, ``tap``; ``prepare``
                     is called once, to make what its threads share.
    WindowedStream   a CallStream by the moment of the call. Give ``read(window, divisible=...)``;
                     windows, lookback, halving, order, ids, bookmarks and progress are done here.
    Window           ``start`` (None: since ever) and ``end``, aware UTC.
    Client           asks the vendor: ``array(url, params, convert=...)`` for one JSON array,
                     ``get(url, params, read=...)`` for any other ``Body``. Retries, Retry-After,
                     proxy, certificates and the rate limit are done here; ``Client.from_config``
                     takes the settings.
    read_pages       the records of an answer in pages, each an object around its list; with
                     ``next_link``, ``cursor`` or ``page_number`` as the way to the next one, or
                     a ``Follow`` of your own.
    last_value       for a JSON decoder of your own: of a key that comes twice, no value is lost.
    Spill            records kept in order in bounded memory.
    conform          a raw object as a record, by a table of fields; with ``text``, ``integer``,
                     ``values.duration.seconds``, ``values.boolean.boolean`` as its functions.
    functions        that table, as a flat schema says; with functions of your own where it can't.
    usable           the records of a list, of which an element that is none costs itself.
    conform_part     the same for an object inside of one.
    Seen             which calls came before, in bounded memory.
    SchemaDrift      counts the fields, values and elements that no schema expects.
    NotACallError    raised in ``convert`` for an element that can't become a record.
    RetriableError   raised in ``read`` for a body that is to be asked for again;
    ResponseTooLargeError  the same, where less might be answered. Raised out of a Client only
                     with ``divisible=True``: then halve the page, or let WindowedStream halve
                     the window.
    UnansweredError  raised out of a Client whose tries are used up: a PluginError that a watch
                     catches, to ask again at its next poll.

``values.clock`` has ``to_utc`` (vendor's time -> the one UTC text), ``asked_from`` and
``asked_to`` (a window's border -> the local time to ask with).
"""

from singer_calls.extract.call_stream import CallStream
from singer_calls.extract.client import Body, Client
from singer_calls.extract.errors import (
    NotACallError,
    ResponseTooLargeError,
    RetriableError,
    UnansweredError,
)
from singer_calls.extract.json_array import Record, Spill, last_value
from singer_calls.extract.pages import Follow, cursor, next_link, page_number, read_pages
from singer_calls.extract.prefetch import prefetch
from singer_calls.extract.records import (
    SchemaDrift,
    conform,
    conform_part,
    functions,
    integer,
    text,
    tree,
    usable,
)
from singer_calls.extract.seen import Seen
from singer_calls.extract.tap import CallTap
from singer_calls.extract.windowed_stream import WindowedStream
from singer_calls.extract.windows import Window

__all__ = [
    "Body",
    "CallStream",
    "CallTap",
    "Client",
    "Follow",
    "NotACallError",
    "Record",
    "ResponseTooLargeError",
    "RetriableError",
    "SchemaDrift",
    "Seen",
    "Spill",
    "UnansweredError",
    "Window",
    "WindowedStream",
    "conform",
    "conform_part",
    "cursor",
    "functions",
    "integer",
    "last_value",
    "next_link",
    "page_number",
    "prefetch",
    "read_pages",
    "text",
    "tree",
    "usable",
]
