"""Whatever the others do, every viewer gets each byte once and in order until he is closed."""

import asyncio

from tests.kit.behaviours import body, live
from tests.kit.checker import Checker
from tests.kit.healthy import HealthyViewer
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.viewer import connect, join_many, stalled, trickling
from tests.whole.relay import PATH, relay

RING = 512 << 10


async def test_stalled_and_trickling_viewers_are_dropped_and_nobody_gets_a_wrong_byte() -> None:
    source = PositionCoded(byte_rate=200_000)
    limits = {"ring_size": RING, "ring_max": RING}
    async with (
        Origin() as origin,
        relay(origin.route("/b", live(source))) as undisturbed,
        relay(origin.route("/a", live(source)), streams=limits) as server,
    ):
        url = server.url(PATH)
        with (
            # Fifty readers share two cores and one interpreter: what he waits for without them is not the server's.
            HealthyViewer(undisturbed.url(PATH), source, max_gap=60.0) as control,
            HealthyViewer(url, source, beside=control) as healthy,
        ):
            good = await join_many(url, 39, lambda: Checker(source))
            bad = [await stalled(url, Checker(source)) for _ in range(5)]
            bad += [await trickling(url, 20_000, Checker(source)) for _ in range(5)]
            await asyncio.gather(*(viewer.received(10 * RING, within=60) for viewer in good))
            status = await server.wait_status("a", lambda status: status["dropped_slow"] == len(bad))
            assert status["clients"] == len(good) + 1
            assert healthy.checker.position > 8 * RING
        for viewer in good:
            viewer.verify(least=10 * RING)
        drops = [event for event in status["events"] if event["event"] == "viewer dropped"]
        assert len(drops) == len(bad)
        assert all("slow" in event["detail"] for event in drops)
        for viewer in bad:
            viewer.set_rate(None)
            assert await viewer.ended() == "reset"
            viewer.verify()


async def test_a_burst_of_ten_seconds_is_paced_and_overwrites_nothing() -> None:
    source = PositionCoded(byte_rate=500_000)
    async with Origin() as origin, relay(origin.route("/a", live(source, burst=10))) as server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        viewer = await connect(server.url(PATH), Checker(source))
        await viewer.received(int(0.9 * 4 * 500_000))
        await viewer.received(6 * 500_000, within=60)
        # At most half of the ring's 8 seconds ahead of the clock: 6 seconds of media take 2 at least.
        assert loop.time() - began > 1.8
        late = await connect(server.url(PATH), Checker(source))
        await late.received(500_000)
        viewer.verify()
        late.verify()
        assert (await server.status("a"))["dropped_slow"] == 0


async def test_a_static_file_is_paced_and_its_end_goes_to_the_next_source() -> None:
    """A whole file comes as fast as it is read: it is read no faster than it plays."""
    recording, channel = PositionCoded(source_id=1), PositionCoded(source_id=2)
    async with (
        Origin() as origin,
        relay(origin.route("/a", body(recording.take(7.0))), origin.route("/b", live(channel))) as server,
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        viewers = await join_many(server.url(PATH), 20, lambda: Checker(recording, channel))
        await asyncio.gather(*(viewer.received(6 * 500_000, within=60) for viewer in viewers))
        assert loop.time() - began > 1.8
        await asyncio.gather(*(viewer.received(9 * 500_000, within=60) for viewer in viewers))
        for viewer in viewers:
            viewer.verify(switches=1)
        assert (await server.status("a"))["dropped_slow"] == 0
        assert (origin.requests("/a"), origin.requests("/b")) == (1, 1)
