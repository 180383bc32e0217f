"""HLS passed through: one poll and one fetch for all viewers, the origin's bytes, and names that lead nowhere else."""

import asyncio
import gzip
import re
from itertools import pairwise

import pytest

from tests.kit.behaviours import body, cut, folder, html, in_turn, live, redirect, silent, status, trickle
from tests.kit.clips import ffmpeg_decode
from tests.kit.hls_origin import PLAYLIST, HlsChannel, coded_segments
from tests.kit.origin import Behaviour, Exchange, Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect, stalled
from tests.media import media
from tests.whole.channel import PATH, channels, playlist, playlist_when, uris

SOURCE = PositionCoded(gop=2.0)
BELOW = "/api/proxy/channel/1/"
FOREVER = {"session_timeout": "60s"}


def changing(texts: list[str]) -> Behaviour:
    """The playlist that stands first in `texts`, which the test changes."""

    async def behave(exchange: Exchange) -> None:
        await body(texts[0].encode(), PLAYLIST)(exchange)

    return behave


def media_list(first: int, *names: str, target: int = 1) -> str:
    lines = [f"#EXTINF:{target},\n{name}" for name in names]
    return "\n".join(("#EXTM3U", f"#EXT-X-TARGETDURATION:{target}", f"#EXT-X-MEDIA-SEQUENCE:{first}", *lines, ""))


async def test_many_viewers_are_one_upstream() -> None:
    channel = HlsChannel(coded_segments(SOURCE, 2.0), window=4)
    async with Origin() as origin, channels((channel.mount(origin, "/live"),), hls=FOREVER) as server:

        async def watch(number: int) -> None:
            seen: set[str] = set()
            while len(seen) < 6:
                for uri in uris(await playlist(server, **{"User-Agent": f"player {number}"})):
                    if uri not in seen:
                        seen.add(uri)
                        reply = await server.get(BELOW + uri, **{"User-Agent": f"player {number}"})
                        assert reply.status == 200
                        sequence = channel.newest - channel.window - 4
                        bodies = [channel.segments(max(0, sequence) + at).data for at in range(12)]
                        assert reply.body in bodies
                await asyncio.sleep(0.5)

        await asyncio.gather(*(watch(number) for number in range(20)))
        polls = origin.ledger.began["/live/playlist.m3u8"]
        assert all(later - earlier >= 0.98 for earlier, later in pairwise(polls))
        fetched = {path: n for path, n in origin.ledger.requests.items() if path.endswith(".ts")}
        assert len(fetched) >= 6
        assert set(fetched.values()) == {1}
        status = await server.status("channel:1/hls")
        assert (status["kind"], status["clients_hls"], status["state"]) == ("passthrough", 20, "active")
        assert status["bytes_streamed"] > 10 * status["bytes_received"] > 0
        clients = (await server.get("/api/streams/channel:1%2Fhls/clients")).json()["clients"]
        assert {client["user_agent"] for client in clients} == {f"player {number}" for number in range(20)}


async def test_nobody_watches_and_nothing_is_asked() -> None:
    channel = HlsChannel(coded_segments(SOURCE, 2.0))
    async with Origin() as origin, channels((channel.mount(origin, "/live"),)) as server:
        name = uris(await playlist(server))[0]
        assert (await server.get(BELOW + name)).status == 200
        await server.wait_status("channel:1/hls", lambda status: status["state"] == "idle")
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.requests("/live/playlist.m3u8") == 1
        # Its names are gone with it, and asking for one starts nothing.
        assert (await server.get(BELOW + name)).status == 404
        assert origin.requests("/live/playlist.m3u8") == 1
        assert (await server.get("/api/streams/status")).json()["total_streams"] == 0


async def test_who_comes_a_little_early_waits_for_the_next_version() -> None:
    """Players count from another moment: with the old one, they would look again only half a target duration later."""
    texts = [media_list(1, "a.ts", "b.ts", target=2)]
    async with Origin() as origin, channels((origin.route("/list", changing(texts)),), hls=FOREVER) as server:
        old, loop = await playlist(server), asyncio.get_running_loop()
        due = loop.time() + 2
        texts[0] = media_list(2, "b.ts", "c.ts", target=2)
        await asyncio.sleep(due - 0.15 - loop.time())
        assert await playlist(server) != old
        assert origin.requests("/list") == 2


