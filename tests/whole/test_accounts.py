"""Lists with `max_connections`: never more connections to the provider, and viewers who zap do not notice."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from tests.kit.behaviours import body, live, one_at_a_time, redirect, status
from tests.kit.checker import Checker
from tests.kit.hls_origin import HlsChannel, coded_segments
from tests.kit.origin import Exchange, Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Viewer, connect

SOURCE = PositionCoded(gop=0.2)


async def add_list(server: Server, urls: list[str], **wishes: Any) -> None:
    """The channels 1, 2 … at these URLs, by a list of the API."""
    text = "#EXTM3U\n" + "".join(f"#EXTINF:-1,C{number}\n{url}\n" for number, url in enumerate(urls, 1))
    reply = await server.post("/api/playlists", {"name": "mine", "content": text, **wishes})
    assert reply.status == 201, reply.body


def provider(origin: Origin, *paths: str) -> list[str]:
    """Channels of a provider that allows one connection in all."""
    channel = one_at_a_time(live(SOURCE, burst=1.0))
    return [origin.route(path, channel) for path in paths]


async def watch(server: Server, channel: int) -> Viewer:
    return await connect(server.url(f"/api/proxy/channel/{channel}"), Checker(SOURCE))


async def events(server: Server, channel: int) -> list[str]:
    return [event["detail"] for event in (await server.status(f"channel:{channel}"))["events"]]


async def leave_then_open(server: Server, old: Viewer, channel: int) -> tuple[Viewer, float]:
    old.close()
    left = asyncio.get_running_loop().time()
    return await watch(server, channel), left


async def open_then_leave(server: Server, old: Viewer, channel: int) -> tuple[Viewer, float]:
    """The server has the new request before the viewer leaves."""
    new = await watch(server, channel)
    await server.wait_status(f"channel:{channel}", lambda status: status["clients"] == 1)
    left = asyncio.get_running_loop().time()
    old.close()
    return new, left


async def zap(server: Server, how: Callable[[Server, Viewer, int], Awaitable[tuple[Viewer, float]]]) -> list[float]:
    """25 times to the other channel; seconds from leaving one to the first picture of the other."""
    viewer = await watch(server, 1)
    await viewer.received(20_000)
    seconds = []
    for number in range(25):
        old = viewer
        viewer, left = await how(server, old, 2 - number % 2)
        await viewer.received(20_000)
        seconds.append(asyncio.get_running_loop().time() - left)
        viewer.verify()
        old.verify()
    viewer.close()
    return seconds


async def test_fifty_zaps_on_an_account_of_one_connection() -> None:
    async with Origin() as origin, Server() as server:
        await add_list(server, provider(origin, "/1", "/2"), max_connections=1)
        closing = await zap(server, leave_then_open)
        opening = await zap(server, open_then_leave)
        print(f"\nzaps: {max(closing):.3f} s at most after leaving, {max(opening):.3f} s before leaving")
        assert origin.ledger.most_connections == 1
        assert median(closing) < 1.0
        assert median(opening) < 1.0
        told = await events(server, 1)
        assert "stopped to free a connection of account 'mine' for channel:2" in told
        assert not any("failed" in one for one in told)


async def make_relay(server: Server, channel: int, path: str) -> None:
    reply = await server.post(f"/api/channels/{channel}/relay", {"output_path": path})
    assert reply.status == 201, reply.body


async def test_a_watched_connection_is_not_taken_and_the_refusal_says_why() -> None:
    """Neither by a channel nor by a relay made of one; and the viewer of the first notices nothing."""
    async with Origin() as origin, Server() as server:
        await add_list(server, provider(origin, "/1", "/2"), max_connections=1)
        await make_relay(server, 2, "two")
        viewer = await watch(server, 1)
        await viewer.received(20_000)
        for path in ("/api/proxy/channel/2", "/stream/two", "/stream/two/hls"):
            reply = await server.get(path)
            assert (reply.status, reply.json()["error"]["code"]) == (503, "account_limit")
            assert int(reply.headers["retry-after"]) > 0
            assert "account 'mine' allows 1 connection(s), in use by channel:1" in reply.json()["error"]["message"]
        await viewer.received(viewer.total + 200_000)
        viewer.verify()
        assert (await server.status("channel:2"))["state"] == "idle"
        assert (origin.ledger.most_connections, origin.requests("/2")) == (1, 0)
        viewer.close()
        relayed = await connect(server.url("/stream/two"), Checker(SOURCE))
        await relayed.received(20_000)
        relayed.verify()
        assert origin.ledger.most_connections == 1


async def test_of_many_channels_asked_for_at_once_one_plays() -> None:
    paths = [f"/{number}" for number in range(1, 11)]
    async with Origin() as origin, Server() as server:
        await add_list(server, provider(origin, *paths), max_connections=1)
        viewers = [await watch(server, number) for number in range(1, 11)]
        statuses = [await viewer.head() for viewer in viewers]
        assert sorted(statuses) == [200, *[503] * 9]
        assert origin.ledger.most_connections == 1
        for viewer in viewers:
            viewer.close()
        again = await watch(server, 10)
        assert await again.head() == 200


async def test_who_zaps_on_before_the_picture_came_gets_the_last_channel_he_asked_for() -> None:
    paths = [f"/{number}" for number in range(1, 11)]
    async with Origin() as origin, Server() as server:
        await add_list(server, provider(origin, *paths), max_connections=1)
        viewer = await watch(server, 1)
        await viewer.received(20_000)
        for number in range(2, 11):
            old, viewer = viewer, await watch(server, number)
            await asyncio.sleep(0.01 * number)
            old.close()
        await viewer.received(20_000)
        viewer.verify()
        assert origin.ledger.most_connections == 1
        running = (await server.get("/api/streams/status")).json()["streams"]
        assert [stream["id"] for stream in running] == ["channel:10"]


async def test_a_provider_that_still_counts_the_last_connection_is_asked_again() -> None:
    counted: set[str] = set()

    async def late(exchange: Exchange) -> None:
        if counted:
            await status(458)(exchange)
            return
        counted.add(exchange.path)
        try:
            await live(SOURCE, burst=1.0)(exchange)
        finally:
            asyncio.get_running_loop().call_later(0.4, counted.clear)

    async with Origin() as origin, Server() as server:
        await add_list(server, [origin.route(path, late) for path in ("/1", "/2")], max_connections=1)
        viewer = await watch(server, 1)
        for number in (2, 1, 2):
            await viewer.received(20_000)
            viewer.close()
            viewer = await watch(server, number)
        await viewer.received(20_000)
        viewer.verify()
        assert origin.ledger.most_connections == 1
        assert origin.requests("/2") > 2


async def test_a_vanished_hls_viewer_gives_way_to_himself_and_an_old_player_does_not_take_it_back() -> None:
    async with Origin() as origin, Server({"hls": {"segment_duration": "1s"}}) as server:
        await add_list(server, provider(origin, "/1", "/2"), max_connections=1)
        for number in (1, 2):
            await make_relay(server, number, f"r{number}")
        playlists = []
        for number in (1, 2, 1, 2):
            master = await server.get(f"/stream/r{number}/hls", **{"User-Agent": "Player"})
            assert master.status == 200, master.body
            playlists.append(f"/stream/r{number}/{master.body.decode().splitlines()[-1]}")
            assert (await server.get(playlists[-1], **{"User-Agent": "Player"})).status == 200
        assert origin.ledger.most_connections == 1
        for path, agent in ((playlists[0], "Player"), ("/stream/r1/hls", "Other")):
            reply = await server.get(path, **{"User-Agent": agent})
            assert (reply.status, reply.json()["error"]["code"]) == (503, "account_limit")
        assert (await server.get(playlists[-1], **{"User-Agent": "Player"})).status == 200
        assert (await server.status("r2"))["clients_hls"] == 1
        assert origin.ledger.most_connections == 1


async def test_an_hls_source_has_one_connection_also_with_two_hosts() -> None:
    """The playlist is at one host and redirects to another, which has the segments."""
    async with Origin("0.0.0.0") as origin, Server() as server:
        channel = HlsChannel(coded_segments(SOURCE, 0.8))
        channel.mount(origin, "/hls")
        origin.route("/moved", redirect(f"http://127.0.0.2:{origin.port}/hls/playlist.m3u8"))
        await add_list(server, [f"http://127.0.0.1:{origin.port}/moved"], max_connections=1)
        viewer = await watch(server, 1)
        await origin.wait_for(lambda origin: origin.requests("/moved") >= 4)
        await viewer.received(viewer.total + 300_000)
        viewer.verify()
        assert origin.ledger.most_connections == 1


async def test_failing_over_to_another_account_respects_its_limit_too() -> None:
    """Two lists have channel 1; the second account's connection is kept for nobody, then watched."""
    one = '#EXTM3U\n#EXTINF:-1 tvg-id="n",N\n{}\n'
    more = one + "#EXTINF:-1,Other\n{}\n"
    async with Origin() as first, Origin() as second, Server() as server:
        urls = [second.route(path, one_at_a_time(live(SOURCE))) for path in ("/n", "/other")]
        for name, text in (("a", one.format(first.route("/n", live(SOURCE)))), ("b", more.format(*urls))):
            wishes = {"max_connections": 1, "merge": "tvg-id"}
            reply = await server.post("/api/playlists", {"name": name, "content": text, **wishes})
            assert reply.status == 201
        other = await watch(server, 2)
        await other.received(20_000)
        viewer = await watch(server, 1)
        await viewer.received(20_000)
        first.finish("/n")
        # The other account is watched: back to the first source.
        await first.wait_for(lambda origin: origin.requests("/n") == 2)
        await viewer.received(viewer.total + 20_000)
        assert any("limit: account 'b' allows 1 connection(s)" in each for each in await events(server, 1))
        other.close()
        await server.wait_status("channel:2", lambda status: status["state"] == "stopping")
        first.route("/n", status(404))
        first.finish("/n")
        await server.wait_status("channel:1", lambda status: status["source_index"] == 1 and status["switches"] == 2)
        await viewer.received(viewer.total + 20_000)
        viewer.verify()
        assert "stopped to free a connection of account 'b' for channel:1" in await events(server, 2)
        assert (first.ledger.most_connections, second.ledger.most_connections) == (1, 1)


async def test_the_limit_of_the_configuration_holds_and_a_new_one_from_the_next_dial_on() -> None:
    async with Origin() as origin:
        text = "".join(f"#EXTINF:-1,C{number}\n{origin.url(f'/{number}')}\n" for number in (1, 2, 3))
        for number in (1, 2, 3):
            origin.route(f"/{number}", live(SOURCE))
        origin.route("/list", body(f"#EXTM3U\n{text}".encode(), "audio/x-mpegurl"))
        entry = {"name": "provider", "url": origin.url("/list"), "max_connections": 1}
        async with Server({"playlists": [entry]}) as server:
            await server.wait_log("the playlist 'provider' is imported")
            viewers = [await watch(server, 1)]
            await viewers[0].received(20_000)
            assert (await server.get("/api/proxy/channel/2")).status == 503
            server.write_config({"playlists": [{**entry, "max_connections": 2}]})
            server.signal(signal.SIGHUP)
            await server.wait_log("configuration read again")
            viewers.append(await watch(server, 2))
            await viewers[1].received(20_000)
            assert (await server.get("/api/proxy/channel/3")).status == 503
            assert (await server.get("/api/playlists")).json()["playlists"][0]["max_connections"] == 2
