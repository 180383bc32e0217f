"""Modules imported beside the loop."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from fastrelay.sources.aside import import_aside

SLOW = """\
import sys, time
while not hasattr(sys, "go_on"):
    time.sleep(0.01)
COMPLETE = True
"""


async def test_who_comes_while_a_module_is_imported_gets_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain import of a half imported module holds the loop until the other thread is done with it."""
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    first = asyncio.create_task(import_aside("slow_to_import"))
    async with asyncio.timeout(20):
        while "slow_to_import" not in sys.modules:  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.01)
    second = asyncio.create_task(import_aside("slow_to_import"))
    turns, until = 0, time.monotonic() + 0.1
    while time.monotonic() < until:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2, "the loop goes on"
    assert not second.done()
    monkeypatch.setattr(sys, "go_on", True, raising=False)
    await asyncio.gather(first, second)
    assert sys.modules["slow_to_import"].COMPLETE