async def test_where_nothing_is_new_the_next_look_comes_after_half_the_time() -> None:
    text = media_list(1, "a.ts")
    async with Origin() as origin, channels((origin.route("/list", body(text.encode(), PLAYLIST)),), hls=FOREVER) as it:
        while origin.requests("/list") < 4:
            await playlist(it)
            await asyncio.sleep(0.02)
        full, *halves = (later - before for before, later in pairwise(origin.ledger.began["/list"]))
        assert full >= 0.98 and min(halves) >= 0.48
        # A machine that stands still makes one of them longer.
        assert min(halves) < 0.9


async def test_a_segment_reaches_its_viewers_while_it_comes_in() -> None:
    data = SOURCE.packets(500)
    async with Origin() as origin:
        origin.route("/list", body(media_list(1, "s.ts", target=8).encode(), PLAYLIST))
        async with channels((origin.url("/list"),), hls=FOREVER) as server:
            name = uris(await playlist(server))[0]
            origin.route("/s.ts", trickle(data, 30_000))
            first = await connect(server.url(BELOW + name), headers={"Connection": "close"})
            await first.received(10_000)
            second = await connect(server.url(BELOW + name), headers={"Connection": "close"})
            await second.received(10_000)
            assert second.total < len(data)
            dead = await stalled(server.url(BELOW + name), receive_buffer=4096)
            assert first.headers.get("transfer-encoding") == "chunked"
            await first.ended()
            await second.ended()
            assert origin.requests("/s.ts") == 1
            again = await server.get(BELOW + name)
            assert again.body == data
            ranged = await server.get(BELOW + name, Range="bytes=188-375")
            assert (ranged.status, ranged.body) == (206, data[188:376])
            etag = {"If-None-Match": ranged.headers["etag"]}
            assert (await server.get(BELOW + name, **etag)).status == 304
            assert origin.requests("/s.ts") == 1
            dead.close()
            first.close()
            second.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_broken_transfer_is_no_whole_segment(chunked: bool) -> None:
    data = SOURCE.packets(2000)
    async with Origin() as origin:
        origin.route("/list", body(media_list(1, "s.ts", target=8).encode(), PLAYLIST))
        origin.route("/s.ts", in_turn(cut(body(data, chunked=chunked), size=100_000, then="reset"), body(data)))
        async with channels((origin.url("/list"),), hls=FOREVER) as server:
            name = uris(await playlist(server))[0]
            viewer = await connect(server.url(BELOW + name))
            assert await viewer.ended() == "reset"
            # Besides what came, the framing of its pieces, however many they were.
            assert viewer.total < 101_000
            await asyncio.sleep(1.1)
            assert (await server.get(BELOW + name)).body == data


async def test_names_lead_to_what_is_listed_only() -> None:
    texts = [media_list(1, "a.ts", "b.ts")]
    async with Origin() as origin:
        url = origin.route("/one/list", changing(texts))
        origin.route("/two/list", body(media_list(1, "a.ts").encode(), PLAYLIST))
        for path in ("/one/a.ts", "/one/b.ts", "/one/c.ts", "/two/a.ts"):
            origin.route(path, body(path.encode()))
        async with channels((url,), (origin.url("/two/list"),), hls=FOREVER) as server:
            old, kept = uris(await playlist(server))
            (other,) = uris(await playlist(server, "/api/proxy/channel/2/hls"))
            assert (await server.get("/api/proxy/channel/2/" + other)).body == b"/two/a.ts"
            assert (await server.get(BELOW + old)).body == b"/one/a.ts"
            for name in (other, "hls/a.ts", "hls/AAAAAAAAAAAAAAAAAAAAAA.ts", "hls/../hls", "hls/%2e%2e%2fa.ts"):
                assert (await server.get(BELOW + name)).status == 404, name
            texts[0] = media_list(2, "b.ts", "c.ts")
            now = uris(await playlist_when(server, lambda text: uris(text)[0] != old))
            assert now[0] == kept
            assert (await server.get(BELOW + old)).status == 200, "it has only just left the playlist"
            async with asyncio.timeout(40):
                while (await server.get(BELOW + old)).status == 200:
                    assert uris(await playlist(server)) == now
                    await asyncio.sleep(0.2)
            assert (await server.get(BELOW + old)).json()["error"]["code"] == "name_not_found"
            assert (await server.get(BELOW + kept)).body == b"/one/b.ts"


