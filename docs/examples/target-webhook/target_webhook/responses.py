"""A receiver's answers, as a table from status to outcome.

The README is the contract: a receiver answers 2xx when it has the call for good, and 409 when it
had it before. Of what it doesn't say, HTTP's own reading holds (``deliver.COMMON``): 4xx refuses
this call; 401, 403, 404 and redirects concern all and end the run; 429 and 503 are tried again.
After 500, 502 or 504, or without an answer, it may have been taken: ``on_unknown_outcome`` decides.
"""

from __future__ import annotations

from singer_calls.deliver import COMMON, Accepted, Duplicate, ResponseTable, Retry

TABLE: ResponseTable = {
    **COMMON,
    **dict.fromkeys(range(200, 300), Accepted()),
    # "The server did not receive a complete request message" (RFC 9110, 15.5.9).
    408: Retry("the receiver did not get the whole request in time"),
    409: Duplicate("the receiver has a call with this id already", claim="used"),
}
