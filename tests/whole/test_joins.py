"""Warm joins: who comes while others watch starts with a picture, and is not dropped for what he had to catch up."""

import asyncio

from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.viewer import Viewer, connect, join_many
from tests.whole.relay import PATH, relay

RATE = 100_000
GOPS = (1.0, 5.0, 10.0)
"""Seconds between key frames."""
COUNT = 200
RING = 400 * 1024
"""Bytes at the start: four seconds, so that the ring has to grow to hold a join at the longest interval."""


RING_SECONDS = 14
"""What the longest interval asks for anyway (twice join_behind, and the interval); half of it may come in a burst."""


async def _join_one_by_one(url: str, source: PositionCoded) -> list[Viewer]:
    """Spread over one and a half groups of pictures, so that they come in every phase of it."""
    joined = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(COUNT):
        await asyncio.sleep(began + number * 1.5 * source.gop / COUNT - loop.time())
        joined.append(await connect(url, Checker(source)))
    return joined


async def _warm_joins(origin: Origin, gop: float) -> None:
    source = PositionCoded(byte_rate=RATE, gop=gop)
    url = origin.route(f"/gop{gop:g}", live(source, burst=RING_SECONDS))
    async with relay(url, streams={"ring_size": RING, "ring_seconds": RING_SECONDS}) as server:
        first = await connect(server.url(PATH), Checker(source))
        # More than a group of pictures has come, the ring has grown to its size, and has begun to forget.
        await first.received(int((gop + 2) * RATE), within=60)
        await server.wait_status("a", lambda status: status["bytes_received"] > status["ring_bytes"], within=60)
        present = await join_many(server.url(PATH), COUNT - 1, lambda: Checker(source))
        joined = await _join_one_by_one(server.url(PATH), source)
        viewers = [first, *present, *joined]
        await asyncio.gather(*(viewer.received(RATE, within=60) for viewer in viewers))
        for viewer in viewers:
            viewer.verify(least=RATE, switches=0)
            assert viewer.closed is None
        starts = {viewer.checker.starts[0].number for viewer in joined if viewer.checker}
        assert len(starts) >= 2, "all joined at one key frame"
        status = await server.status("a")
        assert (status["clients"], status["dropped_slow"], status["switches"]) == (2 * COUNT, 0, 0)
        assert origin.requests(f"/gop{gop:g}") == 1


async def test_two_hundred_join_one_by_one_beside_two_hundred() -> None:
    """With key frames every 1, 5 and 10 s: three servers at once, because each runs in real time."""
    async with Origin() as origin, asyncio.TaskGroup() as group:
        for gop in GOPS:
            group.create_task(_warm_joins(origin, gop))
