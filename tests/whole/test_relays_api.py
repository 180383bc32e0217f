"""Relays over the API, from the first POST to a restart: what it answers, and what it means for those who watch."""

import asyncio
from typing import Any

from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Reply, Viewer, connect, fetch

FIRST = PositionCoded(source_id=1, gop=0.2)
SECOND = PositionCoded(source_id=2, gop=0.2, program=7, pmt_pid=0x50, video_pid=0x200, audio_pid=0x201)


PUBLIC = "http://tv.example.com/a.ts"
"""The source of relays that nobody watches here."""


def entry(output_path: str, *source_urls: str) -> dict[str, Any]:
    return {"name": "News", "output_path": output_path, "source_urls": list(source_urls) or [PUBLIC]}


def said(reply: Reply) -> tuple[int, str]:
    """Status and error code."""
    return reply.status, reply.json()["error"]["code"]


async def watch(server: Server, path: str, *sources: PositionCoded) -> Viewer:
    """A viewer who has got the first second or so."""
    viewer = await connect(server.url(path), Checker(*sources))
    await viewer.received(100_000)
    return viewer


async def test_a_relay_made_over_the_api_plays_and_ends_with_its_deletion() -> None:
    async with Origin() as origin, Server() as server:
        source = origin.route("/a", live(FIRST))
        made = await server.post("/api/relays", entry("news", source))
        assert made.status == 201
        relay = made.json()
        assert made.headers["location"] == f"/api/relays/{relay['id']}"
        assert relay == {"id": relay["id"], **entry("news", source)}
        assert (await server.get(made.headers["location"])).json() == relay
        assert (await server.get("/api/relays")).json() == {"total": 1, "relays": [relay]}
        assert origin.requests("/a") == 0

        viewers = [await watch(server, "/stream/news", FIRST), await watch(server, "/stream/news.ts", FIRST)]
        gone = await server.post(made.headers["location"], method="DELETE")
        assert (gone.status, gone.body) == (204, b"")
        assert gone.headers["x-content-type-options"] == "nosniff"
        for viewer in viewers:
            assert await viewer.ended() == "eof"
            viewer.verify(switches=0)
        await origin.wait_for(lambda origin: origin.open_now() == 0)
        assert origin.requests("/a") == 1
        assert said(await server.get("/stream/news")) == (404, "relay_not_found")
        assert said(await server.get("/api/streams/news/status")) == (404, "relay_not_found")
        assert said(await server.get(made.headers["location"])) == (404, "relay_not_found")
        assert (await server.get("/api/relays")).json() == {"total": 0, "relays": []}


async def test_new_sources_reach_the_running_stream_at_its_next_switch() -> None:
    async with Origin() as origin, Server() as server:
        before, after = origin.route("/before", live(FIRST)), origin.route("/after", live(SECOND))
        where = (await server.post("/api/relays", entry("news", before))).headers["location"]
        viewer = await watch(server, "/stream/news", FIRST, SECOND)
        changed = await server.post(where, entry("news", after), method="PUT")
        assert (changed.status, changed.json()["source_urls"]) == (200, [after])
        await viewer.received(viewer.total + 200_000)
        assert origin.requests("/after") == 0
        status = await server.status("news")
        assert (status["source_url"], status["switches"]) == (before, 0)

        assert (await server.post("/api/streams/news/switch")).status == 200
        await viewer.wait_for(lambda viewer: viewer.checker is not None and len(viewer.checker.switches) == 1)
        await viewer.received(viewer.total + 200_000)
        viewer.verify(switches=1)
        status = await server.status("news")
        assert (status["source_url"], status["switches"], status["clients"]) == (after, 1, 1)
        await origin.wait_for(lambda origin: origin.open_now() == 1)
        assert (origin.requests("/before"), origin.requests("/after")) == (1, 1)


