"""What the server costs before anybody watches, and what a stream adds."""

import asyncio
import statistics
import time

from tests.kit.behaviours import live
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import POLL, Server
from tests.kit.viewer import connect

IDLE_RSS = 60_000_000
"""Bytes of an idle server."""
RING_SHARE = 1.5
"""A running stream may cost so many times its ring."""
RING = 8 << 20
SPARE = 6_000_000
"""Bytes that the allocator may keep for the next stream: less than one ring here."""


async def test_it_answers_soon_after_its_start() -> None:
    """0.3 s on an idle machine, nearly all of it the processor's: that is what counts on a busy one too. The bound
    leaves room for a slow processor and still catches an import gone wild.
    """
    took = []
    async with Server() as server:
        for _ in range(3):
            await server.stop()
            await server.start()
            assert (await server.get("/livez")).status == 200
            took.append(server.cpu_seconds)
    assert statistics.median(took) < 1, took


async def test_an_idle_server_is_small() -> None:
    async with Server() as server:
        for path in ("/livez", "/api/relays", "/api/streams/status"):
            assert (await server.get(path)).status == 200
        # The HTTP client is imported before the first viewer comes who would have to wait for it.
        end = time.monotonic() + 40
        while not server.maps("/aiohttp/"):
            assert time.monotonic() < end
            await asyncio.sleep(POLL)
        assert server.rss < IDLE_RSS


async def test_streams_cost_little_more_than_their_rings_and_give_them_back() -> None:
    source = PositionCoded(byte_rate=5_000_000)
    paths = ("a", "b")
    async with Origin() as origin:
        url = origin.route("/a", live(source))
        relays = [{"name": path, "output_path": path, "source_urls": [url]} for path in paths]
        limits = {"idle_timeout": "500ms", "ring_max": RING}
        async with Server({"relays": relays, "streams": limits}) as server:
            viewers = []
            # One after the other: each ring grows step by step from 2 MiB on, the second where the first has grown.
            for path in paths:
                viewers.append(await connect(server.url(f"/stream/{path}")))
                await server.wait_status(path, lambda status: status["ring_bytes"] == RING)
                assert server.rss < IDLE_RSS + RING_SHARE * RING * len(viewers), server.rss
            for viewer in viewers:
                viewer.close()
            for path in paths:
                await server.wait_status(path, lambda status: status["state"] == "idle")
            await wait_rss(server, IDLE_RSS + SPARE)


async def wait_rss(server: Server, limit: int) -> None:
    """Rings go a moment after their stream's end, when its viewers have what was left for them."""
    end = time.monotonic() + 40
    while server.rss >= limit:
        assert time.monotonic() < end, server.rss
        await asyncio.sleep(POLL)
