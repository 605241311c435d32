# /// script
# requires-python = ">=3.11"
# dependencies = ["aiohttp==3.14.5"]
# ///
"""aiohttp and a few workers: no ledger, no retry, no validation. What a client alone costs."""

from __future__ import annotations

import asyncio

import aiohttp
from calls import authorization, forms, settings


async def main() -> None:
    """Send all calls, so many at a time."""
    config = settings()
    headers = {
        "Authorization": authorization(config),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    left = forms()
    connector = aiohttp.TCPConnector(
        limit=config["in_flight"], force_close=not config["keep_connections"]
    )

    async def work() -> None:
        for body in left:
            async with session.post(config["url"], data=body) as answer:
                answer.raise_for_status()
                await answer.read()

    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(work() for _ in range(config["in_flight"])))


if __name__ == "__main__":
    asyncio.run(main())
