"""Importing heavy modules without holding the loop."""

import asyncio
import importlib
import sys


async def import_aside(*names: str) -> None:
    """Import modules in a thread, unless they are imported already; a plain `import` of them is instant afterwards.

    aiohttp and cryptography are needed by some sources only and take longer than the loop may be held.
    """
    for name in names:
        if name not in sys.modules:
            await asyncio.to_thread(importlib.import_module, name)
