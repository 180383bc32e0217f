"""HLS with many viewers, with one that hardly reads, and with little memory."""

import asyncio
import hashlib
import re
from dataclasses import dataclass, field

from fastrelay.streams.hls_sessions import ASKED_ONCE
from tests.kit.behaviours import live
from tests.kit.healthy import HealthyViewer
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import connect
from tests.whole.relay import PATH, relay
from tests.whole.test_hls import media, names, tag, watch

SMALL = PositionCoded(gop=1.0, byte_rate=50_000)
LARGE = PositionCoded(gop=1.0, byte_rate=1_000_000)
SHORT = {"segment_duration": "1s", "window": 4}

POLLERS = 200
SECONDS = 8.0
"""So long they poll: the whole list has rolled over by then."""
LATE = 3.5
GRACE = 5.0
"""Seconds for which a segment may be asked for after a list has named it: its own one, and the list's four (RFC 8216
§6.2.2). Half of the pollers come near their end."""


class Connection:
    """One keep-alive connection of a player."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def get(self, path: str, *fields: str) -> tuple[int, bytes]:
        head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""))
        self._writer.write(head.encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        assert length is not None
        return int(answer.split(b" ", 2)[1]), await self._reader.readexactly(int(length[1]))

    def close(self) -> None:
        self._writer.close()


@dataclass
class Seen:
    """What all pollers together saw."""

    digests: dict[str, bytes] = field(default_factory=dict)
    late: int = 0
    """Segments fetched when no list named them any more."""

    def whole(self, name: str, body: bytes) -> None:
        digest = hashlib.sha256(body).digest()
        assert self.digests.setdefault(name, digest) == digest


async def poll(server: Server, number: int, seen: Seen) -> None:
    """Half of them take each segment as it appears, the others the oldest one as late as they may."""
    loop = asyncio.get_running_loop()
    path = await watch(server)
    connection = Connection(*await asyncio.open_connection("127.0.0.1", server.port))
    fetched: set[str] = set()
    due: list[tuple[float, str]] = []
    try:
        end = loop.time() + SECONDS + LATE
        while loop.time() < end:
            asked = loop.time()
            status, body = await connection.get(path)
            assert status == 200
            listed = names(body.decode())
            if number % 2:
                if asked < end - LATE - 1:
                    due.append((asked, listed[0]))
                while due and due[0][0] + LATE <= loop.time():
                    await _fetch_late(connection, *due.pop(0), seen, listed)
            else:
                for name in [name for name in listed if name not in fetched]:
                    status, body = await connection.get(f"/stream/a/hls/{name}")
                    assert status == 200, name
                    seen.whole(name, body)
                    fetched.add(name)
            await asyncio.sleep(0.5)
    finally:
        connection.close()


async def _fetch_late(connection: Connection, asked: float, name: str, seen: Seen, listed: list[str]) -> None:
    status, body = await connection.get(f"/stream/a/hls/{name}", "Range: bytes=0-187")
    # A machine that stood still may have made it too late; then there is nothing to be said.
    if asyncio.get_running_loop().time() <= asked + GRACE:
        assert (status, len(body)) == (206, 188), f"{name} of a list {asyncio.get_running_loop().time() - asked} s ago"
        seen.late += name not in listed


async def test_every_listed_segment_can_be_fetched_while_the_list_rolls_over() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SMALL, burst=3)), hls=SHORT) as server:
        seen = Seen()
        async with asyncio.TaskGroup() as group:
            for number in range(POLLERS):
                group.create_task(poll(server, number, seen))
        assert len(seen.digests) >= SECONDS
        assert seen.late >= POLLERS
        assert (await server.status("a"))["clients_hls"] == POLLERS
        assert origin.requests("/a") == 1


async def test_whoever_asks_for_master_playlists_in_a_loop_makes_no_crowd() -> None:
    """And the viewers from behind the same address are still there, the one who comes last included."""
    async with Origin() as origin, relay(origin.route("/a", live(SMALL, burst=3)), hls=SHORT) as server:
        stays = await watch(server)
        await media(server, stays)
        connection = Connection(*await asyncio.open_connection("127.0.0.1", server.port))
        for _ in range(5 * ASKED_ONCE):
            status, _ = await connection.get("/stream/a/hls")
            assert status == 200
        connection.close()
        comes = await watch(server)
        await media(server, comes)
        clients = (await server.get("/api/streams/a/clients")).json()["clients"]
        assert len(clients) <= ASKED_ONCE + 2
        assert clients[0]["bytes"] > clients[1]["bytes"], "the first one has got a media playlist, too"
        assert clients[-1]["bytes"] > 0
        await media(server, stays)
        assert (await server.status("a"))["clients_hls"] == len(clients), "he was still known"
        # Nor does he fill the memory with what he calls himself.
        await server.get("/stream/a/hls", **{"User-Agent": 15_000 * "x"})
        clients = (await server.get("/api/streams/a/clients")).json()["clients"]
        assert clients[-1]["user_agent"] == 256 * "x"


async def test_a_connection_that_polls_on_gets_the_list_as_it_is_and_comes_in_anew_after_a_stop() -> None:
    async with Origin() as origin, relay(origin.route("/a", live(SMALL, burst=3)), hls=SHORT) as server:
        path = await watch(server)
        connection = Connection(*await asyncio.open_connection("127.0.0.1", server.port))
        seen: list[str] = []
        async with asyncio.timeout(30):
            while len(seen) < 8:
                status, body = await connection.get(path)
                assert status == 200
                seen += [name for name in names(body.decode()) if name not in seen]
                await asyncio.sleep(0.2)
        assert seen == sorted(seen)
        before = await server.status("a")
        assert before["clients_hls"] == 1
        await server.post("/api/streams/a/stop")
        assert (await server.status("a"))["clients_hls"] == 0
        status, body = await connection.get(path)
        assert status == 200
        assert not set(names(body.decode())) & set(seen)
        assert (await server.status("a"))["clients_hls"] == 1
        assert origin.requests("/a") == 2
        connection.close()


async def test_a_reader_of_ten_kilobytes_a_second_is_cut_and_disturbs_nobody() -> None:
    """Five of them, each of a segment of four megabytes; the memory is as it was when they are gone."""
    settings = {"server": {"write_timeout": "2s"}, "hls": {"segment_duration": "4s", "window": 3}}
    async with Origin() as origin, relay(origin.route("/a", live(LARGE, burst=10)), **settings) as server:
        # On a machine of its own he waits less than 250 ms.
        with HealthyViewer(server.url(PATH), LARGE, max_gap=5.0):
            path = await watch(server)
            name = names((await server.get(path)).body.decode())[-1]
            before = server.fds
            url = server.url(f"/stream/a/hls/{name}")
            slow = [await connect(url, rate=10_000, receive_buffer=65_536) for _ in range(5)]
            for viewer in slow:
                assert await viewer.head() == 200
            async with asyncio.timeout(20):
                while server.fds > before:  # noqa: ASYNC110  # nothing announces it
                    await asyncio.sleep(0.1)
            for viewer in slow:
                # What it has in its own kernel it may read as it likes.
                viewer.set_rate(None)
                assert await viewer.ended() == "reset"
                assert viewer.total < 1_000_000
            # Who reads in time gets the same segment whole.
            assert len((await server.get(f"/stream/a/hls/{name}")).body) > 3_000_000


async def test_the_status_tells_what_segments_hold_and_the_bound_on_all_of_them_is_kept() -> None:
    """Two channels that need eight megabytes share three, and the operator hears of it once."""
    limit = 3 << 20
    async with Origin() as origin:
        urls = [origin.route(f"/{name}", live(PositionCoded(gop=1.0, byte_rate=400_000), burst=8)) for name in "ab"]
        relays = [{"name": n, "output_path": n, "source_urls": [url]} for n, url in zip("ab", urls, strict=True)]
        async with Server({"relays": relays, "hls": {**SHORT, "window": 6, "memory_max": limit}}) as server:
            paths = {name: await _media_path(server, name) for name in "ab"}
            await server.wait_log("hls.memory_max is reached")
            for _ in range(20):
                running = (await server.get("/api/streams/status")).json()["streams"]
                held = [stream["hls_bytes"] for stream in running]
                assert len(held) == 2
                assert all(held)
                assert sum(held) <= limit
                for name, path in paths.items():
                    text = (await server.get(path)).body.decode()
                    newest = names(text)[-1]
                    assert (await server.get(f"/stream/{name}/hls/{newest}")).status == 200
                    assert int(tag(text, "EXT-X-MEDIA-SEQUENCE")) > 0
                await asyncio.sleep(0.2)
            assert server.log.count("hls.memory_max is reached") == 1


async def _media_path(server: Server, name: str) -> str:
    (uri,) = names((await server.get(f"/stream/{name}/hls")).body.decode())
    return f"/stream/{name}/{uri}"
