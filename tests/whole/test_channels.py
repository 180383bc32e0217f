"""Lists of channels on a real server: imported, found, watched, exported, whatever happens meanwhile."""

import asyncio
import gzip
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from fastrelay.catalog.m3u import Entry, Parser
from fastrelay.demo import clip_path
from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Behaviour, Exchange, Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import POLL, ROOT, Server
from tests.kit.viewer import connect, fetch, join_many
from tests.media import media

SOURCE = PositionCoded()
FILE = {"Content-Type": "audio/x-mpegurl"}


def entries_of(body: bytes) -> tuple[list[Entry], Parser]:
    parser = Parser()
    return parser.feed(body) + parser.finish(), parser


def listing(count: int, base: str = "http://127.0.0.1:9") -> bytes:
    lines = (
        f'#EXTINF:-1 tvg-id="ch{i}.xx" tvg-name="Channel {i}" tvg-logo="http://logos.example/{i}.png" '
        f'group-title="Group {i % 300}",Channel {i} HD\n{base}/live/me/secret/{i}.ts\n'
        for i in range(count)
    )
    return ("#EXTM3U\n" + "".join(lines)).encode()


def content(body: bytes) -> Behaviour:
    async def answer(exchange: Exchange) -> None:
        await exchange.head(200, ("Content-Length", str(len(body))))
        await exchange.send(body)

    return answer


async def upload(server: Server, body: bytes, name: str = "list", **headers: str) -> dict[str, Any]:
    reply = await server.post(f"/api/playlists?name={name}", body, **{**FILE, **headers})
    assert reply.status in (200, 201), reply.body
    answer: dict[str, Any] = reply.json()
    return answer


def counts(answer: dict[str, Any]) -> tuple[int, ...]:
    return tuple(answer[key] for key in ("added", "updated", "unchanged", "removed", "rejected"))


async def test_a_channel_is_imported_watched_and_made_a_relay() -> None:
    async with Origin() as origin, Server({"streams": {"idle_timeout": "1s"}}) as server:
        url = origin.route("/one", live(SOURCE))
        text = f'#EXTM3U\n#EXTINF:-1 tvg-id="1" group-title="G",Öne / 1\n{url}\n#EXTINF:-1,no URL\n'
        reply = await server.post("/api/playlists", {"name": "mine", "content": text})
        assert (reply.status, reply.headers["location"]) == (201, "/api/playlists/1")
        assert counts(reply.json()) == (1, 0, 0, 0, 1)
        assert reply.json()["rejections"] == [{"line": 4, "reason": "an entry without a URL"}]
        found = (await server.get("/api/channels?search=%C3%B6NE&group=G")).json()
        assert found["total"] == 1
        channel = found["channels"][0]
        assert channel == {
            "id": 1, "name": "Öne / 1", "group": "G", "logo": None, "playlist": "mine",
            "attributes": {"tvg-id": "1", "group-title": "G"}, "source_urls": [url],
        }  # fmt: skip
        assert (await server.get("/api/channels?ids=9,1")).json() == found
        viewers = await join_many(server.url("/api/proxy/channel/1"), 3, lambda: Checker(SOURCE))
        for viewer in viewers:
            await viewer.received(50_000)
            viewer.verify()
        status = await server.status("channel:1")
        assert (status["kind"], status["clients"], origin.open_now("/one")) == ("channel", 3, 1)
        made = await server.post("/api/channels/1/relay")
        assert (made.status, made.json()["output_path"], made.json()["source_urls"]) == (201, "one-1", [url])
        again = await server.post("/api/channels/1/relay", {"name": "Two"})
        assert (again.status, again.json()["name"], again.json()["output_path"]) == (201, "Two", "two")
        for viewer in viewers:
            viewer.close()
        for path in ("/api/proxy/channel/2", "/api/proxy/channel/01", "/api/channels/2"):
            assert (await server.get(path)).status == 404
        assert (await server.post("/api/playlists/1", method="DELETE")).status == 204
        assert (await server.get("/api/channels")).json()["total"] == 0


async def test_all_of_a_real_list_comes_out_again() -> None:
    raw = media("iptv/free-tv.m3u8").read_bytes()
    before, header = entries_of(raw)
    async with Server() as server:
        answer = await upload(server, gzip.compress(raw), "free")
        assert counts(answer) == (2059, 0, 0, 0, 0)
        reply = await server.get("/playlist.m3u")
        after, written = entries_of(reply.body)
        assert reply.headers["content-type"].startswith("audio/x-mpegurl")
        assert dict(written.header).keys() == dict(header.header).keys()
        assert len(dict(written.header)["x-tvg-url"].split(",")) == len(dict(header.header)["x-tvg-url"].split(","))
        assert len(after) == 2059
        for one, other in zip(before, after, strict=True):
            assert (one.name, one.duration, one.attributes, one.directives) == (
                other.name, other.duration, other.attributes, other.directives,
            )  # fmt: skip
        assert [entry.url for entry in after] == [server.url(f"/api/proxy/channel/{n}") for n in range(1, 2060)]
        hls, _ = entries_of((await server.get("/playlist.m3u?type=hls&group=Albania")).body)
        assert {entry.group for entry in hls} == {"Albania"}
        assert hls[0].url == server.url("/api/proxy/channel/1/hls")
        head = await fetch(server.url("/playlist.m3u"), method="HEAD")
        assert (head.status, head.headers.get("content-length")) == (200, None)
        refused = await server.get("/playlist.m3u?type=ogg")
        assert (refused.status, refused.json()["error"]["field"]) == (422, "type")


async def test_a_channel_has_hls_cut_here_whatever_its_source_is() -> None:
    async with Origin() as origin, Server() as server:
        plain = origin.route("/live", live(SOURCE, burst=8))
        body = f"#EXTM3U\n#EXTINF:-1,One\n{plain}\n#EXTINF:-1,Two\nhttp://127.0.0.1:9/x.m3u8\n"
        await upload(server, body.encode())
        listed, _ = entries_of((await server.get("/playlist.m3u?type=hls")).body)
        assert [entry.url for entry in listed] == [
            server.url("/stream/channel:1/hls"),
            server.url("/api/proxy/channel/2/hls"),
        ]
        assert (await fetch(listed[0].url, method="HEAD")).status == 200
        master = await server.get("/stream/channel:1/hls")
        name = master.body.decode().split()[-1]
        playlist = await server.get(f"/stream/channel:1/{name}")
        assert (master.status, playlist.status) == (200, 200)
        segment = await server.get(f"/stream/channel:1/hls/{playlist.body.decode().split()[-1]}")
        assert (segment.status, segment.headers["content-type"]) == (200, "video/mp2t")
        viewer = await connect(server.url("/stream/channel:1.ts"), Checker(SOURCE))
        other = await connect(server.url("/api/proxy/channel/1"), Checker(SOURCE))
        await asyncio.gather(viewer.received(100_000), other.received(100_000))
        found = await server.status("channel:1")
        assert (found["clients_ts"], found["clients_hls"], origin.requests("/live")) == (2, 1, 1)
        for path in ("channel:3", "channel:3/hls", "channel:x/hls/playlist.m3u8", "channel:1%2Fhls"):
            assert (await server.get(f"/stream/{path}")).status == 404
        assert (await server.get("/stream/channel:3/hls/segment_1.ts")).status == 404


async def test_ids_survive_and_a_failed_refresh_keeps_the_old_list() -> None:
    one = '#EXTINF:-1 tvg-id="1" group-title="G",One\nhttp://a.example/1\n'
    two = '#EXTINF:-1 group-title="G",Two\nhttp://a.example/2\n'
    three = "#EXTINF:-1,Three\nhttp://a.example/3\n"
    async with Origin() as origin, Server() as server:
        url = origin.route("/list", content(f"#EXTM3U\n{one}{two}{three}".encode()))
        made = (await server.post("/api/playlists", {"name": "p", "url": url})).json()
        assert counts(made) == (3, 0, 0, 0, 0)

        async def ids() -> dict[str, int]:
            channels = (await server.get("/api/channels")).json()["channels"]
            return {channel["name"]: channel["id"] for channel in channels}

        assert await ids() == {"One": 1, "Two": 2, "Three": 3}
        renamed = one.replace(",One", ",Uno").replace("/1", "/new1")
        moved = two.replace("/2", "/new2")
        other = three.replace("Three", "Drei")
        origin.route("/list", content(f"#EXTM3U\n{other}{moved}{renamed}".encode()))
        assert counts((await server.post("/api/playlists/1/refresh")).json()) == (0, 3, 0, 0, 0)
        assert await ids() == {"Drei": 3, "Two": 2, "Uno": 1}
        origin.route("/list", content(f"#EXTM3U\n{moved}".encode()))
        assert counts((await server.post("/api/playlists/1/refresh")).json()) == (0, 0, 1, 2, 0)
        for broken in (b"<html>login</html>", b"#EXTM3U\n", gzip.compress(b"#EXTM3U\n" + one.encode() * 99)[:60]):
            origin.route("/list", content(broken))
            reply = await server.post("/api/playlists/1/refresh")
            assert (reply.status, reply.json()["error"]["code"]) == (422, "invalid_list")
            assert await ids() == {"Two": 2}
        origin.finish("/list")
        assert (await server.post("/api/playlists", {"name": "q", "url": origin.url("/none")})).status == 502
        assert [p["name"] for p in (await server.get("/api/playlists")).json()["playlists"]] == ["p"]
        assert "the list" in (await server.get("/api/playlists/1")).json()["failure"]
        origin.route("/list", content(f"#EXTM3U\n{renamed}{moved}{three}".encode()))
        assert counts((await server.post("/api/playlists/1/refresh")).json()) == (2, 0, 1, 0, 0)
        assert await ids() == {"Uno": 1, "Two": 2, "Three": 3}


async def test_lists_of_the_configuration_are_imported_joined_and_filtered() -> None:
    a = '#EXTM3U\n#EXTINF:-1 tvg-id="n" group-title="News",N\nhttp://a.example/n\n#EXTINF:-1,X\nhttp://a.example/x\n'
    b = '#EXTM3U\n#EXTINF:-1 tvg-id="n" group-title="News",N2\nhttp://b.example/n\n#EXTINF:-1,Adult\nhttp://b.example/a\n'
    async with Origin() as origin:
        lists = [
            {"name": "a", "url": origin.route("/a", content(a.encode())), "merge": "tvg-id", "refresh": "1s"},
            {"name": "b", "url": origin.route("/b", content(b.encode())), "merge": "tvg-id", "exclude": ["Adult"]},
        ]
        async with Server({"playlists": lists}) as server:
            await server.wait_log("the playlist 'b' is imported")
            await server.wait_log("the playlist 'a' is imported")
            found = (await server.get("/api/channels")).json()
            assert [channel["name"] for channel in found["channels"]] == ["N", "X"]
            assert found["channels"][0]["source_urls"] == ["http://a.example/n", "http://b.example/n"]
            exported, _ = entries_of((await server.get("/playlist.m3u")).body)
            assert [entry.name for entry in exported] == ["N", "X"]
            await origin.wait_for(lambda origin: origin.requests("/a") >= 3)
            assert origin.requests("/b") == 1
            for method, path in (("DELETE", "/api/playlists/1"), ("POST", "/api/playlists")):
                reply = await server.post(path, {"name": "a", "content": a}, method=method)
                assert (reply.status, reply.json()["error"]["code"]) == (409, "playlist_configured")
            server.write_config({"playlists": lists[1:]})
            server.signal(signal.SIGHUP)
            await server.wait_log("configuration read again")
            assert [c["name"] for c in (await server.get("/api/channels")).json()["channels"]] == ["N2"]


async def test_only_a_local_person_may_upload_and_no_web_page_for_him() -> None:
    body = listing(3)
    async with Server() as server:
        for headers, status in (
            ({"Content-Type": "text/plain"}, 403),
            ({"Content-Type": "application/x-www-form-urlencoded"}, 403),
            ({"Content-Type": "multipart/form-data; boundary=x"}, 403),
            ({**FILE, "Origin": "http://evil.example"}, 403),
            ({**FILE, "Sec-Fetch-Site": "cross-site"}, 403),
            (FILE, 201),
        ):
            reply = await fetch(server.url("/api/playlists?name=x"), method="POST", body=body, headers=headers)
            assert reply.status == status, (headers, reply.body)
        reply = await fetch(server.url("/api/playlists?name=x"), method="POST", body=body)
        assert reply.status == 403  # bytes without a type: a page may send them
        too_long = await raw(
            server,
            upload_head((64 << 20) + 1),
        )
        assert too_long.startswith(b"HTTP/1.1 413 ")
    async with Server({"auth": {"admin_token": "t0ken"}}) as server:
        assert (await raw(server, upload_head(60_000_000))).startswith(b"HTTP/1.1 401 ")
        assert not list((server.data / "incoming").glob("*"))
        reply = await fetch(
            server.url("/api/playlists"), method="POST", body=body, headers={"Authorization": "Bearer t0ken"}
        )
        assert (reply.status, reply.json()["name"]) == (201, "uploaded")


def upload_head(length: int) -> bytes:
    lines = ("POST /api/playlists HTTP/1.1", "Host: localhost", "Content-Type: audio/mpegurl")
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode()


async def raw(server: Server, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def test_an_upload_that_breaks_off_leaves_nothing() -> None:
    async with Server() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(upload_head(9_000_000) + listing(10_000))
        await writer.drain()
        await gone(server, 1)
        writer.transport.abort()
        await gone(server, 0)
        assert counts(await upload(server, listing(2)))[0] == 2
        await gone(server, 0)


async def gone(server: Server, files: int) -> None:
    """Wait until so many files are in work."""
    end = asyncio.get_running_loop().time() + 5
    while len(list((server.data / "incoming").glob("*"))) != files:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(POLL)


async def test_viewers_need_the_token_or_a_signature_and_lists_carry_it_on() -> None:
    auth = {"stream_token": "tok", "signing_key": "key"}
    async with Origin() as origin:
        url = origin.route("/one", live(SOURCE))
        relays = [{"name": 'A "b"', "output_path": "a", "source_urls": [url]}]
        async with Server({"auth": auth, "relays": relays}) as server:
            await upload(server, f"#EXTM3U\n#EXTINF:-1,One\n{url}\n".encode())
            for path in ("/stream/a", "/stream/a/hls", "/api/proxy/channel/1", "/playlist.m3u"):
                assert (await server.get(path)).status == 401
                assert (await server.get(f"{path}?token=wrong")).status == 401
                assert (await server.get(f"{path}?expires=9999999999&signature=x")).status == 403
            signed = await command("sign", "/playlist.m3u", "--expires", "1h", FASTRELAY_AUTH__SIGNING_KEY="key")
            expired = await command("sign", "/playlist.m3u", "--expires", "0", FASTRELAY_AUTH__SIGNING_KEY="key")
            assert (await server.get(expired)).status == 403
            for path in ("/playlist.m3u?token=tok", signed):
                entries, _ = entries_of((await server.get(path)).body)
                assert [entry.name for entry in entries] == ['A "b"', "One"]
                for entry in entries:
                    viewer = await connect(entry.url, Checker(SOURCE))
                    await viewer.received(50_000)
                    viewer.verify()
                    viewer.close()
            foreign = (
                await command("sign", "/stream/b", "--expires", "1h", FASTRELAY_AUTH__SIGNING_KEY="key")
            ).partition("?")[2]
            assert (await server.get(f"/stream/a?{foreign}")).status == 403


async def test_hls_playlists_carry_the_token_on_to_the_segments() -> None:
    relays = [{"name": "A", "output_path": "a", "source_urls": [f"file://{clip_path()}"]}]
    config = {"auth": {"stream_token": "t&k"}, "relays": relays, "hls": {"segment_duration": "1s"}}
    async with Server(config) as server:
        master = (await server.get("/stream/a/hls?token=t%26k")).body.decode().splitlines()[-1]
        playlist = await server.get(f"/stream/a/{master}", **{"Accept-Encoding": "gzip"})
        segment = gzip.decompress(playlist.body).decode().splitlines()[-1]
        assert segment.endswith(".ts?token=t%26k")
        reply = await server.get(f"/stream/a/hls/{segment}")
        assert (reply.status, reply.body[:1]) == (200, b"G")
        assert (await server.get(f"/stream/a/hls/{segment.partition('?')[0]}")).status == 401


async def command(*words: str, **environment: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fastrelay",
        *words,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode().strip()


async def test_the_command_imports_into_a_folder_and_into_a_server(tmp_path: Path) -> None:
    file = tmp_path / "some.m3u.gz"
    file.write_bytes(gzip.compress(listing(5) + b"rubbish\n"))
    expected = (
        "5 added, 0 updated, 0 unchanged, 0 removed, 1 rejected\n  line 12: neither a URL nor a line that begins with #"
    )
    assert await command("import", str(file), "--data", str(tmp_path / "data")) == expected
    async with Server() as server:
        assert await command("import", str(file), "--server", server.url("")) == expected
        found = (await server.get("/api/channels?limit=2&offset=3")).json()
        assert (found["total"], [c["name"] for c in found["channels"]]) == (5, ["Channel 3 HD", "Channel 4 HD"])
        assert found["channels"][0]["playlist"] == "some"


async def test_a_large_import_disturbs_nobody() -> None:
    """Viewers of a running stream and callers of the API, while a list of many channels comes in and goes out again.

    The control is a second server without the import: what its viewers see at the same time is the machine's doing.
    """
    count = int(os.environ.get("FASTRELAY_CHANNELS", "30000"))
    body = listing(count)
    async with Origin() as origin:
        config = {"relays": [{"name": "A", "output_path": "a", "source_urls": [origin.route("/a", live(SOURCE))]}]}
        async with Server(config) as server, Server(config) as control:
            viewers = await join_many(server.url("/stream/a"), 100, lambda: Checker(SOURCE))
            others = await join_many(control.url("/stream/a"), 20, lambda: Checker(SOURCE))
            await asyncio.gather(*(viewer.received(200_000) for viewer in (*viewers, *others)))
            before = server.rss
            origin.route("/list", content(gzip.compress(body, 1)))
            importing = asyncio.create_task(import_big(server, origin.url("/list")))
            slowest, slowest_control, most, writes = 0.0, 0.0, before, 0
            while not importing.done():
                slowest = max(slowest, await answer_time(server))
                slowest_control = max(slowest_control, await answer_time(control))
                most = max(most, server.rss)
                relay = {"name": "W", "output_path": f"w{writes}", "source_urls": ["http://w.example/"]}
                assert (await server.post("/api/relays", relay)).status == 201
                writes += 1
                await asyncio.sleep(0.02)
            gap, gap_control = (max(viewer.largest_gap for viewer in group) for group in (viewers, others))
            assert counts(importing.result()) == (count, 0, 0, 0, 0)
            exported = await fetch(server.url("/playlist.m3u"), within=60)
            most = max(most, server.rss)
            assert exported.body.count(b"#EXTINF") == count + 1 + writes
            assert (await server.get("/api/channels?search=channel%20299")).json()["total"] >= 1
            print(
                f"\n{count} channels: slowest answer {slowest * 1000:.0f} ms (control {slowest_control * 1000:.0f}), "
                f"gap {gap * 1000:.0f} ms (control {gap_control * 1000:.0f}), "
                f"{writes} writes, memory +{(most - before) >> 20} MiB"
            )
            for viewer in (*viewers, *others):
                viewer.verify()
            assert gap < 0.5 + 2 * gap_control
            assert most - before < 150 << 20


async def import_big(server: Server, url: str) -> dict[str, Any]:
    order = json.dumps({"name": "big", "url": url}).encode()
    headers = {"Content-Type": "application/json"}
    reply = await fetch(server.url("/api/playlists"), method="POST", body=order, headers=headers, within=300)
    answer: dict[str, Any] = reply.json()
    return answer


async def answer_time(server: Server) -> float:
    """Seconds until the server has answered a question that needs nothing but its loop."""
    started = asyncio.get_running_loop().time()
    assert (await server.get("/livez")).status == 200
    return asyncio.get_running_loop().time() - started


async def test_a_server_that_stops_in_the_middle_of_an_import_stops_cleanly() -> None:
    async with Server() as server:
        importing = asyncio.create_task(upload(server, listing(20_000)))
        await gone(server, 2)
        await server.stop()
        await asyncio.wait([importing])
        assert importing.exception() is not None
        await server.start()
        assert (await server.get("/api/channels")).json()["total"] == 0
        assert not list((server.data / "incoming").glob("*"))


@pytest.mark.parametrize("moment", [0.2, 0.5, 0.8, 1.1])
async def test_killed_in_the_middle_of_an_import_nothing_acknowledged_is_lost(moment: float) -> None:
    async with Server(clean_exit=False) as server:
        assert counts(await upload(server, listing(50)))[0] == 50
        importing = asyncio.create_task(upload(server, listing(20_000, "http://other.example")))
        end = asyncio.get_running_loop().time() + moment
        acknowledged = []
        while asyncio.get_running_loop().time() < end and not importing.done():
            path = f"w{len(acknowledged)}"
            relay = {"name": "W", "output_path": path, "source_urls": ["http://w.example/"]}
            assert (await server.post("/api/relays", relay)).status == 201
            acknowledged.append(path)
        server.signal(signal.SIGKILL)
        await asyncio.wait([importing])
        done = importing.exception() is None
        await server.stop()
        with sqlite3.connect(server.data / "fastrelay.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        await server.start()
        relays = (await server.get("/api/relays")).json()["relays"]
        assert {relay["output_path"] for relay in relays} >= set(acknowledged)
        found = (await server.get("/api/channels?limit=1")).json()
        assert found["total"] == (20_000 if done else found["total"])
        assert found["total"] in (50, 20_000)
        assert counts(await upload(server, listing(20_000, "http://other.example")))[:2] in ((19_950, 50), (0, 0))
        found = (await server.get("/api/channels?limit=50")).json()
        assert [channel["id"] for channel in found["channels"]] == list(range(1, 51))
        assert json.dumps(found)
