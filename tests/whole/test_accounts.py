"""Lists with `max_connections`: never more connections to the provider, and viewers who zap do not notice."""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from tests.kit.behaviours import live, one_at_a_time
from tests.kit.checker import Checker
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.server import Server
from tests.kit.viewer import Viewer, connect

SOURCE = PositionCoded(gop=0.2)


async def add_list(server: Server, urls: list[str], **wishes: Any) -> None:
    """The channels 1, 2 … at these URLs, by a list of the API."""
    text = "#EXTM3U\n" + "".join(f"#EXTINF:-1,C{number}\n{url}\n" for number, url in enumerate(urls, 1))
    reply = await server.post("/api/playlists", {"name": "mine", "content": text, **wishes})
    assert reply.status == 201, reply.body


def provider(origin: Origin, *paths: str) -> list[str]:
    """Channels of a provider that allows one connection in all."""
    channel = one_at_a_time(live(SOURCE, burst=1.0))
    return [origin.route(path, channel) for path in paths]


async def watch(server: Server, channel: int) -> Viewer:
    return await connect(server.url(f"/api/proxy/channel/{channel}"), Checker(SOURCE))


async def events(server: Server, channel: int) -> list[str]:
    return [event["detail"] for event in (await server.status(f"channel:{channel}"))["events"]]


async def leave_then_open(server: Server, old: Viewer, channel: int) -> tuple[Viewer, float]:
    old.close()
    left = asyncio.get_running_loop().time()
    return await watch(server, channel), left


async def open_then_leave(server: Server, old: Viewer, channel: int) -> tuple[Viewer, float]:
    """The server has the new request before the viewer leaves."""
    new = await watch(server, channel)
    await server.wait_status(f"channel:{channel}", lambda status: status["clients"] == 1)
    left = asyncio.get_running_loop().time()
    old.close()
    return new, left


async def zap(server: Server, how: Callable[[Server, Viewer, int], Awaitable[tuple[Viewer, float]]]) -> list[float]:
    """25 times to the other channel; seconds from leaving one to the first picture of the other."""
    viewer = await watch(server, 1)
    await viewer.received(20_000)
    seconds = []
    for number in range(25):
        old = viewer
        viewer, left = await how(server, old, 2 - number % 2)
        await viewer.received(20_000)
        seconds.append(asyncio.get_running_loop().time() - left)
        viewer.verify()
        old.verify()
    viewer.close()
    return seconds


async def test_fifty_zaps_on_an_account_of_one_connection() -> None:
    async with Origin() as origin, Server() as server:
        await add_list(server, provider(origin, "/1", "/2"), max_connections=1)
        closing = await zap(server, leave_then_open)
        opening = await zap(server, open_then_leave)
        print(f"\nzaps: {max(closing):.3f} s at most after leaving, {max(opening):.3f} s before leaving")
        assert origin.ledger.most_connections == 1
        assert median(closing) < 1.0
        assert median(opening) < 1.0
        told = await events(server, 1)
        assert "stopped to free a connection of account 'mine' for channel:2" in told
        assert not any("failed" in one for one in told)