async def test_a_file_name_that_is_used_again_is_another_segment() -> None:
    texts = [media_list(1, "0.ts", "1.ts")]
    async with Origin() as origin:
        url = origin.route("/list", changing(texts))
        origin.route("/0.ts", body(b"old"))
        async with channels((url,), hls=FOREVER) as server:
            old = uris(await playlist(server))[0]
            assert (await server.get(BELOW + old)).body == b"old"
            texts[0] = media_list(3, "0.ts", "1.ts")
            origin.route("/0.ts", body(b"new"))
            new = uris(await playlist_when(server, lambda text: uris(text)[0] != old))[0]
            assert (await server.get(BELOW + new)).body == b"new"


async def test_what_is_no_hls_is_told_where_to_be_had() -> None:
    async with Origin() as origin:
        sources = [(origin.route("/ts", live(SOURCE)),), ("udp://@239.1.1.1:5000",)]
        sources += [(origin.route("/html", html()),), (origin.route("/silent", silent()),), ("file:///etc/passwd",)]
        async with channels(*sources, failover={"first_byte_timeout": "500ms"}) as server:
            for at in (1, 2):
                reply = await server.get(f"/api/proxy/channel/{at}/hls")
                error = reply.json()["error"]
                assert (reply.status, error["code"]) == (409, "source_not_hls")
                assert server.url(f"/api/proxy/channel/{at}") in error["message"]
                assert reply.headers["access-control-allow-origin"] == "*"
            for _ in range(5):
                await server.get(PATH)
            assert origin.requests("/ts") == 1, "the answer is remembered"
            await origin.wait_for(lambda origin: origin.open_now("/ts") == 0)
            reply = await server.get("/api/proxy/channel/3/hls")
            assert (reply.status, reply.json()["error"]["code"]) == (502, "no_source_works")
            assert "web page" in reply.json()["error"]["message"]
            assert (await server.get("/api/proxy/channel/4/hls")).status == 504
            # It is not relayed either.
            reply = await server.get("/api/proxy/channel/5/hls")
            assert (reply.status, reply.json()["error"]["code"]) == (502, "no_source_works")
            for unknown in ("6", "0", "x", "01"):
                assert (await server.get(f"/api/proxy/channel/{unknown}/hls")).status == 404
                assert (await server.get(f"/api/proxy/channel/{unknown}/hls/a.ts")).status == 404


async def test_head_asks_the_source_for_nothing() -> None:
    channel = HlsChannel(coded_segments(SOURCE, 2.0))
    async with Origin() as origin, channels((channel.mount(origin, "/live"),), hls=FOREVER) as server:
        reply = await server.post(PATH, method="HEAD")
        assert (reply.status, origin.requests("/live/playlist.m3u8")) == (200, 0)
        assert "content-length" not in reply.headers
        name = uris(await playlist(server))[0]
        reply = await server.post(BELOW + name, method="HEAD")
        assert (reply.status, reply.headers["content-type"]) == (200, "video/mp2t")
        assert "content-length" not in reply.headers
        assert not [path for path in origin.ledger.requests if path.endswith(".ts")]


