"""HLS out of any source: cold and warm starts, sessions, switches, and names that keep their bytes."""

import asyncio
import gzip
import re

import pytest

from tests.kit.behaviours import live
from tests.kit.clips import ffmpeg_decode
from tests.kit.hls_origin import HlsChannel, coded_segments
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect
from tests.whole.relay import relay

SOURCE = PositionCoded(gop=1.0)
OTHER = PositionCoded(source_id=2, gop=1.0, program=7, pmt_pid=0x300, video_pid=0x310, audio_pid=0x311)
SHORT = {"segment_duration": "1s", "window": 4}


def names(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def tag(playlist: str, name: str) -> str:
    found = re.search(rf"^#{name}:(.*)$", playlist, re.MULTILINE)
    assert found is not None, playlist
    return found[1]


async def watch(server: Server) -> str:
    """Ask for a master playlist as a player would; the path of the media playlist it leads to."""
    reply = await server.get("/stream/a/hls")
    assert reply.status == 200, reply.body
    (uri,) = names(reply.body.decode())
    return f"/stream/a/{uri}"


async def media(server: Server, path: str) -> str:
    reply = await server.get(path)
    assert reply.status == 200, reply.body
    return str(reply.body.decode())


async def until(server: Server, path: str, count: int, within: float = 40) -> str:
    """The media playlist once it has listed a segment that is `count` further than its first now."""
    first = int(tag(await media(server, path), "EXT-X-MEDIA-SEQUENCE"))
    async with asyncio.timeout(within):
        while True:
            playlist = await media(server, path)
            if int(tag(playlist, "EXT-X-MEDIA-SEQUENCE")) + len(names(playlist)) > first + count:
                return playlist
            await asyncio.sleep(0.1)


async def test_the_master_playlist_tells_what_was_measured() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), hls=SHORT) as server:
        below = await server.get("/stream/a/hls")
        beside = await server.get("/stream/a/hls/master.m3u8")
        for reply, uri in ((below, "hls/playlist.m3u8?session="), (beside, "playlist.m3u8?session=")):
            text = reply.body.decode()
            assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
            assert reply.headers["access-control-allow-origin"] == "*"
            assert reply.headers["cache-control"] == "no-store"
            assert re.search(r"BANDWIDTH=\d{6,8},AVERAGE-BANDWIDTH=\d{6,8},CODECS=\"avc1\.", text)
            assert "RESOLUTION=64x64" in text
            assert names(text)[0].startswith(uri)
        assert names(below.body.decode())[0].partition("=")[2] != names(beside.body.decode())[0].partition("=")[2]
        status = await server.status("a")
        assert (status["clients_hls"], status["clients_ts"], status["clients"]) == (2, 0, 2)
        assert status["hls_bytes"] > 0
        assert origin.requests("/a") == 1


async def test_segments_are_what_the_playlist_says_and_keep_their_bytes() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), hls=SHORT) as server:
        path = await watch(server)
        seen: dict[str, bytes] = {}
        end = asyncio.get_running_loop().time() + 8
        sequence = 0
        while asyncio.get_running_loop().time() < end:
            playlist = await media(server, path)
            assert int(tag(playlist, "EXT-X-MEDIA-SEQUENCE")) >= sequence
            sequence = int(tag(playlist, "EXT-X-MEDIA-SEQUENCE"))
            for line in re.findall(r"#EXTINF:([\d.]+),", playlist):
                assert round(float(line)) <= int(tag(playlist, "EXT-X-TARGETDURATION"))
            for name in names(playlist):
                reply = await server.get(f"/stream/a/hls/{name}")
                assert (reply.status, reply.headers["content-type"]) == (200, "video/mp2t")
                assert "immutable" in reply.headers["cache-control"]
                assert seen.setdefault(name, reply.body) == reply.body
            await asyncio.sleep(0.3)
        assert len(seen) >= 6
        # What has left the list a moment ago can still be fetched.
        for name, body in list(seen.items())[-5:]:
            assert (await server.get(f"/stream/a/hls/{name}")).body == body
        assert all(body[0] == 0x47 and body[1:3] == b"\x40\x00" for body in seen.values()), "each begins with its PAT"


