"""What becomes of those who watch a channel when the list that it is in goes."""

import asyncio
import signal

from tests.kit.behaviours import live, silent
from tests.kit.checker import Checker
from tests.kit.hls_origin import HlsChannel, coded_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import POLL, Server
from tests.kit.viewer import Viewer, connect
from tests.whole.channel import uris
from tests.whole.test_lists import add, channels, text

SOURCE = PositionCoded(gop=0.4)


async def watch(server: Server, channel: int) -> Viewer:
    viewer = await connect(server.url(f"/api/proxy/channel/{channel}"), Checker(SOURCE))
    await viewer.received(50_000)
    return viewer


async def goes_on(viewer: Viewer) -> None:
    await viewer.received(viewer.total + 100_000)
    viewer.verify(switches=0)


async def delete(server: Server, playlist: int) -> None:
    assert (await server.post(f"/api/playlists/{playlist}", method="DELETE")).status == 204


async def test_a_deleted_list_ends_who_watches_its_channels_and_nobody_else() -> None:
    async with Origin() as origin, Server({"hls": {"session_timeout": "60s"}}) as server:
        gone, kept, joined = (origin.route(path, live(SOURCE)) for path in ("/gone", "/kept", "/joined"))
        hls = HlsChannel(coded_segments(SOURCE, 2.0)).mount(origin, "/hls")
        deleted = await add(
            server, "p", text(("", "Gone", gone), ("j", "Joined", joined), ("", "HLS", hls)), merge="tvg-id"
        )
        await add(server, "q", text(("", "Kept", kept), ("j", "Joined", joined)), merge="tvg-id")
        ids = {name: channel for channel, (name, _) in (await channels(server)).items()}
        ended = [await watch(server, ids["Gone"]) for _ in range(2)]
        others = [await watch(server, ids["Kept"]), await watch(server, ids["Joined"])]
        playlist = (await server.get(f"/api/proxy/channel/{ids['HLS']}/hls")).body
        segment = f"/api/proxy/channel/{ids['HLS']}/{uris(playlist)[0]}"
        assert (await server.get(segment)).status == 200

        await delete(server, deleted["id"])
        for viewer in ended:
            assert await viewer.ended() == "eof"
            viewer.verify(switches=0)
        await origin.wait_for(lambda origin: origin.open_now() == 2)
        assert (origin.open_now("/gone"), origin.requests("/gone")) == (0, 1)
        assert (await server.get(segment)).status == 404
        running = (await server.get("/api/streams/status")).json()["streams"]
        assert {stream["id"] for stream in running} == {f"channel:{ids[name]}" for name in ("Kept", "Joined")}
        for viewer in others:
            await goes_on(viewer)
        assert (origin.requests("/kept"), origin.requests("/joined")) == (1, 1)


async def test_who_waits_for_the_first_picture_is_told_that_the_list_is_gone() -> None:
    async with Origin() as origin, Server() as server:
        url = origin.route("/silent", silent())
        made = await add(server, "p", text(("", "Silent", url)))
        waiting = asyncio.create_task(server.get("/api/proxy/channel/1"))
        await origin.wait_for(lambda origin: origin.open_now("/silent") == 1)
        await delete(server, made["id"])
        reply = await waiting
        assert (reply.status, reply.json()["error"]["code"]) == (503, "stream_stopped")
        assert "list was deleted" in reply.json()["error"]["message"]
        await origin.wait_for(lambda origin: origin.open_now() == 0)


async def test_a_channel_that_a_refreshed_list_misses_plays_on_until_the_list_is_deleted() -> None:
    async with Origin() as origin, Server() as server:
        url = origin.route("/one", live(SOURCE))
        mine = await add(server, "p", text(("", "One", url), ("", "Two", "http://a/2")))
        other = await add(server, "q", text(("", "Three", "http://a/3")))
        viewer = await watch(server, 1)
        assert (await add(server, "p", text(("", "Two", "http://a/2"))))["removed"] == 1
        await delete(server, other["id"])
        await goes_on(viewer)
        await delete(server, mine["id"])
        assert await viewer.ended() == "eof"
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.requests("/one") == 1


async def test_a_list_that_leaves_the_configuration_ends_who_watches_its_channels() -> None:
    async with Origin() as origin:
        server = Server()
        files = {name: server.folder / f"{name}.m3u" for name in ("goes", "stays")}
        for name, file in files.items():
            file.write_text(text(("", name, origin.route(f"/{name}", live(SOURCE)))))
        lists = [{"name": name, "url": file.as_uri()} for name, file in files.items()]
        server.write_config({"playlists": lists})
        async with server:
            end = asyncio.get_running_loop().time() + 40
            while len(found := await channels(server)) < 2:
                assert asyncio.get_running_loop().time() < end, "the lists are not there"
                await asyncio.sleep(POLL)
            viewers = {name: await watch(server, channel) for channel, (name, _) in found.items()}
            server.write_config({"playlists": lists[1:]})
            server.signal(signal.SIGHUP)
            assert await viewers["goes"].ended() == "eof"
            await origin.wait_for(lambda origin: origin.open_now() == 1)
            await goes_on(viewers["stays"])
            assert (origin.requests("/goes"), origin.requests("/stays")) == (1, 1)
