"""A database that is locked, full or damaged costs the change that was asked for, never a running stream."""

import asyncio
import resource
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Reply, Viewer, connect

SOURCE = PositionCoded(gop=0.2)


def entry(output_path: str, url: str) -> dict[str, Any]:
    return {"name": output_path, "output_path": output_path, "source_urls": [url]}


def expect_unavailable(reply: Reply, why: str) -> None:
    assert reply.status == 503, reply.body
    error = reply.json()["error"]
    assert error["code"] == "storage_unavailable"
    assert error["message"].startswith("nothing was changed: ") and why in error["message"], error


def changes(relay: dict[str, Any]) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Each kind of change: method, path, content."""
    where, url = f"/api/relays/{relay['id']}", relay["source_urls"][0]
    return [
        ("POST", "/api/relays", entry("b", url)),
        ("PUT", where, {**relay, "output_path": "c"}),
        ("DELETE", where, None),
    ]


async def watch(server: Server, path: str) -> Viewer:
    viewer = await connect(server.url(path), Checker(SOURCE))
    await viewer.received(50_000)
    return viewer


async def expect_unchanged(server: Server, relay: dict[str, Any], viewer: Viewer) -> None:
    assert (await server.get("/api/relays")).json()["relays"] == [relay]
    await viewer.received(viewer.total + 100_000)
    viewer.verify(switches=0)
    status = await server.status("a")
    assert (status["state"], status["clients"]) == ("active", 1)


async def test_a_locked_database_refuses_the_change_and_the_stream_goes_on() -> None:
    async with Origin() as origin, Server() as server:
        url = origin.route("/a", live(SOURCE))
        relay = (await server.post("/api/relays", entry("a", url))).json()
        viewer = await watch(server, "/stream/a")
        with closing(sqlite3.connect(server.data / "fastrelay.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for method, path, content in changes(relay)[1:]:
                change = asyncio.create_task(server.post(path, content, method=method))
                # The server waits 2 s for the lock; this is 0.4 s of the stream.
                await viewer.received(viewer.total + 200_000)
                assert not change.done()
                expect_unavailable(await change, "it is locked by another process")
            await expect_unchanged(server, relay, viewer)
            other.execute("ROLLBACK")
        assert (await server.post("/api/relays", entry("b", url))).status == 201


async def test_a_full_disk_refuses_the_change_and_the_stream_goes_on() -> None:
    async with Origin() as origin, Server() as server:
        url = origin.route("/a", live(SOURCE))
        relay = (await server.post("/api/relays", entry("a", url))).json()
        viewer = await watch(server, "/stream/a")
        # No file of the server may be written to any more, as on a disk without a free block.
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for method, path, content in changes(relay):
            expect_unavailable(await server.post(path, content, method=method), "full")
        await expect_unchanged(server, relay, viewer)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert (await server.post("/api/relays", entry("b", url))).status == 201
        await server.stop()
        await server.start()
        paths = [relay["output_path"] for relay in (await server.get("/api/relays")).json()["relays"]]
        assert paths == ["a", "b"]


@pytest.mark.parametrize("damage", ["noise", "torn"])
async def test_a_damaged_database_is_set_aside_and_the_server_starts(damage: str) -> None:
    async with Origin() as origin:
        url = origin.route("/a", live(SOURCE))
        async with Server({"relays": [entry("fixed", url)]}) as server:
            await server.post("/api/relays", entry("a", url))
            await server.stop()
            file = server.data / "fastrelay.db"
            whole = file.read_bytes()
            damaged = b"this is no database at all" * 100 if damage == "noise" else whole[: len(whole) // 2]
            file.write_bytes(damaged)
            await server.start()
            assert "is damaged" in server.log and "set aside as" in server.log
            (aside,) = server.data.glob("fastrelay.db.damaged-*Z")
            assert aside.read_bytes() == damaged
            relays = (await server.get("/api/relays")).json()["relays"]
            assert [relay["output_path"] for relay in relays] == ["fixed"]
            (await watch(server, "/stream/fixed")).verify()
            assert (await server.post("/api/relays", entry("b", url))).status == 201
            await server.stop()
            await server.start()
            assert (await server.get("/api/relays")).json()["total"] == 2
            assert len(list(server.data.glob("*.damaged-*Z"))) == 1


async def test_a_database_of_a_newer_version_is_left_alone() -> None:
    async with Server(clean_exit=False) as server:
        await server.stop()
        file = server.data / "fastrelay.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("PRAGMA user_version = 99")
        before = file.read_bytes()
        with pytest.raises(AssertionError, match="fastrelay: the database has schema 99"):
            await server.start()
        assert "Traceback" not in server.log
        assert file.read_bytes() == before