async def test_ranges_entity_tags_compression_and_unknown_names() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), hls=SHORT) as server:
        path = await watch(server)
        playlist = await server.get(path)
        packed = await server.get(path, **{"Accept-Encoding": "gzip, deflate"})
        assert packed.headers["content-encoding"] == "gzip"
        assert b"#EXTINF" in gzip.decompress(packed.body)
        unchanged = await server.get(path, **{"If-None-Match": playlist.headers["etag"]})
        assert unchanged.status in (200, 304)
        name = f"/stream/a/hls/{names(playlist.body.decode())[-1]}"
        whole = (await server.get(name)).body
        part = await server.get(name, Range="bytes=188-375")
        assert (part.status, part.body) == (206, whole[188:376])
        assert part.headers["content-range"] == f"bytes 188-375/{len(whole)}"
        assert (await server.get(name, Range="bytes=-188")).body == whole[-188:]
        assert (await server.get(name, Range=f"bytes={len(whole)}-")).status == 416
        tagged = (await server.get(name)).headers["etag"]
        assert (await server.get(name, **{"If-None-Match": tagged})).status == 304
        assert (await server.get("/stream/a/hls/segment_1.ts")).status == 404
        assert (await server.get(f"{path}&_HLS_msn=5&_HLS_part=1")).status == 200


async def test_a_switch_is_a_discontinuity_and_the_numbers_go_on() -> None:
    async with (
        Origin() as origin,
        relay(origin.route("/a", live(SOURCE)), origin.route("/b", live(OTHER)), hls=SHORT) as server,
    ):
        path = await watch(server)
        before = await media(server, path)
        await server.post("/api/streams/a/switch")
        await server.wait_status("a", lambda status: status["switches"] == 1)
        playlist = await until(server, path, 3)
        assert playlist.count("#EXT-X-DISCONTINUITY\n") == 1
        gone = await until(server, path, 6)
        assert int(tag(gone, "EXT-X-DISCONTINUITY-SEQUENCE")) >= int(tag(before, "EXT-X-DISCONTINUITY-SEQUENCE"))
        assert tag(gone, "EXT-X-TARGETDURATION") == tag(before, "EXT-X-TARGETDURATION")


async def test_a_restart_begins_a_new_time_line_with_a_number_no_discontinuity_had() -> None:
    """And a small one, or hls.js stops the browser for as long as it takes to count to it."""
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), hls=SHORT) as server:
        numbers = []
        for _ in range(3):
            numbers.append(int(tag(await media(server, await watch(server)), "EXT-X-DISCONTINUITY-SEQUENCE")))
            await server.stop()
            await server.start()
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 10_000_000


async def test_sessions_are_viewers_and_end_when_they_ask_no_more() -> None:
    async with (
        Origin() as origin,
        relay(origin.route("/a", live(SOURCE)), hls={**SHORT, "session_timeout": "1500ms"}) as server,
    ):
        stays = await watch(server)
        await watch(server)
        await watch(server)
        await server.get("/stream/a/hls/playlist.m3u8")
        assert (await server.status("a"))["clients_hls"] == 4
        clients = (await server.get("/api/streams/a/clients")).json()["clients"]
        assert {client["kind"] for client in clients} == {"hls"}
        async with asyncio.timeout(30):
            while (await server.status("a"))["clients_hls"] > 1:
                await media(server, stays)
                await asyncio.sleep(0.2)
        viewer = await connect(server.url("/stream/a"))
        await viewer.received(100_000)
        status = await server.status("a")
        assert (status["clients_hls"], status["clients_ts"]) == (1, 1)
        viewer.close()
        await server.wait_status("a", lambda status: status["state"] == "idle")
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.requests("/a") == 1


async def test_the_idle_timer_runs_from_the_last_to_leave_also_when_an_hls_session_is_given_up_after_him() -> None:
    """The session's last request was earlier: that it is over by now must not cut the others' time short."""
    timers = {"hls": {**SHORT, "session_timeout": "2s"}, "streams": {"idle_timeout": "4s"}}
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), **timers) as server:
        viewer = await connect(server.url("/stream/a"))
        await viewer.received(100_000)
        await media(server, await watch(server))
        await viewer.received(900_000)
        loop = asyncio.get_running_loop()
        left = loop.time()
        viewer.close()
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert loop.time() - left > 3.9


async def test_a_warm_stream_has_segments_at_once() -> None:
    """The source delivers nothing any more: there will be no other than those that the ring holds."""
    long, patient = {"segment_duration": "4s"}, {"stall_timeout": "300s"}
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), hls=long, failover=patient) as server:
        viewer = await connect(server.url("/stream/a"))
        await viewer.received(int(5.2 * 500_000), within=60)
        origin.stall("/a")
        playlist = await media(server, await watch(server))
        assert len(names(playlist)) == 1