async def test_a_redirect_is_followed_once() -> None:
    """Another edge may be some segments behind: the sequence would jump."""
    edge, other = HlsChannel(coded_segments(SOURCE, 2.0), window=3), media_list(9000, "x.ts")
    async with Origin() as origin:
        edge.mount(origin, "/edge")
        origin.route("/other", body(other.encode(), PLAYLIST))
        url = origin.route("/way", in_turn(redirect("/edge/playlist.m3u8"), redirect("/other")))
        async with channels((url,), hls=FOREVER) as server:
            await playlist(server)
            text = await playlist_when(server, lambda text: origin.requests("/edge/playlist.m3u8") >= 3)
            assert b"SEQUENCE:9000" not in text
            assert origin.requests("/way") == 1
            origin.route("/edge/playlist.m3u8", status(503))
            await playlist_when(server, lambda text: b"SEQUENCE:9000" in text)


async def test_polls_are_conditional() -> None:
    text = media_list(1, "a.ts").encode()
    seen: list[str | None] = []

    async def behave(exchange: Exchange) -> None:
        seen.append(exchange.headers.get("if-none-match"))
        assert exchange.headers["accept-encoding"] == "gzip"
        if seen[-1] == '"v1"':
            await exchange.head(304, ("ETag", '"v1"'), keep_alive=True)
        else:
            await exchange.head(200, ("Content-Length", str(len(text))), ("ETag", '"v1"'), keep_alive=True)
            await exchange.send(text)

    async with Origin() as origin, channels((origin.route("/list", behave),), hls=FOREVER) as server:
        first = await playlist(server)
        async with asyncio.timeout(40):
            while len(seen) < 3:
                assert await playlist(server) == first
                await asyncio.sleep(0.1)
        assert seen[:3] == [None, '"v1"', '"v1"']
        assert origin.ledger.connections_ever == 1


MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="A",URI="audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"
video.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO="a"
broken.m3u8
"""


async def test_a_master_playlist_gives_sessions_and_carries_the_token() -> None:
    async with Origin() as origin:
        url = origin.route("/master.m3u8", body(MASTER.encode(), PLAYLIST))
        for name in ("video", "audio"):
            origin.route(f"/{name}.m3u8", body(media_list(1, f"{name}.ts").encode(), PLAYLIST))
            origin.route(f"/{name}.ts", body(name.encode()))
        auth = {"stream_token": "s3cret", "admin_token": "adm1n"}
        async with channels((url,), hls=FOREVER, auth=auth) as server:
            assert (await server.get(PATH)).status == 401
            lists = [uris(await playlist(server, f"{PATH}?token=s3cret")) for _ in range(2)]
            for audio, video, broken in lists:
                assert audio.endswith("&token=s3cret")
                for uri, data in ((audio, b"audio"), (video, b"video")):
                    assert (await server.get(BELOW + uri.partition("?")[0])).status == 401
                    (segment,) = uris(await playlist(server, BELOW + uri))
                    assert re.fullmatch(r"[\w-]{22}\.ts\?token=s3cret", segment)
                    assert (await server.get(f"{PATH}/{segment}")).body == data
                assert (await server.get(BELOW + broken)).status == 404
            assert (await server.status("channel:1/hls"))["clients_hls"] == 2
            assert origin.requests("/master.m3u8") == 1
            assert origin.requests("/video.ts") == 1


async def test_credentials_stay_with_us() -> None:
    async with Origin() as origin:
        url = origin.route("/live/me/secret/1.m3u8", body(media_list(1, "1.ts?pass=secret").encode(), PLAYLIST))
        origin.route("/live/me/secret/1.ts", status(403))
        source = url.replace("http://", "http://me:secret@") + "?token=secret"
        async with channels((source,), hls=FOREVER, failover={"first_byte_timeout": "2s"}) as server:
            text = await playlist(server)
            assert origin.ledger.headers["/live/me/secret/1.m3u8"]["authorization"].startswith("Basic ")
            failed = await server.get(BELOW + uris(text)[0])
            assert failed.status == 502
            shown = [text, failed.body, (await server.get("/api/streams/status")).body, server.log.encode()]
            assert not [one for one in shown if b"secret" in one]


async def test_the_next_source_takes_over() -> None:
    async with Origin() as origin:
        texts = [media_list(1, "a.ts")]
        first = origin.route("/first", changing(texts))
        second = origin.route("/second", body(media_list(77, "b.ts").encode(), PLAYLIST))
        nothing = origin.url("/nothing")
        async with channels((nothing, first, second), hls=FOREVER) as server:
            assert b"SEQUENCE:1\n" in await playlist(server)
            assert (await server.status("channel:1/hls"))["source_index"] == 1
            # It stands still now: no new segment for three target durations.
            await playlist_when(server, lambda text: b"SEQUENCE:77" in text)
            assert (await server.status("channel:1/hls"))["switches"] == 1
            await origin.wait_for(lambda origin: origin.open_now() == 1)


async def test_a_poll_that_fails_is_bridged_by_the_version_before() -> None:
    async with Origin() as origin:
        url = origin.route("/list", body(media_list(1, "a.ts").encode(), PLAYLIST))
        async with channels((url,), hls=FOREVER) as server:
            before = await playlist(server)
            origin.route("/list", status(503))
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with asyncio.timeout(40):
                while (reply := await server.get(PATH)).status == 200:
                    assert reply.body == before
                    await asyncio.sleep(0.2)
            assert loop.time() - began > 1.5
            assert reply.status == 502
            origin.route("/list", body(media_list(2, "b.ts").encode(), PLAYLIST))
            # Nobody is told of an error for longer than half a reload time.
            await asyncio.sleep(1)
            await playlist(server)


async def test_players_that_wait_for_a_part_share_one_request() -> None:
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n"
    head += "#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-MEDIA-SEQUENCE:10\n"
    asked: list[str] = []

    async def behave(exchange: Exchange) -> None:
        """Two parts are there; each request to wait is answered with one more, when the gate is opened."""
        if exchange.query:
            asked.append(exchange.query)
            await exchange.origin.gate("next").wait()
        listed = "".join(f'#EXT-X-PART:DURATION=1,URI="10.{at}.mp4"\n' for at in range(2 + len(asked)))
        await body(f"{head}{listed}".encode(), PLAYLIST)(exchange)

    async with Origin() as origin, channels((origin.route("/list", behave),), hls=FOREVER) as server:
        origin.stall("next")
        assert len(uris(await playlist(server))) == 2
        waiting = [asyncio.create_task(playlist(server, f"{PATH}?_HLS_msn=10&_HLS_part=2")) for _ in range(10)]
        await origin.wait_for(lambda _: len(asked) == 1)
        later = asyncio.create_task(playlist(server, f"{PATH}?_HLS_msn=10&_HLS_part=3"))
        await asyncio.wait([later], timeout=0.5)
        assert asked == ["_HLS_msn=10&_HLS_part=2"]
        origin.resume("next")
        for text in await asyncio.gather(*waiting):
            assert len(uris(text)) >= 3
        assert len(uris(await later)) == 4
        assert asked == ["_HLS_msn=10&_HLS_part=2", "_HLS_msn=10&_HLS_part=3"]
        # What is there already is answered at once, what is far from it is not waited for.
        for query in ("_HLS_msn=9", "_HLS_msn=10&_HLS_part=1", "_HLS_msn=4000"):
            await playlist(server, f"{PATH}?{query}")
        assert len(asked) == 2


async def test_a_provider_that_holds_nothing_back_is_not_asked_again_and_again() -> None:
    """It says that it can, and answers at once with what is known."""
    can = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES"
    text = media_list(1, "a.ts", "b.ts", target=4).replace("#EXTM3U", f"#EXTM3U\n{can}")
    async with Origin() as origin, channels((origin.route("/list", body(text.encode(), PLAYLIST)),), hls=FOREVER) as it:
        seen = await playlist(it)
        for _ in range(3):
            assert await playlist(it, f"{PATH}?_HLS_msn=3") == seen
        assert origin.requests("/list") == 2


KEY = '#EXT-X-KEY:METHOD=AES-128,URI="encryptionKey.key"'
ENCRYPTED = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n{KEY}\n#EXTINF:5,\nencrypted.ts\n#EXT-X-ENDLIST\n"


async def test_real_media_pass_through_byte_by_byte() -> None:
    lists = {
        media(name): media(name).read_bytes()
        for name in ("fmp4/hls.m3u8", "audio-only/playlist.m3u8", "gap/playlist.m3u8", "h264-no-rai/prog_index.m3u8")
    }
    lists[media("aes128") / "list.m3u8"] = ENCRYPTED.encode()
    async with Origin() as origin:
        for path, text in lists.items():
            origin.route(f"/{path.parent.name}/", folder(path.parent))
            origin.route(f"/{path.parent.name}/{path.name}", body(text, PLAYLIST))
        sources = [(origin.url(f"/{path.parent.name}/{path.name}"),) for path in lists]
        async with channels(*sources, hls=FOREVER) as server:
            for number, (path, text) in enumerate(lists.items(), 1):
                named = uris(await playlist(server, f"/api/proxy/channel/{number}/hls"))
                assert len(named) == len(uris(text))
                for before, after in zip(uris(text), named, strict=True):
                    reply = await server.get(f"/api/proxy/channel/{number}/{after}")
                    file = path.parent / before
                    expected = (200, file.read_bytes()) if file.exists() else (404, b"")
                    assert (reply.status, reply.body if reply.status == 200 else b"") == expected
                    assert after.rpartition(".")[2] == before.rpartition(".")[2]
            assert all(count == 1 for path, count in origin.ledger.requests.items() if "gap" not in path)


async def test_byte_ranges_are_fetched_as_listed() -> None:
    path = media("byterange/video.m3u8")
    whole = (path.parent / "main.ts").read_bytes()
    async with Origin() as origin:
        origin.route("/m/", folder(path.parent))
        async with channels((origin.url("/m/master.m3u8"),), hls=FOREVER) as server:
            (variant,) = uris(await playlist(server))
            text = (await playlist(server, BELOW + variant)).decode()
            ranges = [(int(one[1]), int(one[0])) for one in re.findall(r"BYTERANGE:(\d+)@(\d+)", text)]
            (name,) = set(uris(text.encode()))
            for offset, length in ranges * 2:
                reply = await server.get(f"{PATH}/{name}", Range=f"bytes={offset}-{offset + length - 1}")
                assert (reply.status, reply.body) == (206, whole[offset : offset + length])
                assert reply.headers["content-range"] == f"bytes {offset}-{offset + length - 1}/{len(whole)}"
            assert origin.requests("/m/main.ts") == len(ranges)
            open_ended = await server.get(f"{PATH}/{name}", Range=f"bytes={ranges[1][0] + 188}-")
            assert open_ended.body == whole[ranges[1][0] + 188 : sum(ranges[1])]
            assert origin.requests("/m/main.ts") == len(ranges)
            assert (await server.get(f"{PATH}/{name}")).body == whole
        frames, errors = 0, ""
        async with channels((origin.url("/m/master.m3u8"),), hls=FOREVER) as server:
            frames, errors = await asyncio.to_thread(ffmpeg_decode, server.url(PATH), 5)
        assert frames > 100, errors


async def test_a_range_of_thousands_of_digits_is_as_good_as_none() -> None:
    async def endless(exchange: Exchange) -> None:
        fields = (("Content-Length", "188"), ("Content-Range", f"bytes 0-{'9' * 5000}/*"))
        await exchange.head(206, ("Content-Type", "video/mp2t"), *fields)
        await exchange.send(SOURCE.packets(1))

    async with Origin() as origin:
        text = media_list(1, "s.ts").replace("#EXTINF:1,", "#EXTINF:1,\n#EXT-X-BYTERANGE:188@188")
        origin.route("/list", body(text.encode(), PLAYLIST))
        origin.route("/s.ts", endless)
        async with channels((origin.url("/list"),), hls=FOREVER) as server:
            (name,) = uris(await playlist(server))
            reply = await server.get(BELOW + name, Range="bytes=188-375")
            assert (reply.status, reply.body) == (206, SOURCE.packets(1))


async def test_playlists_of_every_kind_are_passed_or_refused() -> None:
    paths = sorted(media("playlists").glob("*.m3u8"))
    async with Origin() as origin:
        origin.route("/m/", folder(paths[0].parent))
        sources = [(origin.url(f"/m/{path.name}"),) for path in paths]
        async with channels(*sources) as server:
            replies = [await server.get(f"/api/proxy/channel/{at + 1}/hls") for at in range(len(paths))]
            passed = [path.name for path, reply in zip(paths, replies, strict=True) if reply.status == 200]
            assert all(reply.status in (200, 502) for reply in replies)
            assert len(passed) >= len(paths) - 5, {path.name for path in paths} - set(passed)
            for reply in replies:
                if reply.status == 200:
                    assert not [uri for uri in uris(reply.body) if uri.startswith("http")]


async def test_stopped_by_the_operator() -> None:
    channel = HlsChannel(coded_segments(SOURCE, 2.0))
    async with Origin() as origin, channels((channel.mount(origin, "/live"),), hls=FOREVER) as server:
        name = uris(await playlist(server))[0]
        reply = await server.post("/api/streams/channel:1/hls/stop")
        assert (reply.status, reply.json()["state"], reply.json()["clients"]) == (200, "idle", 0)
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert (await server.get(BELOW + name)).status == 404
        assert BELOW + uris(await playlist(server))[0] == BELOW + name, "the same segment has the same name again"


async def test_a_channel_that_is_gone_is_passed_through_no_more() -> None:
    channel = HlsChannel(coded_segments(SOURCE, 2.0))
    async with Origin() as origin, Server({"hls": FOREVER}) as server:
        text = f"#EXTM3U\n#EXTINF:-1,A\n{channel.mount(origin, '/live')}\n"
        assert (await server.post("/api/playlists", {"name": "mine", "content": text})).status == 201
        name = uris(await playlist(server))[0]
        assert (await server.post("/api/playlists/1", method="DELETE")).status == 204
        assert (await server.get(PATH)).status == 404
        assert (await server.get(BELOW + name)).status == 404
        await origin.wait_for(lambda origin: origin.open_now() == 0)


async def test_memory_is_bounded_and_what_was_given_up_is_fetched_again() -> None:
    data = bytes(range(256)) * 1600
    async with Origin() as origin:
        origin.route("/m/", body(data))
        origin.route("/m/list", body(media_list(1, *(f"{at}.ts" for at in range(12)), target=8).encode(), PLAYLIST))
        bound = {"channel_max": "1MiB", "cache_max": "1MiB"}
        async with channels((origin.url("/m/list"),), hls=FOREVER, passthrough=bound) as server:
            names = uris(await playlist(server))
            for name in names:
                assert (await server.get(BELOW + name)).body == data
            assert (await server.status("channel:1/hls"))["hls_bytes"] <= 1 << 20
            assert (await server.get(BELOW + names[0])).body == data
            assert origin.requests("/m/0.ts") == 2
            assert origin.requests("/m/11.ts") == 1


async def test_the_list_of_a_whole_day_holds_up_nobody_else() -> None:
    """It is read, named, kept and written in pieces: others are answered in a fraction of the time it takes."""
    text = media_list(1, *(f"s{at}.ts" for at in range(15_000)))
    async with Origin() as origin:
        url = origin.route("/list", body(text.encode(), PLAYLIST))
        async with channels((url,), hls=FOREVER) as server:
            clock = asyncio.get_running_loop().time
            started, slowest = clock(), 0.0
            asking = asyncio.create_task(playlist(server, **{"Accept-Encoding": "gzip"}))
            while not asking.done():
                asked = clock()
                assert (await server.get("/livez")).status == 200
                slowest = max(slowest, clock() - asked)
            took = clock() - started
            assert len(uris(gzip.decompress(asking.result()))) == 15_000
            print(f"\na list of 15,000: {took * 1000:.0f} ms, others meanwhile {slowest * 1000:.0f} ms at most")
            assert slowest < took / 3
