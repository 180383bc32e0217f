"""`/api/events` of a running server: what it tells, to whom, and what it costs nobody."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from fastrelay.endpoints.events import READERS_MAX
from tests.kit.behaviours import live
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Viewer, connect
from tests.whole.relay import relay

SOURCE = PositionCoded(byte_rate=200_000)
TOKEN = {"Authorization": "Bearer secret-token"}

Told = list[tuple[str, Any]]


class Reader:
    """Somebody who reads the events; `told` are those that came."""

    def __init__(self) -> None:
        self.told: Told = []
        self.comments = 0
        self._text = ""
        self.viewer: Viewer

    @classmethod
    async def of(cls, server: Server, **headers: str) -> "Reader":
        reader = cls()
        reader.viewer = await connect(server.url("/api/events"), sink=reader._take, headers=headers)
        assert await reader.viewer.head() == 200
        return reader

    async def until(self, predicate: Callable[[Told], bool]) -> None:
        await self.viewer.wait_for(lambda viewer: predicate(self.told))

    def _take(self, data: bytes) -> None:
        *parts, self._text = (self._text + data.decode()).split("\n\n")
        for part in parts:
            if part.startswith(":"):
                self.comments += 1
                continue
            event, text = part.split("\n")
            assert event.startswith("event: ")
            assert text.startswith("data: ")
            self.told.append((event[7:], json.loads(text[6:])))


def _state(told: Told) -> str | None:
    streams = told[-1][1]["streams"] if told else []
    return streams[0]["state"] if streams else None


async def test_a_snapshot_then_what_changes_and_each_event_once() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        reader = await Reader.of(server)
        await reader.until(lambda told: len(told) > 1)
        kind, snapshot = reader.told[0]
        assert (kind, snapshot["streams"]) == ("snapshot", [])
        assert snapshot["history"]["step"] == 2
        assert snapshot["manager"]
        assert reader.viewer.headers["content-type"] == "text/event-stream; charset=utf-8"

        viewer = await connect(server.url("/stream/a"))
        await reader.until(lambda told: _state(told) == "active")
        status = await server.status("a")
        figures = reader.told[-1][1]["streams"][0]
        assert figures.keys() | {"events"} == status.keys()
        assert (figures["clients"], figures["clients_ts"], figures["clients_hls"]) == (1, 1, 0)
        late = await Reader.of(server)
        await late.until(bool)
        assert (late.told[0][0], _state(late.told[:1])) == ("snapshot", "active")
        late.viewer.close()
        viewer.close()
        await reader.until(lambda told: _state(told) == "idle")
        news = [event for _, data in reader.told for stream in data["streams"] for event in stream.get("events", ())]
        assert [event["event"] for event in news] == ["started", "first byte", "active", "idle", "stopped"]
        assert news[0]["detail"] == "1 source"
        assert any(data.get("sample") and data["sample"][0] == 1 for _, data in reader.told)
        assert origin.requests("/a") == 1
        reader.viewer.close()


async def test_credentials_are_for_the_administrator() -> None:
    async with Origin() as origin:
        url = origin.route("/live/me/hidden/1.ts", live(SOURCE))
        async with relay(url, auth={"admin_token": "secret-token"}) as server:
            viewer = await connect(server.url("/stream/a"))
            await viewer.received(1000)
            anyone, admin = await Reader.of(server), await Reader.of(server, **TOKEN)
            wrong = await Reader.of(server, Authorization="Bearer other")
            for reader in (anyone, admin, wrong):
                await reader.until(lambda told: len(told) > 2)
                reader.viewer.close()
            assert "hidden" in json.dumps(admin.told)
            assert [reader.told[0][1]["manager"] for reader in (anyone, admin, wrong)] == [False, True, False]
            for reader in (anyone, wrong):
                assert "hidden" not in json.dumps(reader.told)
                shown = (await server.status("a"))["source_url"]
                assert reader.told[-1][1]["streams"][0]["source_url"] == shown
            viewer.close()


async def test_a_stopping_server_ends_it_in_order() -> None:
    async with Server() as server:
        reader = await Reader.of(server)
        await reader.until(lambda told: bool(told))
        stopping = asyncio.create_task(server.stop())
        assert await reader.viewer.ended() == "eof"
        reader.viewer.close()
        await stopping


async def test_readers_are_bounded_and_who_leaves_makes_room() -> None:
    token = {"admin_token": "secret-token"}
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE)), auth=token) as server:
        viewer = await connect(server.url("/stream/a"))
        readers = [await Reader.of(server) for _ in range(READERS_MAX)]
        refused = await server.get("/api/events")
        assert (refused.status, refused.json()["error"]["code"]) == (503, "too_many_readers")
        head = await connect(server.url("/api/events"), method="HEAD")
        assert await head.head() == 200
        head.close()
        admin = await Reader.of(server, **TOKEN)
        for reader in (admin, *readers):
            await reader.until(lambda told: len(told) > 1)
        admin.viewer.close()
        readers.pop().viewer.close()
        async with asyncio.timeout(20):
            while (again := await connect(server.url("/api/events"))) and await again.head() == 503:
                again.close()
        for reader in readers:
            reader.viewer.close()
        again.close()
        viewer.close()


async def test_groups_of_channels() -> None:
    text = (
        '#EXTM3U\n#EXTINF:-1 group-title="B",1\nhttp://x.example/1\n#EXTINF:-1 group-title="a",2\nhttp://x.example/2\n'
    )
    async with Server() as server:
        assert (await server.get("/api/channels/groups")).json() == {"total": 0, "groups": []}
        content = text + "#EXTINF:-1,3\nhttp://x.example/3\n" + text.replace("/1", "/4").replace("/2", "/5")[8:]
        assert (await server.post("/api/playlists", {"name": "x", "content": content})).status == 201
        groups = (await server.get("/api/channels/groups")).json()["groups"]
        assert [group["name"] for group in groups] == ["", "a", "B"]
        assert sum(group["channels"] for group in groups) == (await server.get("/api/channels")).json()["total"]
