import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fastrelay.server.live import RawOutlet
from tests.server.serving import WAIT, Client, Serving, eventually, get, serving

RESET = struct.pack("ii", 1, 0)


@asynccontextmanager
async def viewer(server: Serving, receive_buffer: int | None = None) -> AsyncIterator[tuple[Client, Any]]:
    """A viewer of the live route and its outlet, the head already read."""
    async with Client(server.address, receive_buffer) as client:
        server.routes.taken.clear()
        await client.send(get("/live"))
        assert (await client.answer()).status == 200
        await server.routes.taken.wait()
        yield client, server.routes.takeovers[-1]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def fill(outlet: Any, block: memoryview) -> int:
    """Send until the socket is full; returns how many bytes it took."""
    taken = 0
    while size := outlet.send(block):
        taken += size
    return taken


async def test_the_socket_is_ours_alone_and_tuned() -> None:
    async with serving(send_buffer=100_000) as server, viewer(server) as (_, outlet):
        sock = outlet._sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 200_000  # Linux doubles it for its own needs
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        # Later than server.write_timeout: what that says is not for the kernel to decide.
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 35_000
        assert not os.get_inheritable(sock.fileno())
        assert server.listener.connections == 1


async def test_memory_may_be_overwritten_as_soon_as_send_returned() -> None:
    """A transport would keep a reference to the unsent rest, and the viewer would get what is written there next."""
    async with serving() as server, viewer(server, receive_buffer=4096) as (client, outlet):
        ring = bytearray(b"a" * (8 << 20))
        view = memoryview(ring)
        taken = 0
        while size := outlet.send(view[taken:]):
            taken += size
        assert 0 < taken < len(ring)
        ring[:] = b"b" * len(ring)
        outlet.finish()
        data = await client.rest()
        assert data == b"a" * taken


async def test_several_parts_go_out_in_order() -> None:
    async with serving() as server, viewer(server) as (client, outlet):
        assert outlet.send(memoryview(b"ab"), memoryview(b"cd"), memoryview(b"e")) == 5
        assert await client.receive() == b"abcde"


async def test_finish_delivers_everything() -> None:
    async with serving() as server, viewer(server, receive_buffer=4096) as (client, outlet):
        await client.send(b"a viewer that talks")
        taken = fill(outlet, memoryview(bytes(65536)))
        outlet.finish()
        outlet.finish()
        await client.send(b"and goes on talking")
        assert len(await client.rest()) == taken
        client.sock.close()
        await eventually(lambda: server.listener.connections == 0)
        assert not server.routes.gone.is_set()


async def test_reset_is_seen_as_a_reset() -> None:
    async with serving() as server, viewer(server) as (client, outlet):
        fill(outlet, memoryview(bytes(65536)))
        outlet.reset()
        outlet.reset()
        outlet.finish()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert server.listener.connections == 0
        assert not server.routes.gone.is_set()


async def test_a_finished_viewer_can_still_be_reset() -> None:
    async with serving() as server, viewer(server, receive_buffer=4096) as (client, outlet):
        fill(outlet, memoryview(bytes(65536)))
        outlet.finish()
        outlet.reset()
        with pytest.raises(ConnectionResetError):
            await client.rest()
        assert server.listener.connections == 0


@pytest.mark.parametrize("reset", [False, True])
async def test_a_viewer_that_leaves_is_announced_once(reset: bool) -> None:
    async with serving() as server, viewer(server) as (client, outlet):
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.sock.close()
        await asyncio.wait_for(server.routes.gone.wait(), WAIT)
        server.routes.gone.clear()
        with pytest.raises(OSError):  # a reset or a broken pipe, at the latest with the second
            for _ in range(100):
                outlet.send(memoryview(b"x"))
                await asyncio.sleep(0.001)
        outlet.finish()
        await eventually(lambda: server.listener.connections == 0)
        assert not server.routes.gone.is_set()


async def test_what_a_viewer_says_is_read_over() -> None:
    async with serving() as server, viewer(server) as (client, outlet):
        await client.send(bytes(2 << 20))
        assert outlet.send(memoryview(b"live")) == 4
        assert await client.receive() == b"live"
        assert not server.routes.gone.is_set()


async def test_watching_tells_when_more_fits() -> None:
    async with serving() as server, viewer(server, receive_buffer=4096) as (client, outlet):
        writable = asyncio.Event()
        taken = fill(outlet, memoryview(bytes(65536)))
        outlet.watch(writable.set)
        await asyncio.sleep(0)
        assert not writable.is_set()
        received = 0
        while not writable.is_set():
            received += len(await client.receive())
        outlet.unwatch()
        outlet.unwatch()
        writable.clear()
        while received < taken:
            received += len(await client.receive())
        assert not writable.is_set()


async def test_a_reused_descriptor_belongs_to_its_new_owner() -> None:
    loop = asyncio.get_running_loop()
    events: list[str] = []
    left, left_peer = socket.socketpair()
    left.setblocking(False)
    number = left.fileno()
    outlet = RawOutlet(loop, left, lambda: events.append("released"))
    outlet.listen(lambda: events.append("gone"))
    outlet.watch(lambda: events.append("writable"))
    left_peer.send(b"stale")  # readable and writable when it is closed
    outlet.reset()
    right, right_peer = socket.socketpair()
    assert number in (right.fileno(), right_peer.fileno())
    mine, peer = (right, right_peer) if right.fileno() == number else (right_peer, right)
    mine.setblocking(False)
    other = RawOutlet(loop, mine, lambda: None)
    left_gone = asyncio.Event()
    other.listen(left_gone.set)
    outlet.finish()
    outlet.unwatch()
    await asyncio.sleep(0.01)
    assert events == ["released"]
    assert other.send(memoryview(b"new")) == 3
    assert peer.recv(10) == b"new"
    peer.close()
    await asyncio.wait_for(left_gone.wait(), WAIT)
    other.reset()
    left_peer.close()


async def test_a_finished_viewer_that_never_leaves_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastrelay.server.live.FINISH_TIMEOUT", 0.1)
    async with serving() as server, viewer(server) as (_, outlet):
        outlet.finish()
        await eventually(lambda: server.listener.connections == 0)


async def test_thousands_of_takeovers_leak_no_descriptor() -> None:
    async with serving() as server:
        async with viewer(server) as (_, outlet):
            outlet.reset()
        before = descriptors()
        for n in range(1000):
            async with viewer(server) as (client, outlet):
                if n % 3 == 0:
                    outlet.reset()
                elif n % 3 == 1:
                    outlet.finish()
                else:
                    client.sock.close()
                    await asyncio.wait_for(server.routes.gone.wait(), WAIT)
                    server.routes.gone.clear()
                    outlet.reset()
        await eventually(lambda: server.listener.connections == 0)
        # Fewer are no leak: what earlier tests left to the collector may be gone by now.
        await eventually(lambda: descriptors() <= before)