async def test_a_new_name_disturbs_nobody_and_a_new_path_ends_the_old_one() -> None:
    async with Origin() as origin, Server() as server:
        source = origin.route("/a", live(FIRST))
        relay = (await server.post("/api/relays", entry("news", source))).json()
        where = f"/api/relays/{relay['id']}"
        viewer = await watch(server, "/stream/news", FIRST)
        renamed = {**relay, "name": "Nachrichten für alle 📺"}
        assert (await server.post(where, renamed, method="PUT")).json() == renamed
        await viewer.received(viewer.total + 200_000)
        viewer.verify(switches=0)

        moved = {**renamed, "output_path": "nachrichten"}
        assert (await server.post(where, moved, method="PUT")).json() == moved
        assert await viewer.ended() == "eof"
        assert said(await server.get("/stream/news")) == (404, "relay_not_found")
        (await watch(server, "/stream/nachrichten", FIRST)).verify()


async def test_a_restart_keeps_the_relays_and_their_ids() -> None:
    async with Origin() as origin, Server() as server:
        source = origin.route("/a", live(FIRST))
        for path in ("one", "two", "three"):
            assert (await server.post("/api/relays", entry(path, source))).status == 201
        relays = (await server.get("/api/relays")).json()["relays"]
        await server.post(f"/api/relays/{relays[1]['id']}", method="DELETE")
        await server.post(f"/api/relays/{relays[2]['id']}", {**relays[2], "name": "Drei"}, method="PUT")
        await server.stop()
        await server.start()
        kept = [relays[0], {**relays[2], "name": "Drei"}]
        assert (await server.get("/api/relays")).json() == {"total": 2, "relays": kept}
        (await watch(server, "/stream/three", FIRST)).verify()
        newest = (await server.post("/api/relays", entry("four", source))).json()
        assert newest["id"] not in [relay["id"] for relay in relays]


async def test_what_was_answered_201_survives_a_kill() -> None:
    async with Server(clean_exit=False) as server:
        relay = (await server.post("/api/relays", entry("news"))).json()
        server.signal(9)
        await server.stop()
        await server.start()
        assert (await server.get("/api/relays")).json()["relays"] == [relay]


async def test_a_path_belongs_to_one_relay() -> None:
    async with Server({"relays": [entry("fixed")]}) as server:
        assert (await server.post("/api/relays", entry("one"))).status == 201
        two = (await server.post("/api/relays", entry("two"))).json()
        for path in ("one", "fixed"):
            assert said(await server.post("/api/relays", entry(path))) == (409, "path_taken")
            answer = await server.post(f"/api/relays/{two['id']}", entry(path), method="PUT")
            assert said(answer) == (409, "path_taken")
        several = await asyncio.gather(*(server.post("/api/relays", entry("race")) for _ in range(8)))
        assert sorted(reply.status for reply in several) == [201, *[409] * 7]
        relays = (await server.get("/api/relays")).json()["relays"]
        assert sorted(relay["output_path"] for relay in relays) == ["fixed", "one", "race", "two"]


async def test_a_relay_of_the_file_is_changed_in_the_file_only() -> None:
    async with Server({"relays": [entry("fixed")]}) as server:
        (relay,) = (await server.get("/api/relays")).json()["relays"]
        where = f"/api/relays/{relay['id']}"
        assert said(await server.post(where, {**relay, "name": "New"}, method="PUT")) == (409, "relay_configured")
        assert said(await server.post(where, method="DELETE")) == (409, "relay_configured")
        assert (await server.get(where)).json() == relay


WRONG: list[tuple[str, Any]] = [
    *(("name", name) for name in ("", " ", "two\nlines", 5, None, "x" * 201)),
    *(
        ("output_path", path)
        for path in (
            "",
            "a/b",
            "/a",
            "../a",
            "a.ts",
            "..",
            "a b",
            " a",
            "a%2fb",
            "a\\b",
            "sport:1",
            "ä",
            "a\n",
            "x" * 65,
        )
    ),
    ("output_path", ["a"]),
    ("source_urls", []),
    ("source_urls", {}),
    ("source_urls", PUBLIC),
    ("source_urls", [PUBLIC] * 17),
    *(
        ("source_urls[1]", [PUBLIC, url])
        for url in (
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "exec:cat /etc/passwd",
            " exec:cat /etc/passwd",
            "ftp://tv.example.com/a.ts",
            "tv.example.com/a.ts",
            "/etc/passwd",
            "http:///a.ts",
            "http://tv.example.com:99999/a.ts",
            f"{PUBLIC}|Host=evil",
            f"{PUBLIC}|X-A=b%0d%0aX-B: c",
            f"{PUBLIC}\r\nX-B: c",
            "udp://239.1.1.1",
            "",
            None,
        )
    ),
    ("output_paht", "b"),
    ("origin", "config"),
]


