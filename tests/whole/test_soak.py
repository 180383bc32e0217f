"""Hours in seconds: viewers who stay, viewers who come and go, and a switch at every turn."""

import asyncio

from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Viewer, connect, join_many
from tests.whole.relay import PATH, relay

FIRST = PositionCoded(source_id=1, byte_rate=50_000, gop=0.4)
SECOND = PositionCoded(source_id=2, byte_rate=50_000, gop=0.4)
TURNS = 12
STAY, PASS = 30, 8
"""Viewers who see all of it, and those who look in at each turn."""
GROWTH = 6_000_000
"""Bytes that the server may grow by in the second half: the allocator has its own mind. What keeps a megabyte and a
half at each turn grows by more; a socket that is kept shows among the files."""


async def test_nobody_gets_a_wrong_byte_and_nothing_grows() -> None:
    async with Origin() as origin:
        urls = origin.route("/a", live(FIRST)), origin.route("/b", live(SECOND))
        async with relay(*urls) as server:
            stay = await join_many(server.url(PATH), STAY, lambda: Checker(FIRST, SECOND))
            await asyncio.gather(*(viewer.received(1) for viewer in stay))
            sizes: list[int] = []
            files: list[int] = []
            for turn in range(1, TURNS + 1):
                passing = asyncio.gather(*(_look_in(server, number) for number in range(PASS)))
                assert (await server.post("/api/streams/a/switch")).status < 300
                await asyncio.gather(passing, *(_switched(viewer, turn) for viewer in stay))
                status = await server.wait_status("a", lambda status: status["clients"] == STAY)
                assert (status["switches"], status["dropped_slow"]) == (turn, 0)
                await origin.wait_for(lambda origin: origin.open_now() == 1)
                sizes.append(server.rss)
                files.append(server.fds)
            for viewer in stay:
                viewer.verify(switches=TURNS)
            assert files[-1] <= files[TURNS // 2] + 1, files
            assert sizes[-1] - sizes[TURNS // 2] < GROWTH, sizes


async def _look_in(server: Server, number: int) -> None:
    """A viewer who stays for a moment, and leaves with a reset when his number is odd."""
    viewer = await connect(server.url(PATH), Checker(FIRST, SECOND))
    await viewer.received(4_000 * number + 1)
    viewer.verify(least=0)
    if number % 2:
        viewer.reset()
    else:
        viewer.close()


async def _switched(viewer: Viewer, times: int) -> None:
    checker = viewer.checker
    assert checker
    await viewer.wait_for(lambda _: checker.fault is not None or len(checker.switches) >= times)
