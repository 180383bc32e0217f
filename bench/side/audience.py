"""Viewers of a stream in a process of their own, and the longest any of them had to wait."""

import asyncio
import time
from multiprocessing.connection import Connection

import uvloop

from bench.side.aside import Aside
from tests.kit.viewer import Viewer, join_many

ENOUGH = 1_000_000
"""Bytes after which a viewer has seen the start of the stream."""
_TICK = 0.01


class Audience(Aside[tuple[float, float]]):
    """`count` viewers. What is taken: the longest gap of any of them, and how late they themselves were at most, in
    seconds."""

    def __init__(self, url: str, count: int) -> None:
        super().__init__(_run, url, count)


def _run(asked: Connection, url: str, count: int) -> None:
    uvloop.run(_watch(asked, url, count))


async def _watch(asked: Connection, url: str, count: int) -> None:
    viewers = await join_many(url, count)
    await asyncio.gather(*(viewer.received(ENOUGH) for viewer in viewers))
    late = 0.0
    while True:
        due = time.monotonic() + _TICK
        await asyncio.sleep(_TICK)
        late = max(late, time.monotonic() - due)
        if asked.poll():
            asked.recv()
            asked.send((_longest_gap(viewers), late))
            late = 0.0


def _longest_gap(viewers: list[Viewer]) -> float:
    """Since the last call. Raises AssertionError when one was dropped."""
    assert all(viewer.closed is None for viewer in viewers), "a viewer was dropped"
    longest = max(viewer.largest_gap for viewer in viewers)
    for viewer in viewers:
        viewer.reception.forget_gaps()
    return longest