def mistaken(field: str, value: Any) -> dict[str, Any]:
    return {**entry("news"), field.partition("[")[0]: value}


async def test_each_mistake_is_answered_422_with_its_field_and_changes_nothing() -> None:
    async with Server() as server:
        where = (await server.post("/api/relays", entry("news"))).headers["location"]
        kept = (await server.get(where)).json()
        cases = [(field, mistaken(field, value)) for field, value in WRONG]
        cases += [(field, {name: kept[name] for name in entry("") if name != field}) for field in entry("")]
        for field, content in cases:
            await expect_invalid(server, "POST", "/api/relays", field, content)
            await expect_invalid(server, "PUT", where, field, content)
        await expect_invalid(server, "POST", "/api/relays", "id", {**entry("other"), "id": 1})
        await expect_invalid(server, "PUT", where, "id", {**kept, "id": kept["id"] + 1})
        assert (await server.get("/api/relays")).json()["relays"] == [kept]


async def expect_invalid(server: Server, method: str, path: str, field: str, content: Any) -> None:
    reply = await server.post(path, content, method=method)
    assert reply.status == 422, (method, content, reply.body)
    error = reply.json()["error"]
    assert (error["code"], error["field"]) == ("invalid", field), (method, content)
    assert error["message"].startswith(f"{field}: "), (method, content)


async def test_what_is_not_json_is_answered_400() -> None:
    async with Server() as server:
        where = (await server.post("/api/relays", entry("news"))).headers["location"]
        for body in (b"{", b"\xff\xfe", b'{"name": "a",}', b"{'name': 'a'}", b"NaN", b'{"a": 1} x', b" "):
            assert said(await server.post("/api/relays", body)) == (400, "invalid_json"), body
            assert said(await server.post(where, body, method="PUT")) == (400, "invalid_json"), body
        assert said(await server.post("/api/relays")) == (400, "invalid_json")


async def test_bodies_that_are_no_object_or_no_json_by_their_type() -> None:
    async with Server({"auth": {"admin_token": "t"}}) as server:
        bearer = {"Authorization": "Bearer t"}
        for content in ([], "a", 5, [entry("a")]):
            assert said(await server.post("/api/relays", content, **bearer)) == (422, "invalid")
        typed = await server.post("/api/relays", entry("a"), **bearer, **{"Content-Type": "text/plain"})
        assert said(typed) == (415, "unsupported_media_type")
        large = await server.post("/api/relays", b" " * ((1 << 20) + 1), **bearer)
        assert large.status == 413
        assert (await server.get("/api/relays", **bearer)).json()["total"] == 0


async def test_what_is_not_there_and_what_is_not_done_there() -> None:
    async with Server() as server:
        relay = (await server.post("/api/relays", entry("news"))).json()
        for wrong in ("0", "999", "-1", f"0{relay['id']}", "x", "1e0", "9" * 30, "%00", "1%2f.."):
            reply = await server.get(f"/api/relays/{wrong}")
            assert reply.status in (400, 404), wrong
            assert (await server.post(f"/api/relays/{wrong}", method="DELETE")).status in (400, 404), wrong
        for method, path, allow in (
            ("PATCH", f"/api/relays/{relay['id']}", "DELETE, GET, HEAD, OPTIONS, PUT"),
            ("DELETE", "/api/relays", "GET, HEAD, OPTIONS, POST"),
        ):
            refused = await fetch(server.url(path), method=method)
            assert (refused.status, refused.headers["allow"]) == (405, allow)
        assert (await server.get("/api/relays")).json()["relays"] == [relay]
