"""From a request's bytes to its answer: parsing alone, and the whole way over a real loopback connection."""

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from fastrelay.config import Server
from fastrelay.server.limits import Limits
from fastrelay.server.listener import Listener
from fastrelay.wire.head import parse_head
from fastrelay.wire.reader import HeadParser, RequestReader
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response, json_response, render, stamp
from fastrelay.wire.router import Router

Benchmark = Callable[..., Any]

PLAYLIST = Response(200, b"#EXTM3U\n" * 25, "application/vnd.apple.mpegurl")
HEAD = (
    b"GET /stream/demo/hls/playlist.m3u8?session=0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    b"User-Agent: Lavf/59.27.100\r\nAccept: */*\r\nConnection: keep-alive\r\nIcy-MetaData: 1\r\n\r\n"
)
BATCH = 64


def router() -> Router:
    async def later(request: Request) -> Response:
        return PLAYLIST

    router = Router()
    router.add("GET", "/stream/{path}/hls/playlist.m3u8", lambda request: PLAYLIST)
    router.add("GET", "/later", later)
    router.add("GET", "/api/relays/{id}", lambda request: json_response({"id": request.params["id"], "name": "x"}))
    return router


def test_parse_a_new_head(benchmark: Benchmark) -> None:
    assert benchmark(parse_head, HEAD).method == "GET"


def test_parse_and_route_new_heads(benchmark: Benchmark) -> None:
    reader = RequestReader(HeadParser(router()))
    heads = itertools.cycle([HEAD.replace(b"0123456789abcdef", b"%016x" % n) for n in range(4096)])

    def read() -> bytes | None:
        reader.feed(next(heads))
        return reader.read()

    assert benchmark(read) == b""


def test_read_a_known_head(benchmark: Benchmark) -> None:
    reader = RequestReader(HeadParser(router()))

    def read() -> bytes | None:
        reader.feed(HEAD)
        return reader.read()

    assert benchmark(read) == b""


def test_render_a_prebuilt_answer(benchmark: Benchmark) -> None:
    assert benchmark(render, PLAYLIST, stamp(0.0)).startswith(b"HTTP/1.1 200 OK")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("together", [1, BATCH], ids=["one by one", f"{BATCH} pipelined"])
@pytest.mark.parametrize("path", ["playlist", "later", "api"])
def test_request_to_response(benchmark: Benchmark, loop: asyncio.AbstractEventLoop, path: str, together: int) -> None:
    """The time of BATCH requests, client included; the client only counts bytes."""
    request = {
        "playlist": HEAD,
        "later": b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n",
        "api": b"GET /api/relays/7 HTTP/1.1\r\nHost: x\r\n\r\n",
    }[path]
    listener = Listener(router(), Server(listen="127.0.0.1:0"), limits=Limits(max_connections=10))
    loop.run_until_complete(listener.start())
    client = socket.create_connection(listener.address)
    client.setblocking(False)
    expected = loop.run_until_complete(exchange(loop, client, request, None))

    async def batch() -> None:
        for _ in range(BATCH // together):
            await exchange(loop, client, request * together, expected * together)

    benchmark(lambda: loop.run_until_complete(batch()))
    client.close()
    loop.run_until_complete(listener.drain(1.0))


async def exchange(loop: asyncio.AbstractEventLoop, client: socket.socket, data: bytes, expected: int | None) -> int:
    """Send, and receive as many bytes as are expected, or one piece."""
    await loop.sock_sendall(client, data)
    received = len(await loop.sock_recv(client, 1 << 20))
    while expected is not None and received < expected:
        received += len(await loop.sock_recv(client, 1 << 20))
    return received
