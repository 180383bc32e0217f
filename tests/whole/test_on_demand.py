"""One upstream, pulled only while someone watches, whatever viewers do."""

import asyncio

from fastrelay.streams.manager import STOPPED_KEPT
from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.viewer import connect, fetch, join_many, trickling
from tests.whole.relay import PATH, relay

SOURCE = PositionCoded()


async def test_nothing_is_dialled_before_a_viewer_comes_and_nothing_stays_after_the_last_left() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        assert (await server.get("/api/streams/status")).json() == {"total_streams": 0, "streams": []}
        assert (await server.status("a"))["state"] == "idle"
        assert origin.requests("/a") == 0
        viewer = await connect(server.url(PATH), Checker(SOURCE))
        await viewer.received(50_000)
        status = await server.status("a")
        assert (status["state"], status["clients"], status["active"]) == ("active", 1, True)
        assert status["bytes_streamed"] >= 50_000
        viewer.verify()
        viewer.close()
        await server.wait_status("a", lambda status: status["state"] == "stopping")
        assert origin.open_now() == 1
        await server.wait_status("a", lambda status: status["state"] == "idle")
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert (await server.get("/api/streams/status")).json()["total_streams"] == 0
        assert origin.requests("/a") == 1


async def test_who_comes_back_in_time_finds_the_same_upstream_connection() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        for _ in range(3):
            viewer = await connect(server.url(PATH), Checker(SOURCE))
            await viewer.received(100_000)
            viewer.verify()
            viewer.close()
            await server.wait_status("a", lambda status: status["state"] == "stopping")
        assert origin.requests("/a") == 1
        await server.wait_status("a", lambda status: status["state"] == "idle")


async def test_head_is_answered_at_once_and_starts_nothing() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        reply = await fetch(server.url(PATH), method="HEAD")
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["content-type"] == "video/mp2t"
        assert (await server.status("a"))["state"] == "idle"
        assert origin.requests("/a") == 0


async def test_five_hundred_viewers_of_a_cold_stream_share_one_connection() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        viewers = await join_many(server.url(PATH), 500, lambda: Checker(SOURCE))
        await asyncio.gather(*(viewer.received(300_000, within=60) for viewer in viewers))
        for viewer in viewers:
            viewer.verify()
            assert viewer.status == 200
        assert (await server.status("a"))["clients"] == 500
        assert (origin.requests("/a"), origin.open_now()) == (1, 1)
        for viewer in viewers:
            viewer.close()
        await server.wait_status("a", lambda status: status["clients"] == 0)


async def test_leaving_and_coming_back_in_every_state() -> None:
    """Waves of viewers, some gone before the first byte, others back while the stream stops or has just stopped."""
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), streams={"idle_timeout": "150ms"}) as server:
        for wave in range(8):
            impatient = await asyncio.gather(*(connect(server.url(PATH)) for _ in range(20)))
            for viewer in impatient[wave::2]:
                viewer.reset()
            patient = await join_many(server.url(PATH), 20, lambda: Checker(SOURCE))
            await asyncio.gather(*(viewer.received(50_000) for viewer in patient))
            for viewer in patient:
                viewer.verify()
            for viewer in (*impatient, *patient):
                viewer.close()
            if wave % 3 == 0:
                await server.wait_status("a", lambda status: status["state"] == "idle")
        await server.wait_status("a", lambda status: status["state"] == "idle")
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.most_at_once("/a") == 1


async def test_stop_ends_the_viewers_and_the_upstream_and_the_next_viewer_starts_anew() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        viewer = await connect(server.url(PATH), Checker(SOURCE))
        await viewer.received(50_000)
        assert (await server.post("/api/streams/a/stop")).status == 200
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert await viewer.ended() == "eof"
        viewer.verify()
        again = await connect(server.url(PATH), Checker(SOURCE))
        await again.received(50_000)
        again.verify()
        assert origin.requests("/a") == 2


async def test_who_leaves_gives_back_his_socket_and_his_place() -> None:
    """More come and go than may be there at a time."""
    limit = {"max_connections": 80}
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), server=limit) as server:
        stays = await connect(server.url(PATH), Checker(SOURCE))
        await stays.received(50_000)
        await server.wait_status("a", lambda status: status["clients"] == 1)
        before = server.fds
        for wave in range(6):
            viewers = await join_many(server.url(PATH), 30)
            await asyncio.gather(*(viewer.received(10_000) for viewer in viewers))
            for number, viewer in enumerate(viewers):
                viewer.reset() if (number + wave) % 2 else viewer.close()
            await server.wait_status("a", lambda status: status["clients"] == 1)
        assert server.fds <= before + 1
        stays.verify()


async def test_a_viewer_who_lags_gets_what_the_ring_holds_for_him_before_the_end() -> None:
    """Also where the stream has been empty in between."""
    source = PositionCoded(byte_rate=1_000_000)
    async with Origin() as origin, relay(origin.route("/a", live(source))) as server:
        early = await connect(server.url(PATH), Checker(source))
        await early.received(50_000)
        early.close()
        await server.wait_status("a", lambda status: status["clients"] == 0)
        lagging = await trickling(server.url(PATH), 100_000, Checker(source), receive_buffer=16_384)
        await server.wait_status("a", lambda status: status["bytes_received"] > 4_000_000)
        clients = (await server.get("/api/streams/a/clients")).json()["clients"]
        assert clients[0]["lag_bytes"] > 500_000
        stopping = asyncio.create_task(server.post("/api/streams/a/stop"))
        lagging.set_rate(None)
        assert await lagging.ended() == "eof"
        lagging.verify(least=3_000_000)
        assert (await stopping).status == 200


async def test_a_stopping_server_finishes_its_viewers() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        viewers = await join_many(server.url(PATH), 5, lambda: Checker(SOURCE))
        await asyncio.gather(*(viewer.received(50_000) for viewer in viewers))
        await server.stop()
        for viewer in viewers:
            assert await viewer.ended() == "eof"
            viewer.verify()
        await origin.wait_for(lambda origin: origin.open_now() == 0)


async def test_who_only_looks_at_thousands_of_channels_makes_no_stream_forgotten() -> None:
    many = "".join(f"#EXTINF:-1,{number}\nhttp://a.example/{number}\n" for number in range(STOPPED_KEPT + 2))
    async with Origin() as origin, relay(origin.route("/live", live(SOURCE))) as server:
        assert (await server.post("/api/playlists", {"name": "x", "content": f"#EXTM3U\n{many}"})).status == 201
        viewer = await connect(server.url(PATH))
        await viewer.received(50_000)
        assert (await server.post("/api/streams/a/stop")).status == 200
        before = await server.status("a")
        assert before["events"] and before["bytes_streamed"]

        async def look(channel: int) -> None:
            assert (await server.post(f"/api/proxy/channel/{channel}", method="HEAD")).status == 200
            assert (await server.status(f"channel:{channel}"))["state"] == "idle"

        for first in range(1, STOPPED_KEPT + 3, 50):
            await asyncio.gather(*(look(channel) for channel in range(first, min(first + 50, STOPPED_KEPT + 3))))
        assert await server.status("a") == before
