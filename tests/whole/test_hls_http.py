"""HLS as caches, CDNs and players in web pages ask for it: conditions, codings, ranges, other origins, HEAD."""

import gzip
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from tests.kit.behaviours import cut, live
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Reply
from tests.server.serving import Client
from tests.whole.relay import relay
from tests.whole.test_hls import names, tag, until

SOURCE = PositionCoded(gop=1.0)
PLAYLIST = "/stream/a/hls/playlist.m3u8"


@asynccontextmanager
async def watched(**config: dict[str, Any]) -> AsyncIterator[tuple[Origin, Server]]:
    """A server whose playlist stays as it is: the source has delivered nine seconds and stands still."""
    settings = {"hls": {"segment_duration": "4s"}, "failover": {"stall_timeout": "5m"}, **config}
    still = cut(live(SOURCE, burst=12), size=int(9.2 * SOURCE.byte_rate), then="stall")
    async with Origin() as origin, relay(origin.route("/a", still), **settings) as server:
        yield origin, server


async def test_conditions_and_codings() -> None:
    async with watched() as (_, server):
        plain = await server.get(PLAYLIST)
        packed = await server.get(PLAYLIST, **{"Accept-Encoding": "br, gzip;q=0.8"})
        assert (plain.status, packed.status) == (200, 200)
        assert gzip.decompress(packed.body) == plain.body
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
        assert plain.headers["etag"] != packed.headers["etag"], "other bytes, other tag"
        refusing = await server.get(PLAYLIST, **{"Accept-Encoding": "gzip;q=0, identity"})
        assert refusing.body == plain.body
        ours, theirs = plain.headers["etag"], packed.headers["etag"]
        for given in (ours, f"W/{ours}", f'"x", {ours}', "*"):
            unchanged = await server.get(PLAYLIST, **{"If-None-Match": given})
            assert (unchanged.status, unchanged.body) == (304, b"")
            for field in ("etag", "cache-control", "vary", "access-control-allow-origin"):
                assert unchanged.headers[field] == plain.headers[field]
        assert (await server.get(PLAYLIST, **{"If-None-Match": theirs})).status == 200
        both = {"Accept-Encoding": "gzip", "If-None-Match": theirs}
        assert (await server.get(PLAYLIST, **both)).status == 304
        segment = f"/stream/a/hls/{names(plain.body.decode())[0]}"
        name = (await server.get(segment)).headers["etag"]
        for given in (name, f"W/{name}", "*"):
            assert (await server.get(segment, **{"If-None-Match": given})).status == 304
        again = await server.get(segment, **{"If-None-Match": '"1"'})
        assert (again.status, int(again.headers["content-length"])) == (200, len(again.body))


async def test_what_lets_a_viewer_in_is_in_every_coding_of_the_playlist() -> None:
    async with watched(auth={"stream_token": "secret"}) as (_, server):
        assert (await server.get(PLAYLIST)).status == 401
        plain = await server.get(f"{PLAYLIST}?token=secret")
        packed = await server.get(f"{PLAYLIST}?token=secret", **{"Accept-Encoding": "gzip"})
        assert gzip.decompress(packed.body) == plain.body
        for name in names(plain.body.decode()):
            assert name.endswith(".ts?token=secret")
            assert (await server.get(f"/stream/a/hls/{name}")).status == 200


def part_of(reply: Reply) -> tuple[int, int, int]:
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", reply.headers["content-range"])
    assert found is not None
    first, last, size = map(int, found.groups())
    assert int(reply.headers["content-length"]) == len(reply.body) == last + 1 - first
    return first, last, size