async def test_restarts_and_idle_stops_never_give_a_name_or_a_number_again() -> None:
    async with (
        Origin() as origin,
        relay(
            origin.route("/a", live(SOURCE)),
            hls={**SHORT, "session_timeout": "500ms"},
            streams={"idle_timeout": "500ms"},
        ) as server,
    ):
        seen: set[str] = set()
        last = 0
        for step in range(3):
            path = await watch(server)
            playlist = await until(server, path, 1)
            fresh = set(names(playlist))
            assert not fresh & seen
            seen |= fresh
            assert int(tag(playlist, "EXT-X-MEDIA-SEQUENCE")) > last
            last = int(tag(playlist, "EXT-X-MEDIA-SEQUENCE"))
            if step == 0:
                await server.wait_status("a", lambda status: status["state"] == "idle")
            else:
                await server.stop()
                await server.start()


async def test_a_live_hls_source_is_playable_at_once_with_more_than_one_segment() -> None:
    channel = HlsChannel(coded_segments(PositionCoded(gop=2.0), 8.0), window=5)
    async with Origin() as origin, relay(channel.mount(origin, "/hls")) as server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        playlist = await media(server, await watch(server))
        # Less than a segment lasts: the first ones were taken in one burst. At their own pace two of them take 16 s,
        # less the four that any source may be ahead.
        assert loop.time() - began < 8
        assert len(names(playlist)) >= 2


async def test_without_a_working_source_the_player_hears_why() -> None:
    async with Origin() as origin, relay(origin.url("/nothing")) as server:
        for path in ("/stream/a/hls", "/stream/a/hls/playlist.m3u8"):
            reply = await server.get(path)
            assert (reply.status, reply.json()["error"]["code"]) == (502, "no_source_works")
        await server.wait_status("a", lambda status: status["state"] == "idle")
        assert (await server.get("/stream/nix/hls")).status == 404


@pytest.mark.parametrize("method", ["HEAD"])
async def test_head_starts_nothing(method: str) -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        for path in ("/stream/a/hls", "/stream/a/hls/playlist.m3u8"):
            assert (await server.post(path, method=method)).status == 200
        assert origin.requests("/a") == 0


async def test_ffmpeg_plays_across_a_switch() -> None:
    # On the same PIDs: ffmpeg opens no decoder for new ones.
    other = PositionCoded(source_id=2, gop=1.0)
    async with (
        Origin() as origin,
        relay(origin.route("/a", live(SOURCE)), origin.route("/b", live(other)), hls=SHORT) as server,
    ):
        await watch(server)
        playing = asyncio.create_task(asyncio.to_thread(ffmpeg_decode, server.url("/stream/a/hls"), 8))
        await server.wait_status("a", lambda status: status["clients_hls"] >= 2)
        await server.post("/api/streams/a/switch")
        frames, errors = await playing
        assert frames >= 7 * 25, errors
        assert "error" not in errors.lower().replace("discontinuity", ""), errors


async def test_what_a_source_that_ended_leaves_can_be_fetched_and_counts_until_its_viewers_have_gone() -> None:
    """Also when it is played again meanwhile: each end leaves segments, none of them for good."""
    channel = HlsChannel(coded_segments(SOURCE, 2.0), window=2, ended=True)
    settings = {"hls": {**SHORT, "session_timeout": "1s"}}
    async with Origin() as origin, relay(channel.mount(origin, "/hls"), **settings) as server:
        for _ in range(2):
            path = await watch(server)
            async with asyncio.timeout(20):
                while "#EXT-X-ENDLIST" not in (playlist := await media(server, path)):  # noqa: ASYNC110  # nothing announces it
                    await asyncio.sleep(0.1)
            sizes = [len((await server.get(f"/stream/a/hls/{name}")).body) for name in names(playlist)]
            status = await server.wait_status("a", lambda status: not status["active"])
            assert status["hls_bytes"] == sum(sizes) > 0
        await server.wait_status("a", lambda status: status["hls_bytes"] == 0)
        metrics = (await server.get("/metrics")).body.decode()
        assert "\nfastrelay_segment_bytes 0.0\n" in metrics, "and nothing of the first time is held any more"
