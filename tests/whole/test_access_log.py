"""The access lines of a real server: one for each request, one for each viewer, nothing that must not be there."""

import asyncio
import json
import re

from tests.kit.behaviours import live
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect, stalled
from tests.whole.relay import PATH, relay

SOURCE = PositionCoded(gop=0.2)
HLS = {"segment_duration": "1s", "session_timeout": "1s"}


def access(server: Server) -> list[str]:
    return [line.partition(" access: ")[2] for line in server.log.splitlines() if " access: " in line]


async def test_a_line_for_each_request_and_each_viewer() -> None:
    limits = {"ring_size": "1MiB", "ring_max": "1MiB", "idle_timeout": "60s"}
    async with Origin() as origin:
        async with relay(origin.route("/a", live(SOURCE)), streams=limits, hls=HLS) as server:
            viewer = await connect(server.url(f"{PATH}?token=geheim"), headers={"User-Agent": "VLC/3.0.20"})
            await viewer.received(100_000)
            slow = await stalled(server.url(PATH))
            await server.get("/nothing?password=geheim", Authorization="Bearer geheim", **{"User-Agent": "\x9b31mcurl"})
            master = await server.get(f"{PATH}/hls", **{"User-Agent": "TV"})
            playlist = master.body.decode().splitlines()[-1]
            assert (await server.get(f"/stream/a/{playlist}")).status == 200
            assert (await server.get("/livez")).status == 200
            await server.wait_log("(slow")
            viewer.close()
            await server.wait_log('"VLC/3.0.20" (left)')
            await server.wait_log("/stream/a/hls 200")
            await server.wait_log('"TV" (left)')
            slow.close()
            lines = access(server)
        assert "geheim" not in server.log and "\x9b" not in server.log and "\\x9b31mcurl" in server.log
    watched = next(line for line in lines if '"VLC/3.0.20" (left)' in line)
    assert re.fullmatch(r'127\.0\.0\.1 GET /stream/a 200 \d{6,} bytes \d+\.\d{3} s "VLC/3\.0\.20" \(left\)', watched)
    assert sum("(slow: " in line for line in lines) == 1
    # One line each, also for the second, who found the stream running.
    assert sum(re.search(r"GET /stream/a(\?\S*)? 200", line) is not None for line in lines) == 2
    assert any(re.match(r"127\.0\.0\.1 GET /nothing\?password=\*\*\* 404 \d+ bytes", line) for line in lines)
    assert [line for line in lines if "livez" in line or "playlist.m3u8" in line] == []
    # Two lines for the viewer of HLS: his master playlist, and when he has gone.
    assert sum('"TV"' in line for line in lines) == 2


async def test_what_is_refused_and_who_gave_up_is_logged_too() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SOURCE))) as server:
        origin.stall("/a")
        waiting = await connect(server.url(PATH))
        await server.wait_status("a", lambda status: status["clients"] == 1)
        waiting.reset()
        await server.wait_log("GET /stream/a 499")
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"NONSENSE\r\n\r\n")
        await server.wait_log("127.0.0.1 - - 400")
        writer.close()


async def test_polls_are_lines_of_the_level_debug() -> None:
    async with Server({"log": {"level": "debug", "format": "json"}}) as server:
        await server.get("/livez", **{"User-Agent": "probe"})
        await server.wait_log("/livez")
        line = next(line for line in server.log.splitlines() if "/livez" in line)
    entry = json.loads(line)
    assert entry["level"] == "debug" and entry["target"] == "/livez" and entry["status"] == 200
    assert entry["user_agent"] == "probe" and entry["sent"] > 100 and entry["address"] == "127.0.0.1"


async def test_a_flood_of_refusals_is_counted() -> None:
    async with Server() as server:
        await asyncio.gather(*(server.get(f"/x{number}") for number in range(200)))
        await server.wait_log("more like this: 127.0.0.1 GET /x")
        await server.stop()
        said = [line for line in access(server) if line.startswith("127.0.0.1 GET /x")]
        counted = sum(int(number) for number in re.findall(r"… (\d+) more like this", server.log))
    assert len(said) + counted == 200 and counted > 0
