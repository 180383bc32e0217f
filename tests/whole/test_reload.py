"""SIGHUP: the file is read again, and who watches what did not change notices nothing."""

import asyncio
import signal
import time
from typing import Any

from tests.kit.behaviours import live
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import POLL, Server
from tests.kit.viewer import Viewer, connect

FIRST = PositionCoded(source_id=1, gop=0.2)
SECOND = PositionCoded(source_id=2, gop=0.2, program=7, pmt_pid=0x50, video_pid=0x200, audio_pid=0x201)


def entry(output_path: str, *source_urls: str, name: str = "") -> dict[str, Any]:
    return {"name": name or output_path, "output_path": output_path, "source_urls": list(source_urls)}


async def watch(server: Server, output_path: str) -> Viewer:
    viewer = await connect(server.url(f"/stream/{output_path}"), Checker(FIRST, SECOND))
    await viewer.received(50_000)
    return viewer


async def goes_on(viewer: Viewer, switches: int = 0) -> None:
    await viewer.received(viewer.total + 100_000)
    viewer.verify(switches=switches)


async def names(server: Server) -> dict[str, str]:
    """Output path and name of each relay."""
    relays = (await server.get("/api/relays")).json()["relays"]
    return {relay["output_path"]: relay["name"] for relay in relays}


async def reload(server: Server, config: dict[str, Any], expected: dict[str, str]) -> None:
    """Returns when the relays are as expected."""
    server.write_config(config)
    server.signal(signal.SIGHUP)
    await wait_names(server, expected)


async def wait_names(server: Server, expected: dict[str, str]) -> None:
    end = time.monotonic() + 40
    while (found := await names(server)) != expected:
        assert time.monotonic() < end, found
        await asyncio.sleep(POLL)


async def test_each_relay_gets_what_its_change_asks_for() -> None:
    async with Origin() as origin:
        first, second = origin.route("/first", live(FIRST)), origin.route("/second", live(SECOND))
        kept = origin.route("/kept", live(FIRST))
        before = {"relays": [entry("kept", kept), entry("changed", first), entry("gone", first)]}
        async with Server(before) as server:
            made = (await server.post("/api/relays", entry("made", first))).json()
            ids = {relay["output_path"]: relay["id"] for relay in (await server.get("/api/relays")).json()["relays"]}
            viewers = {path: await watch(server, path) for path in ("kept", "changed", "gone", "made")}
            after = {"relays": [entry("new", second), entry("kept", kept, name="K"), entry("changed", second)]}
            expected = {"made": "made", "new": "new", "kept": "K", "changed": "changed"}
            await reload(server, after, expected)

            assert await viewers["gone"].ended() == "eof"
            viewers["gone"].verify(switches=0)
            assert (await server.get("/stream/gone")).status == 404
            for path in ("kept", "changed", "made"):
                await goes_on(viewers[path])
            assert (origin.requests("/kept"), origin.requests("/second")) == (1, 0)
            await watch(server, "new")
            again = {relay["output_path"]: relay["id"] for relay in (await server.get("/api/relays")).json()["relays"]}
            assert {path: ids[path] for path in ("kept", "changed", "made")}.items() <= again.items()
            assert (await server.get(f"/api/relays/{made['id']}")).json() == made

            await server.post("/api/streams/changed/switch")
            checker = viewers["changed"].checker
            await viewers["changed"].wait_for(lambda viewer: checker is not None and len(checker.switches) == 1)
            await goes_on(viewers["changed"], switches=1)
            assert checker is not None and checker.switches[0].source_id == 2
            assert (await server.status("changed"))["source_url"] == second


BROKEN = [
    ("streams: {ring_sise: 4MiB}\n", "streams.ring_sise"),
    ("relays: [{name: A, output_path: a/b, source_urls: ['http://h/']}]\n", "relays[0].output_path"),
    ("relays: [{name: A, output_path: a, source_urls: ['http://user:geheim@h:port/']}]\n", "relays[0].source_urls[0]"),
    ("auth: {admin_token: 'ge heim'}\n", "auth.admin_token"),
    ("relays: [\n", ""),
    ("- a\n", ""),
]