async def test_ranges() -> None:
    async with watched() as (_, server):
        playlist = (await server.get(PLAYLIST)).body.decode()
        path = f"/stream/a/hls/{names(playlist)[0]}"
        whole = await server.get(path)
        size, etag = len(whole.body), whole.headers["etag"]
        assert whole.headers["accept-ranges"] == "bytes"
        for asked, first, last in (
            ("bytes=0-0", 0, 0),
            ("bytes=188-375", 188, 375),
            (f"bytes={size - 188}-", size - 188, size - 1),
            ("bytes=-188", size - 188, size - 1),
            (f"bytes=-{size + 1}", 0, size - 1),
            (f"bytes=100-{10 * size}", 100, size - 1),
        ):
            reply = await server.get(path, Range=asked)
            assert (reply.status, part_of(reply)) == (206, (first, last, size))
            assert reply.body == whole.body[first : last + 1]
            assert reply.headers["etag"] == etag
        for asked in (f"bytes={size}-", f"bytes={size}-{size + 5}", "bytes=-0", "bytes=9-5"):
            reply = await server.get(path, Range=asked)
            assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{size}")
            assert reply.headers["access-control-allow-origin"] == "*"
        for asked in ("bytes=0-1,4-5", "bytes=-", "lines=0-1", "bytes=x-", f"bytes={'1' * 5000}-"):
            reply = await server.get(path, Range=asked)
            assert (reply.status, reply.body) == (200, whole.body)
        assert (await server.get(path, Range="bytes=0-0", **{"If-Range": etag})).status == 206
        for other in ('"1"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
            assert (await server.get(path, Range="bytes=0-0", **{"If-Range": other})).status == 200
        assert (await server.get(path, Range="bytes=0-0", **{"If-None-Match": etag})).status == 304
        playlist_part = await server.get(PLAYLIST, Range="bytes=0-5")
        assert playlist_part.status == 200


async def test_players_in_pages_of_other_origins() -> None:
    async with watched() as (origin, server):
        asked = {
            "Origin": "https://tv.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "range,x-requested-with",
        }
        for path in ("/stream/a/hls", "/stream/a/hls/master.m3u8", PLAYLIST, "/stream/a/hls/segment_1.ts"):
            reply = await server.post(path, method="OPTIONS", **asked)
            assert (reply.status, reply.body) == (204, b"")
            assert reply.headers["access-control-allow-origin"] == "*"
            assert "GET" in reply.headers["access-control-allow-methods"]
            assert "*" in reply.headers["access-control-allow-headers"]
            assert reply.headers["allow"] == "GET, HEAD, OPTIONS"
            refused = await server.post(path, Origin="https://tv.example")
            assert (refused.status, refused.headers["access-control-allow-origin"]) == (405, "*")
            moved = await server.get(f"{path}/?token=x", Origin="https://tv.example")
            assert (moved.status, moved.headers["access-control-allow-origin"]) == (308, "*")
            assert moved.headers["location"] == f"{path}?token=x"
        assert origin.requests("/a") == 0, "asking first starts nothing"
        missing = (
            "/stream/nothing/hls",
            "/stream/a/hls/segment_1.ts",
            "/stream/a/hls/nothing.txt",
            "/stream/a/hls/x/y",
        )
        for path in (*missing, "/stream/nothing/hls/playlist.m3u8"):
            reply = await server.get(path, Origin="https://tv.example")
            assert (reply.status, reply.headers["access-control-allow-origin"]) == (404, "*")
            assert reply.json()["error"]["code"]
        for path in ("/stream/a/hls", PLAYLIST):
            reply = await server.get(path, Origin="https://tv.example")
            assert reply.headers["access-control-allow-origin"] == "*"
            assert reply.headers["access-control-expose-headers"] == "*"


async def test_a_player_in_a_page_hears_why_there_is_no_stream() -> None:
    async with Origin() as origin, relay(origin.url("/nothing"), auth={"stream_token": "secret"}) as server:
        for path, status in (("/stream/a/hls?token=secret", 502), (f"{PLAYLIST}?token=secret", 502), (PLAYLIST, 401)):
            reply = await server.get(path)
            assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, "*")


async def test_head_tells_what_is_known_and_counts_nobody() -> None:
    async with watched() as (origin, server):
        for path in ("/stream/a/hls", "/stream/a/hls/master.m3u8", PLAYLIST):
            reply = await server.post(path, method="HEAD")
            assert (reply.status, reply.body) == (200, b"")
            assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
            assert "content-length" not in reply.headers, "nobody knows it yet"
        assert origin.requests("/a") == 0
        playlist = await server.get(PLAYLIST)
        before = await server.status("a")
        reply = await server.post(PLAYLIST, method="HEAD")
        assert int(reply.headers["content-length"]) == len(playlist.body)
        assert reply.headers["etag"] == playlist.headers["etag"]
        name = f"/stream/a/hls/{names(playlist.body.decode())[0]}"
        reply = await server.post(name, method="HEAD")
        assert (reply.status, reply.body) == (200, b"")
        assert int(reply.headers["content-length"]) > 188
        after = await server.status("a")
        assert (after["clients_hls"], after["bytes_streamed"]) == (1, before["bytes_streamed"])


async def test_a_segment_asked_with_the_same_bytes_is_the_same_for_all_and_counted() -> None:
    async with watched() as (_, server):
        (name, *_) = names((await server.get(PLAYLIST)).body.decode())
        before = (await server.status("a"))["bytes_streamed"]
        asking = f"GET /stream/a/hls/{name} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
        async with Client(("127.0.0.1", server.port)) as one, Client(("127.0.0.1", server.port)) as other:
            bodies = []
            for client in (one, other, one, other):
                await client.send(asking)
                bodies.append((await client.answer()).body)
            assert bodies == [bodies[0]] * 4
            assert (await server.status("a"))["bytes_streamed"] == before + 4 * len(bodies[0])
            await server.post("/api/streams/a/stop")
            for client in (one, other):
                await client.send(asking)
                assert (await client.answer()).status == 404


async def test_a_segment_has_one_name_only() -> None:
    async with watched() as (_, server):
        (name, *_) = names((await server.get(PLAYLIST)).body.decode())
        assert (await server.get(f"/stream/a/hls/{name}")).status == 200
        numbers = ("0", "-1", "1e3", "%D9%A3", "9" * 19, "9" * 5000)
        for other in (*(f"segment_{number}.ts" for number in numbers), name.replace("_", "_0"), f"S{name[1:]}"):
            assert (await server.get(f"/stream/a/hls/{other}")).status == 404


async def test_a_burst_of_the_source_is_more_than_one_segment_in_the_first_playlist() -> None:
    """A player that begins with one segment runs dry before the second is whole."""
    async with watched() as (_, server):
        text = (await server.get(PLAYLIST)).body.decode()
        assert len(names(text)) >= 2
        assert tag(text, "EXT-X-TARGETDURATION") == "6"


def dates(playlist: str) -> dict[str, tuple[float, float]]:
    """When each of its segments begins and ends, in Unix time."""
    entry = r"#EXT-X-PROGRAM-DATE-TIME:(.*)\n#EXTINF:([\d.]+),\n(.*)\n"
    found = [(name, datetime.fromisoformat(date).timestamp(), float(length)) for date, length, name in
             re.findall(entry, playlist)]  # fmt: skip
    return {name: (begins, begins + length) for name, begins, length in found}


async def test_the_newest_of_a_burst_is_of_now_and_what_was_shown_keeps_its_date() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE, burst=9.2))) as server:
        asked = time.time()
        first = (await server.get(PLAYLIST)).body.decode()
        shown = dates(first)
        assert len(shown) == len(names(first)) >= 2
        # The last of them ends less than one key-frame interval before the newest media there are.
        assert asked - 1.5 < max(end for _, end in shown.values()) <= time.time()
        later = dates(await until(server, PLAYLIST, len(shown)))
        assert shown.items() <= later.items()
        ends = [end for _, end in later.values()]
        assert [begin for begin, _ in later.values()][1:] == pytest.approx(ends[:-1], abs=0.002)
