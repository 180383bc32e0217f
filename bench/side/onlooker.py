"""What everybody else notices while something is done to a server: its viewers, who asks it something, its memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.load.watch import family, use_of
from bench.side.audience import Audience
from bench.side.pulse import Beat, Pulse
from tests.kit.server import Server

HOLD_MAX = 0.05
"""Seconds the loop may be held."""
GAP_MAX = 0.25
"""Seconds in which a viewer must get something."""
GROWTH_MAX = 150 << 20
"""Bytes that the server's memory may grow by."""
_PAUSE = 2.0
_AFTERWARDS = 0.5
_EVERY = 0.1


@dataclass(frozen=True)
class Row:
    """What was seen during one thing. Times in seconds, sizes in bytes."""

    name: str
    seconds: float
    latest: Beat
    late: int
    """Answers that were held longer than HOLD_MAX."""
    overslept: float
    """How late those who look on were themselves at most: then it was the machine."""
    gap: float
    """The longest of all viewers."""
    growth: int
    """Of the server's resident memory since the beginning, at most."""
    family: int
    """The same together with the processes it has started."""

    @property
    def good(self) -> bool:
        """Whether the bounds are held. What the machine did to those who look on, it did to the viewers too."""
        return self.late == 0 and self.gap <= GAP_MAX + self.overslept and self.growth <= GROWTH_MAX


class Onlooker:
    """Watches one thing after the other."""

    def __init__(self, server: Server, audience: Audience, pulse: Pulse) -> None:
        self.rows: list[Row] = []
        self._server = server
        self._audience = audience
        self._pulse = pulse
        self._before = server.rss

    async def during(self, name: str, work: Callable[[], Awaitable[None]]) -> Row:
        """Do it, and watch until a moment after it. Raises EOFError when a viewer was dropped."""
        await asyncio.sleep(_PAUSE)
        self._pulse.take()
        self._audience.take()
        watching = asyncio.create_task(self._watch_memory())
        began = time.monotonic()
        await work()
        seconds = time.monotonic() - began
        await asyncio.sleep(_AFTERWARDS)
        watching.cancel()
        beats = self._pulse.take()
        gap, late = self._audience.take()
        row = Row(
            name,
            seconds,
            max(beats, key=lambda beat: beat.held),
            sum(beat.held > HOLD_MAX for beat in beats),
            max(late, *(beat.overslept for beat in beats)),
            gap,
            self._growth,
            self._family,
        )
        self.rows.append(row)
        return row

    async def _watch_memory(self) -> None:
        self._growth = self._family = 0
        while True:
            self._growth = max(self._growth, self._server.rss - self._before)
            self._family = max(self._family, use_of(family(self._server.pid), 0.0).rss - self._before)
            await asyncio.sleep(_EVERY)
