"""What both directions know about HTTP; imports neither requests nor aiohttp."""
