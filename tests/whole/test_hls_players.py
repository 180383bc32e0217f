"""Players of HLS over a switch to a source that shares nothing with the one before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.kit.behaviours import live
from tests.kit.gstreamer import Gstreamer
from tests.kit.origin import Origin
from tests.kit.server import Server
from tests.whole.relay import relay
from tests.whole.test_players import ALL_OTHER, FIRST, Vlc

HLS = "/stream/a/hls"
SECOND = 25
"""Pictures."""
AHEAD = 8 * SECOND
"""More than a player can still hold of the source before: it begins three segments from the end of the list."""


@asynccontextmanager
async def two_sources() -> AsyncIterator[tuple[Origin, Server]]:
    """A server whose second source is taken when the first one breaks off."""
    async with Origin() as origin:
        urls = [origin.route("/first", live(FIRST, burst=5)), origin.route("/other", live(ALL_OTHER, burst=2))]
        async with relay(*urls, hls={"segment_duration": "1s"}) as server:
            yield origin, server


async def switch(origin: Origin, server: Server) -> None:
    origin.reset("/first")
    await server.wait_status("a", lambda status: status["switches"] == 1)


async def test_vlc_plays_hls_over_a_switch() -> None:
    async with two_sources() as (origin, server):
        with Vlc(server.url(HLS)) as player:
            await player.shows(2 * SECOND, within=40)
            await switch(origin, server)
            await player.shows(AHEAD, within=60)
        assert (await server.status("a"))["clients_ts"] == 0


async def test_gstreamer_plays_hls_over_a_switch() -> None:
    async with two_sources() as (origin, server):
        with Gstreamer(server.url(HLS)) as player:
            await player.shows(2 * SECOND, within=40)
            await switch(origin, server)
            await player.shows(AHEAD, within=60)
        assert player.complaints == []
        assert (await server.status("a"))["clients_ts"] == 0
