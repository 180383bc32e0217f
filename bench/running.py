"""Streams that run, with viewers, on sources that never answer: for measuring what looks at them."""

import asyncio

from fastrelay.catalog.accounts import ProviderAccount
from fastrelay.config import Failover, Hls, Streams
from fastrelay.hls.discontinuities import Discontinuities
from fastrelay.hls.store import Memory
from fastrelay.metrics.tally import Tally
from fastrelay.sources.accounts import Accounts
from fastrelay.sources.base import Source
from fastrelay.streams.manager import Manager
from fastrelay.streams.run import Settings


def manager_of(count: int, viewers: int, tally: Tally, memory: Memory) -> Manager:
    """`count` streams with `viewers` each; to be called in a running loop."""

    async def never(url: str, *, trusted: bool, single: bool) -> Source:
        await asyncio.Event().wait()
        raise AssertionError

    async def none(stream_id: str, url: str) -> ProviderAccount | None:
        return None

    numbers = Discontinuities(0, 0.0, lambda number: None)
    settings = Settings(
        Streams(ring_size=256 * 1024), Failover(), Hls(), memory, numbers, never, none, Accounts(), tally
    )
    streams = Manager(settings)
    for number in range(count):
        stream = streams.open(f"channel:{number}", "channel", (f"http://h/live/me/pass/{number}.ts",), trusted=False)
        for viewer in range(viewers):
            stream.enter(f"10.0.0.{viewer}", "VLC")
    return streams
