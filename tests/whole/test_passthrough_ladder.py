"""Many players of a provider's whole ladder: variants, renditions, keys and init sections, byte by byte.

FASTRELAY_LADDER=100x120 runs it with 100 players for 120 seconds.
"""

import asyncio
import os
import re
import time
from pathlib import Path

import aiohttp
import pytest

from tests.kit.clips import ffmpeg_decode
from tests.kit.ladder import Ladder, ladder_files
from tests.kit.origin import Origin
from tests.kit.server import Server
from tests.whole.channel import PATH, channels

PLAYERS, SECONDS = (int(number) for number in os.environ.get("FASTRELAY_LADDER", "20x9").split("x"))
_ATTRIBUTE = re.compile(r'URI="([^"]+)"')


class Player:
    """Plays as hls.js does: a variant, the audio and the subtitles; each playlist again after its target duration, or
    half of it when it did not change; each segment, key and init section once. Every body must be the origin's."""

    def __init__(self, server: Server, ladder: Ladder, number: int) -> None:
        self._server = server
        self._ladder = ladder
        self._number = number
        self.bodies = 0
        self._session: aiohttp.ClientSession

    async def play(self, seconds: float) -> None:
        headers = {"User-Agent": f"player {self._number}"}
        connector = aiohttp.TCPConnector(limit=6)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as self._session:
            master = (await self._get(PATH)).decode()
            variants = [line for line in master.splitlines() if line and not line.startswith("#")]
            audio, subtitles = _ATTRIBUTE.findall(master)
            variant = self._number % 3
            lists = ((variants[variant], f"list_{variant}.m3u8"), (audio, "list_3.m3u8"), (subtitles, "list_sub.m3u8"))
            await asyncio.gather(*(self._follow(uri, name, seconds) for uri, name in lists))

    async def _follow(self, uri: str, name: str, seconds: float) -> None:
        path = f"/api/proxy/channel/1/{uri}"
        files = self._ladder.segments(name)
        end = time.monotonic() + seconds
        seen: set[str] = set()
        before = ""
        while time.monotonic() < end:
            text = (await self._get(path)).decode()
            sequence = int(text.partition("#EXT-X-MEDIA-SEQUENCE:")[2].split("\n")[0])
            for line in text.splitlines():
                if line.startswith(("#EXT-X-KEY", "#EXT-X-MAP")) and (found := _ATTRIBUTE.search(line)):
                    kind = f"init_{name[5:-5]}.mp4" if "MAP" in line else "key.bin"
                    await self._fetch(found[1], kind, seen)
                elif line and not line.startswith("#"):
                    await self._fetch(line, files[sequence], seen)
                    sequence += 1
            await asyncio.sleep(2 if text != before else 1)
            before = text

    async def _fetch(self, uri: str, file: str, seen: set[str]) -> None:
        if uri not in seen:
            seen.add(uri)
            assert await self._get(f"{PATH}/{uri}") == (self._ladder.folder / file).read_bytes(), file
            self.bodies += 1

    async def _get(self, path: str) -> bytes:
        async with self._session.get(self._server.url(path)) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.read()


@pytest.mark.parametrize("kind", ["aes", "fmp4"])
async def test_many_players_cost_one_poll_and_one_fetch_each(kind: str) -> None:
    ladder = Ladder(ladder_files(kind, SECONDS + 15))
    async with Origin() as origin, channels((ladder.mount(origin, "/l"),), hls={"session_timeout": "30s"}) as server:
        players = [Player(server, ladder, number) for number in range(PLAYERS)]
        cpu = server.cpu_seconds
        await asyncio.gather(*(player.play(SECONDS) for player in players))
        status = await server.status("channel:1/hls")
        assert status["clients_hls"] == PLAYERS
        assert ladder.polled_in_time(), ladder.polls
        assert set(ladder.polls) == {"list_0.m3u8", "list_1.m3u8", "list_2.m3u8", "list_3.m3u8", "list_sub.m3u8"}
        asked = origin.ledger.requests.items()
        fetched = {path: count for path, count in asked if not Path(path).name.startswith("list_")}
        assert set(fetched.values()) == {1}, fetched
        print(
            f"{PLAYERS} players, {SECONDS} s of {kind}: {sum(player.bodies for player in players)} bodies for "
            f"{len(fetched)} fetches, {sum(map(len, ladder.polls.values()))} polls, "
            f"{status['bytes_streamed'] >> 20} MiB for {status['bytes_received'] >> 20} MiB, "
            f"{origin.ledger.connections_ever} connections, {server.cpu_seconds - cpu:.1f} CPU s, "
            f"{server.rss >> 20} MiB"
        )


@pytest.mark.parametrize("kind", ["aes", "fmp4"])
async def test_ffmpeg_plays_it(kind: str) -> None:
    ladder = Ladder(ladder_files(kind, 24))
    async with Origin() as origin, channels((ladder.mount(origin, "/l"),)) as server:
        frames, errors = await asyncio.to_thread(ffmpeg_decode, server.url(PATH), 4, 60)
        assert frames >= 3 * 25, errors
        assert "error" not in errors.lower(), errors
