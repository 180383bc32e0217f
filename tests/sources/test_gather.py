"""What may gather in the kernel does, and neither the sender nor an end is kept waiting for it."""

import asyncio

import pytest

from fastrelay.config import Failover
from fastrelay.errors import EndOfStreamError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.base import Source
from fastrelay.sources.open import Opener
from tests.sources.origin import Call, origin, packets

FIRST = packets(20)
SMALL = 7 * 188
LONG = 20.0
"""Seconds that no test waits."""


class Provider:
    """Sends a beginning, and then what it is told, piece by piece."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.idle = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        await call.start()
        await call.send(FIRST)
        while data := await self._next():
            await call.send(data)
        call.writer.close()

    async def _next(self) -> bytes | None:
        if self.asked.empty():
            self.idle.set()
        return await self.asked.get()

    async def send(self, *pieces: bytes | None) -> None:
        """Returns when all of it has left."""
        self.idle.clear()
        for piece in pieces:
            self.asked.put_nowait(piece)
        if pieces[-1] is not None:
            await self.idle.wait()


async def opened(url: str) -> Source:
    source = await Opener(Failover(), AddressPolicy(("127.0.0.0/8",)), None).open(url, trusted=False)
    chunk = await source.read()
    assert chunk is not None and chunk.data == FIRST
    return source


async def test_small_pieces_come_as_one_when_so_many_bytes_are_there() -> None:
    provider = Provider()
    async with origin({"/x.ts": provider}) as it:
        source = await opened(it.url("/x.ts"))
        source.gather(LONG, 10 * SMALL)
        reading = asyncio.ensure_future(source.read())
        await asyncio.sleep(0)
        for _ in range(9):
            await provider.send(bytes(SMALL))
        assert not reading.done()
        await provider.send(bytes(SMALL))
        async with asyncio.timeout(LONG / 2):
            chunk = await reading
        assert chunk is not None and len(chunk.data) == 10 * SMALL
        await source.close()


async def test_what_is_there_comes_when_the_time_is_over() -> None:
    provider = Provider()
    async with origin({"/x.ts": provider}) as it:
        source = await opened(it.url("/x.ts"))
        began = asyncio.get_running_loop().time()
        source.gather(0.3, 1 << 20)
        await provider.send(bytes(SMALL), bytes(SMALL))
        async with asyncio.timeout(LONG):
            chunk = await source.read()
        assert chunk is not None and len(chunk.data) == 2 * SMALL
        assert asyncio.get_running_loop().time() - began >= 0.29
        await source.close()


async def test_an_end_is_told_at_once() -> None:
    provider = Provider()
    async with origin({"/x.ts": provider}) as it:
        source = await opened(it.url("/x.ts"))
        source.gather(LONG, 1 << 20)
        await provider.send(bytes(SMALL), None)
        async with asyncio.timeout(LONG / 2):
            chunk = await source.read()
            assert chunk is not None and len(chunk.data) == SMALL
            with pytest.raises(EndOfStreamError):
                await source.read()
        await source.close()


async def test_gathering_slows_no_sender() -> None:
    """More than was asked to gather, and more than a socket holds at first: it is taken as it comes."""
    provider = Provider()
    async with origin({"/x.ts": provider}) as it:
        source = await opened(it.url("/x.ts"))
        source.gather(LONG, 64 << 10)
        reader = asyncio.ensure_future(_take(source, 8 << 20))
        async with asyncio.timeout(LONG / 2):
            await provider.send(bytes(8 << 20))
            await reader
        await source.close()


async def _take(source: Source, size: int) -> None:
    while size > 0:
        source.gather(LONG, min(size, 64 << 10))
        chunk = await source.read()
        assert chunk is not None
        size -= len(chunk.data)


async def test_a_later_wish_takes_the_place_of_an_earlier() -> None:
    provider = Provider()
    async with origin({"/x.ts": provider}) as it:
        source = await opened(it.url("/x.ts"))
        source.gather(LONG, 1 << 20)
        source.gather(0.0, 0)
        await provider.send(bytes(188))
        async with asyncio.timeout(LONG / 2):
            chunk = await source.read()
        assert chunk is not None and len(chunk.data) == 188
        await source.close()
