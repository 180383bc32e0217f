"""Waiting for a source, but not for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastrelay.errors import StallError


@asynccontextmanager
async def within(seconds: float, text: str) -> AsyncIterator[None]:
    """Raises StallError(text) when the block takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StallError(text) from None
