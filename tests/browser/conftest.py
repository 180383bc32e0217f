"""One Chromium per file: each tab has a profile of its own in it, and starting it takes seconds."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.kit.browser import Browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser
