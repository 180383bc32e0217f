"""Lists of the API with options: joined with others, filtered, refreshed by themselves, deleted, made again."""

import asyncio
import gzip
from typing import Any

import pytest

from tests.kit.behaviours import body
from tests.kit.origin import Origin
from tests.kit.server import POLL, Server

TYPE = "audio/x-mpegurl"


def text(*entries: tuple[str, str, str]) -> str:
    """A list of (tvg-id, name, URL)."""
    return "#EXTM3U\n" + "".join(f'#EXTINF:-1 tvg-id="{tvg}",{name}\n{url}\n' for tvg, name, url in entries)


async def add(server: Server, name: str, content: str, **wishes: Any) -> dict[str, Any]:
    reply = await server.post("/api/playlists", {"name": name, "content": content, **wishes})
    assert reply.status in (200, 201), reply.body
    answer: dict[str, Any] = reply.json()
    return answer


async def channels(server: Server) -> dict[int, tuple[str, list[str]]]:
    """Name and sources by id."""
    found = (await server.get("/api/channels")).json()["channels"]
    return {channel["id"]: (channel["name"], channel["source_urls"]) for channel in found}


P = text(("n", "News", "http://p/n"), ("", "Own", "http://p/own"))
Q = text(("n", "News Q", "http://q/n"), ("n", "News Q low", "http://q/low"), ("s", "Sport", "http://q/s"))


async def test_joined_channels_keep_their_ids_while_lists_come_and_go() -> None:
    async with Server() as server:
        first = await add(server, "p", P, merge="tvg-id")
        second = await add(server, "q", Q, merge="tvg-id")
        whole = {
            1: ("News", ["http://p/n", "http://q/n", "http://q/low"]),
            2: ("Own", ["http://p/own"]),
            3: ("Sport", ["http://q/s"]),
        }
        assert await channels(server) == whole
        await add(server, "q", text(("s", "Sport", "http://q/s")))  # what was said once, holds
        assert (await channels(server))[1] == ("News", ["http://p/n"])
        await add(server, "q", Q)
        assert await channels(server) == whole
        assert (await server.post(f"/api/playlists/{first['id']}", method="DELETE")).status == 204
        left = {1: ("News Q", ["http://q/n", "http://q/low"]), 3: ("Sport", ["http://q/s"])}
        assert await channels(server) == left
        await server.stop()
        await server.start()
        assert await channels(server) == left
        assert second["merge"] == "tvg-id"
        await add(server, "p", P, merge="tvg-id")
        again = await channels(server)
        # The newer list comes second now.
        assert again[1] == ("News Q", ["http://q/n", "http://q/low", "http://p/n"])
        assert sorted(name for name, _ in again.values()) == ["News Q", "Own", "Sport"]


async def test_a_list_of_the_api_is_refreshed_by_itself_also_after_a_restart_until_it_is_deleted() -> None:
    async with Origin() as origin, Server() as server:
        one, two = (text(("a", name, "http://a/1"), ("b", "B", "http://a/2")) for name in ("One", "Two"))
        url = origin.route("/list", body(one.encode(), TYPE))
        wishes = {"refresh": "1s", "include": ["^[OT]"], "max_connections": 4}
        made = (await server.post("/api/playlists", {"name": "p", "url": url, **wishes})).json()
        assert [made[key] for key in ("refresh", "include", "max_connections")] == [1.0, ["^[OT]"], 4]
        origin.route("/list", body(gzip.compress(two.encode()), TYPE))
        await until(server, {1: ("Two", ["http://a/1"])})
        await server.stop()
        origin.route("/list", body(one.encode(), TYPE))
        await server.start()
        await until(server, {1: ("One", ["http://a/1"])})
        assert (await server.get("/api/playlists/1")).json()["include"] == ["^[OT]"]
        assert (await server.post("/api/playlists/1", method="DELETE")).status == 204
        asked = origin.requests("/list")
        # Whoever asks later than this list would have been due, asks for nothing that is deleted.
        await add(server, "q", one)
        await asyncio.sleep(1.5)
        assert origin.requests("/list") == asked


async def until(server: Server, expected: dict[int, tuple[str, list[str]]], within: float = 40) -> None:
    end = asyncio.get_running_loop().time() + within
    while (found := await channels(server)) != expected:
        assert asyncio.get_running_loop().time() < end, found
        await asyncio.sleep(POLL)


@pytest.mark.parametrize("staged", [False, True], ids=["while it is fetched", "while it is read"])
async def test_a_list_that_is_deleted_while_it_is_refreshed_stays_deleted(staged: bool) -> None:
    async with Origin() as origin, Server() as server:
        many = text(*((str(number), f"N{number}", f"http://a/{number}") for number in range(30_000)))
        url = origin.route("/list", body(text(("a", "A", "http://a/1")).encode(), TYPE))
        assert (await server.post("/api/playlists", {"name": "p", "url": url})).status == 201
        origin.route("/list", body(many.encode(), TYPE))
        refreshing = asyncio.create_task(server.post("/api/playlists/1/refresh"))
        await origin.wait_for(lambda origin: origin.requests("/list") == 2)
        while staged and not any(server.data.glob("incoming/*/staging")):
            assert not refreshing.done()
            await asyncio.sleep(POLL)
        assert (await server.post("/api/playlists/1", method="DELETE")).status == 204
        reply = await refreshing
        assert (reply.status, reply.json()["error"]["code"]) == (404, "playlist_not_found")
        assert (await server.get("/api/playlists")).json()["playlists"] == []
        assert await channels(server) == {}


async def test_what_is_wrong_with_an_option_is_said_exactly() -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"max_connections": -1}, "max_connections"),
        ({"max_connections": True}, "max_connections"),
        ({"merge": "name"}, "merge"),
        ({"include": ["("]}, "include[0]"),
        ({"exclude": "x"}, "exclude"),
        ({"refresh": 0}, "refresh"),
    )
    async with Server() as server:
        for wishes, field in wrong:
            reply = await server.post("/api/playlists", {"name": "p", "content": P, **wishes})
            assert (reply.status, reply.json()["error"]["field"]) == (422, field)
        assert (await server.get("/api/playlists")).json()["total"] == 0


async def test_the_options_of_an_uploaded_file_are_in_its_query() -> None:
    async with Server() as server:
        query = "name=p&merge=tvg-id&max_connections=2"
        headers = {"Content-Type": TYPE}
        reply = await server.post(f"/api/playlists?{query}", Q.encode(), **headers)
        assert reply.status == 201
        assert (reply.json()["merge"], reply.json()["max_connections"], reply.json()["channels"]) == ("tvg-id", 2, 2)
        assert (await server.post("/api/playlists?name=p&merge=x", Q.encode(), **headers)).status == 422


async def test_an_empty_upload_is_no_list() -> None:
    async with Server() as server:
        reply = await server.post("/api/playlists?name=x", b"", **{"Content-Type": TYPE})
        assert (reply.status, reply.json()["error"]["code"]) == (422, "invalid_list")
        assert "the file is empty" in reply.json()["error"]["message"]
        assert (await server.get("/api/playlists")).json()["total"] == 0


async def test_an_upload_of_nothing_is_an_empty_list() -> None:
    head = b"POST /api/playlists?name=none HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/x-mpegurl\r\n"
    chunked = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
    async with Server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head + chunked)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 422 "), answer
        assert b"found no line of one" in answer
        assert str(server.data).encode() not in answer
