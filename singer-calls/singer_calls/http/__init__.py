"""One vocabulary for both directions: trust, waiting, and what a status or a failure means.

Nothing here knows requests or aiohttp: taps and targets each keep their library's table of
exceptions, in the words of ``faults``.

    origin        scheme and host of an address, in one spelling
    trust         which certificates and which proxy
    rate_limit    SlidingWindow, and a RateLimiter for each kind of program
    retry         RetryPolicy: how often and how long; RetryAfter or GiveUp
    retry_after   the wait that an answer asks for
    statuses      what an HTTP status means, any of them
    faults        what it means that no answer came
"""

from singer_calls.http.origin import origin_of
from singer_calls.http.rate_limit import BlockingRateLimiter

__all__ = ["BlockingRateLimiter", "origin_of"]
