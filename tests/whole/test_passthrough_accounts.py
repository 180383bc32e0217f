"""The passthrough on a provider account that allows one connection: never a second one, and zapping is served."""

import asyncio

from tests.kit.behaviours import body, live
from tests.kit.hls_origin import PLAYLIST, HlsChannel, coded_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect
from tests.whole.channel import playlist, uris

SOURCE = PositionCoded(gop=2.0)
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nplaylist.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nother.m3u8\n"


async def add_list(server: Server, *urls: str) -> None:
    text = "#EXTM3U\n" + "".join(f"#EXTINF:-1,C{number}\n{url}\n" for number, url in enumerate(urls, 1))
    reply = await server.post("/api/playlists", {"name": "mine", "content": text, "max_connections": 1})
    assert reply.status == 201, reply.body


def path(number: int) -> str:
    return f"/api/proxy/channel/{number}/hls"


async def test_everything_goes_over_one_connection() -> None:
    channel = HlsChannel(coded_segments(SOURCE, 2.0), window=5)
    async with Origin() as origin, Server() as server:
        channel.mount(origin, "/live")
        origin.route("/live/master.m3u8", body(MASTER.encode(), PLAYLIST))
        origin.route("/live/other.m3u8", body(channel.playlist().encode(), PLAYLIST))
        await add_list(server, origin.url("/live/master.m3u8"))
        variants = uris(await playlist(server, path(1)))
        lists = await asyncio.gather(*(playlist(server, f"/api/proxy/channel/1/{uri}") for uri in variants))
        names = {name for text in lists for name in uris(text)}
        replies = await asyncio.gather(*(server.get(f"{path(1)}/{name}") for name in names for _ in range(3)))
        assert {reply.status for reply in replies} == {200}
        assert origin.ledger.most_connections == 1
        assert {n for uri, n in origin.ledger.requests.items() if uri.endswith(".ts")} == {1}


async def test_zapping_between_passed_through_and_relayed_channels() -> None:
    hls = [HlsChannel(coded_segments(SOURCE, 2.0)) for _ in range(2)]
    async with Origin() as origin, Server({"streams": {"idle_timeout": "30s"}}) as server:
        urls = [channel.mount(origin, f"/{number}") for number, channel in enumerate(hls)]
        await add_list(server, *urls, origin.route("/ts", live(PositionCoded(gop=0.2), burst=1.0)))
        loop = asyncio.get_running_loop()
        slowest = 0.0
        for number in (1, 2, 1, 2, 3, 1, 3, 2):
            began = loop.time()
            if number == 3:
                viewer = await connect(server.url("/api/proxy/channel/3"))
                await viewer.received(20_000)
                viewer.close()
            else:
                text = await playlist(server, path(number))
                name = uris(text)[-1]
                assert (await server.get(f"/api/proxy/channel/{number}/{name}")).status == 200
            slowest = max(slowest, loop.time() - began)
        print(f"\nzaps: {slowest:.3f} s at most")
        assert origin.ledger.most_connections == 1
        status = await server.status("channel:1/hls")
        assert (status["state"], status["kind"]) == ("idle", "passthrough")


async def test_what_is_relayed_as_a_transport_stream_is_not_dialled_again_to_see_that_it_is_one() -> None:
    """No account, so nothing else keeps a second connection from a provider who allows one."""
    async with Origin() as origin, Server() as server:
        url = origin.route("/ts", live(SOURCE))
        text = f"#EXTM3U\n#EXTINF:-1,One\n{url}\n"
        assert (await server.post("/api/playlists", {"name": "list", "content": text})).status == 201
        viewer = await connect(server.url("/api/proxy/channel/1"))
        await viewer.received(20_000)
        reply = await server.get(path(1))
        assert (reply.status, origin.requests("/ts")) == (409, 1), reply.body
        viewer.close()
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.requests("/ts") == 1


async def test_who_watches_is_not_put_out() -> None:
    hls = [HlsChannel(coded_segments(SOURCE, 2.0)) for _ in range(2)]
    async with Origin() as origin, Server() as server:
        await add_list(server, *(channel.mount(origin, f"/{number}") for number, channel in enumerate(hls)))
        await playlist(server, path(1), **{"User-Agent": "one"})
        reply = await server.get(path(2), **{"User-Agent": "two"})
        assert (reply.status, reply.json()["error"]["code"]) == (503, "account_limit")
        assert int(reply.headers["retry-after"]) > 0
        assert reply.headers["access-control-allow-origin"] == "*"
        await playlist(server, path(1), **{"User-Agent": "one"})
        assert origin.requests("/1/playlist.m3u8") == 0
        # He stops it: the other one gets his turn.
        assert (await server.post("/api/streams/channel:1/hls/stop")).status == 200
        await playlist(server, path(2), **{"User-Agent": "two"})
        assert origin.ledger.most_connections == 1


async def test_what_is_known_to_be_no_hls_is_told_so_where_no_connection_is_free() -> None:
    """By its name, or because it was dialled before; what may be HLS has to wait."""
    paths = ("/used", "/live/me/secret/7", "/a.ts", "/seen", "/unknown")
    async with Origin() as origin, Server() as server:
        await add_list(server, *(origin.route(name, live(SOURCE)) for name in paths))
        assert (await server.get(path(4))).status == 409
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        viewer = await connect(server.url("/api/proxy/channel/1"))
        await viewer.received(20_000)
        for number, status in ((2, 409), (3, 409), (4, 409), (5, 503)):
            reply = await server.get(path(number))
            assert reply.status == status, reply.body
            if status == 409:
                assert server.url(f"/api/proxy/channel/{number}") in reply.json()["error"]["message"]
        assert {origin.requests(name) for name in ("/live/me/secret/7", "/a.ts", "/unknown")} == {0}
        assert origin.ledger.most_connections == 1
        viewer.close()