async def test_a_broken_file_is_refused_with_the_key_and_nothing_changes() -> None:
    async with Origin() as origin:
        good = {"relays": [entry("a", origin.route("/a", live(FIRST)))]}
        async with Server(good) as server:
            viewer = await watch(server, "a")
            for text, key in BROKEN:
                server.config_file.write_text(text)
                await expect_refused(server, key)
            server.config_file.write_bytes(b"relays: [] # \xff\n")
            await expect_refused(server, "")
            server.config_file.unlink()
            await expect_refused(server, "")
            assert await names(server) == {"a": "a"}
            await goes_on(viewer)
            assert origin.requests("/a") == 1
            assert "geheim" not in server.log and "ge heim" not in server.log
            await reload(server, {"relays": [*good["relays"], entry("b", origin.url("/a"))]}, {"a": "a", "b": "b"})
            await goes_on(viewer)


async def expect_refused(server: Server, key: str) -> None:
    """One more line in the log, with the key."""
    said = f"the configuration stays as it is: {key}"
    seen = server.log.count(said)
    server.signal(signal.SIGHUP)
    end = time.monotonic() + 40
    while server.log.count(said) == seen:
        assert time.monotonic() < end, key
        await asyncio.sleep(POLL)


async def test_the_file_takes_over_a_path_of_the_api_and_gives_it_back() -> None:
    """Whose relay it is also decides what its sources may be: files and commands are the operator's only."""
    async with Origin() as origin, Server() as server:
        made = entry("a", origin.route("/first", live(FIRST)), name="made")
        await server.post("/api/relays", made)
        viewer = await watch(server, "a")
        file = server.folder / "clip.ts"
        file.write_bytes(SECOND.take(4.0))
        await reload(server, {"relays": [entry("a", file.as_uri(), name="file")]}, {"a": "file"})
        await goes_on(viewer)
        await server.post("/api/streams/a/switch")
        await viewer.wait_for(lambda viewer: viewer.checker is not None and len(viewer.checker.switches) == 1)
        assert viewer.checker is not None and viewer.checker.switches[0].source_id == 2
        await server.post("/api/streams/a/stop")
        await reload(server, {}, {"a": "made"})
        viewer = await watch(server, "a")
        await goes_on(viewer)


async def test_many_hangups_at_once_are_as_good_as_one() -> None:
    async with Origin() as origin:
        url = origin.route("/a", live(FIRST))
        async with Server({"relays": [entry("a", url)]}) as server:
            viewer = await watch(server, "a")
            server.write_config({"relays": [entry("a", url), entry("b", url)]})
            for _ in range(50):
                server.signal(signal.SIGHUP)
            await wait_names(server, {"a": "a", "b": "b"})
            await goes_on(viewer)
            assert origin.requests("/a") == 1


async def test_it_says_what_changed_and_what_waits_for_a_restart() -> None:
    before = {"streams": {"idle_timeout": "5s"}, "auth": {"admin_token": "geheim1"}}
    async with Server(before) as server:
        server.write_config(
            {"streams": {"idle_timeout": "6s"}, "auth": {"admin_token": "geheim2"}, "relays": [entry("a", "http://h/")]}
        )
        server.signal(signal.SIGHUP)
        await server.wait_log("changed relays; 1 relays added")
        await server.wait_log("a restart is needed for the change of streams.idle_timeout, auth.admin_token")
        server.write_config({**before, "log": {"level": "debug"}})
        server.signal(signal.SIGHUP)
        await server.wait_log("changed log.level, relays; 0 relays added, 0 changed, 1 removed")
        assert server.log.count("restart is needed") == 1
        assert (await server.get("/livez")).status == 200
        await server.wait_log("DEBUG   access: 127.0.0.1 GET /livez")
        assert "geheim" not in server.log
