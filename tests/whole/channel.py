"""A server that knows channels, the way the tests of the passthrough want it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.kit.server import POLL, Server
from tests.kit.viewer import Reply

PATH = "/api/proxy/channel/1/hls"
_URI = re.compile(r'URI="([^"]+)"')


@asynccontextmanager
async def channels(*sources: tuple[str, ...], **config: Any) -> AsyncIterator[Server]:
    """A server with a channel for each tuple of source URLs: 1, 2, …"""
    streams = {"idle_timeout": "1s", **config.pop("streams", {})}
    hls = {"session_timeout": "1s", **config.pop("hls", {})}
    entries = "".join(
        f'#EXTINF:-1 tvg-id="c{at}",Channel {at}\n{url}\n' for at, urls in enumerate(sources) for url in urls
    )
    server = Server()
    listed = server.folder / "list.m3u"
    listed.write_text(f"#EXTM3U\n{entries}")
    lists = [{"name": "list", "url": listed.as_uri(), "merge": "tvg-id"}]
    server.write_config({"streams": streams, "hls": hls, "playlists": lists, **config})
    async with server:
        end = asyncio.get_running_loop().time() + 40
        while await _channels(server, config) < len(sources):
            assert asyncio.get_running_loop().time() < end, "the list is not there"
            await asyncio.sleep(POLL)
        yield server


async def _channels(server: Server, config: dict[str, Any]) -> int:
    token = config.get("auth", {}).get("admin_token")
    reply = await server.get("/api/channels", **({"Authorization": f"Bearer {token}"} if token else {}))
    total: int = reply.json()["total"]
    return total


def uris(playlist: bytes) -> list[str]:
    """Every URI that a playlist names, in its order."""
    found = []
    for line in playlist.decode().splitlines():
        found += _URI.findall(line) if line.startswith("#") else [line] if line else []
    return found


async def playlist_when(server: Server, predicate: Callable[[bytes], bool], within: float = 40) -> bytes:
    """The channel's playlist, asked for again and again until the predicate holds; it is there all the time."""
    end = asyncio.get_running_loop().time() + within
    while not predicate(body := await playlist(server)):
        assert asyncio.get_running_loop().time() < end, f"not within {within} s: {body.decode()}"
        await asyncio.sleep(0.1)
    return body


async def playlist(server: Server, path: str = PATH, **headers: str) -> bytes:
    reply: Reply = await server.get(path, **headers)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
    body: bytes = reply.body
    return body
