"""One flush of 64 KiB to 1,000 viewers at the edge, over real socket pairs with readers that keep up."""

import asyncio
import socket
from typing import Any

import uvloop

from fastrelay.mpegts.marks import Mark
from fastrelay.ring.cursor import Watermarks
from fastrelay.ring.index import Index
from fastrelay.ring.retention import Retention
from fastrelay.ring.ring import Ring
from fastrelay.server.live import RawOutlet
from fastrelay.streams import fanout as module
from fastrelay.streams.fanout import Fanout
from fastrelay.streams.viewers import Viewer

VIEWERS = 1000
FLUSH = bytes(348 * 188)


def test_flush_to_a_thousand_viewers(benchmark: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "SLICE_SECONDS", 60.0)
    loop = uvloop.new_event_loop()
    theirs: list[socket.socket] = []

    async def prepare() -> tuple[Ring, Fanout]:
        ring, index = Ring(4 << 20), Index()
        fanout = Fanout(
            ring,
            index,
            Retention(8.0, 0.0, 4 << 20),
            Watermarks(0.75, 5.0),
            flush_delay=60.0,
            flush_bytes=1 << 30,
            joined=lambda viewer: None,
            left=lambda viewer, reason: None,
        )
        index.add(Mark(position=0, seconds=0.0, pts=None, dts=None, tables=b""))
        for number in range(VIEWERS):
            ours, other = socket.socketpair()
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 19)
            theirs.append(other)
            viewer = Viewer(number, "", "", 0.0)
            viewer.outlet = RawOutlet(asyncio.get_running_loop(), ours, lambda: None)
            fanout.add(viewer, b"head")
        return ring, fanout

    ring, fanout = loop.run_until_complete(prepare())
    flushed = 0

    def drain() -> None:
        for other in theirs:
            other.recv(1 << 20, socket.MSG_DONTWAIT)
        ring.append(FLUSH)

    def flush() -> None:
        nonlocal flushed
        fanout.flush()
        flushed += 1

    for other in theirs:
        other.recv(4)
    ring.append(FLUSH)
    fanout.flush()
    benchmark.pedantic(flush, setup=drain, rounds=50)
    assert fanout.delivered == VIEWERS * (len(FLUSH) * (flushed + 1) + 4)
    for other in theirs:
        other.close()
    loop.close()
