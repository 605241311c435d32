"""One request and its answer; every failure on the way is an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import aiohttp

from singer_calls.deliver.delivery import Answer, Delivery
from singer_calls.deliver.failures import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_calls.deliver.outcome import Outcome

BODY_LIMIT = 64 * 1024  # bytes read of an answer: enough for every documented one
_KEEP_ALIVE = 4.0  # seconds; common servers close idle connections after 5 s and more


class Transport:
    """A pool of connections to the vendor; an async context, to be used from its loop only.

    Args:
        headers: Of every request, credentials among them.
        timeout: Seconds for one request, connecting included.
        connections: At most, side by side.
        proxy: Its URL, or None.
    """

    def __init__(
        self, headers: Mapping[str, str], *, timeout: float, connections: int, proxy: str | None
    ) -> None:
        self._headers = headers
        # A connection that does not come must show as such before the whole time is up: then
        # nothing was sent.
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)
        self._connections = connections
        self._proxy = proxy

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            proxy=self._proxy,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEP_ALIVE),
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def post(self, delivery: Delivery, classify: Callable[[Answer], Outcome]) -> Outcome:
        """Send one call, once. A redirect is an answer: nothing is posted along.

        Args:
            delivery: What to send.
            classify: Reads the answer.
        """
        try:
            async with self._session.post(
                delivery.url,
                data=delivery.body,
                headers=delivery.headers,
                allow_redirects=False,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) >= BODY_LIMIT:
                        break
                answer = Answer(response.status, response.headers, bytes(body[:BODY_LIMIT]))
        except Exception as error:
            outcome = outcome_of(error)
            if outcome is None:
                raise
            return outcome
        return classify(answer)
