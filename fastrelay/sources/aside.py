"""Importing heavy modules without holding the loop."""

import asyncio
import importlib

HTTP = ("fastrelay.sources.http", "fastrelay.sources.hls", "fastrelay.sources.http_ts", "fastrelay.sources.first_bytes")
"""All that a source over HTTP needs. aiohttp is most of it: half a second from a disk that has not read it yet."""

_imported: set[str] = set()


async def import_aside(*names: str) -> None:
    """Import modules in a thread, unless they are imported already; a plain `import` of them is instant afterwards.

    aiohttp and cryptography take longer than the loop may be held.
    """
    for name in names:
        # A module that another thread is still at is in sys.modules, too: whoever imports it waits for that thread.
        if name not in _imported:
            await asyncio.to_thread(importlib.import_module, name)
            _imported.add(name)
