"""Answers whose body is still coming in: framing, back-pressure, and ends that are none."""

import asyncio

import pytest

from tests.server.serving import WAIT, Client, eventually, get, serving


async def test_pieces_are_sent_as_they_come_and_the_connection_is_kept() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/streamed") + get("/fixed"))
        pieces = server.routes.pieces
        pieces.put_nowait(b"one")
        data = b""
        while b"one" not in data:
            data += await client.receive()
        assert b"Transfer-Encoding: chunked\r\n" in data
        for piece in (b"two", None):
            pieces.put_nowait(piece)
        while b"fixed" not in data:
            data += await client.receive()
        body = data.partition(b"\r\n\r\n")[2]
        assert body.startswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\nHTTP/1.1 200")
        assert [status for _, _, status, *_ in server.done] == [200, 200]


async def test_with_a_length_it_is_an_ordinary_body() -> None:
    async with serving() as server, Client(server.address) as client:
        for piece in (b"abc", b"def", None):
            server.routes.pieces.put_nowait(piece)
        await client.send(get("/streamed?length=6"))
        answer = await client.answer()
        assert (answer.body, answer.headers["content-type"]) == (b"abcdef", "video/mp2t")
        assert "transfer-encoding" not in answer.headers
        await client.send(get("/fixed"))
        assert (await client.answer()).body == b"fixed"


async def test_http10_gets_it_to_the_end_of_the_connection() -> None:
    async with serving() as server, Client(server.address) as client:
        for piece in (b"abc", None):
            server.routes.pieces.put_nowait(piece)
        await client.send(b"GET /streamed HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        data = await client.rest()
        assert b"chunked" not in data
        assert b"Connection: close" in data
        assert data.endswith(b"\r\n\r\nabc")


async def test_head_takes_nothing_of_it() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/streamed?length=6", method="HEAD") + get("/fixed"))
        assert (await client.answer("HEAD")).headers["content-length"] == "6"
        assert (await client.answer()).body == b"fixed"
        assert not server.routes.closed.is_set()


@pytest.mark.parametrize("last", [None, ValueError("broken"), EOFError()])
async def test_what_ends_too_early_ends_in_a_reset(last: Exception | None) -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/streamed?length=6"))
        server.routes.pieces.put_nowait(b"abc")
        data = b""
        while not data.endswith(b"abc"):
            data += await client.receive()
        server.routes.pieces.put_nowait(last)
        with pytest.raises(ConnectionResetError):
            await client.rest()
        await eventually(lambda: server.listener.connections == 0)


async def test_a_reader_who_leaves_ends_it() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/streamed"))
        server.routes.pieces.put_nowait(b"abc")
        await client.receive()
        client.sock.close()
        await asyncio.wait_for(server.routes.closed.wait(), WAIT)
        await eventually(lambda: [status for _, _, status, *_ in server.done] == [499])


async def test_nothing_piles_up_for_a_slow_reader_and_a_dead_one_is_reset() -> None:
    async with (
        serving(write_timeout=0.5, send_buffer=16384) as server,
        Client(server.address, receive_buffer=4096) as client,
    ):
        for _ in range(1000):
            server.routes.pieces.put_nowait(bytes(65536))
        await client.send(get("/streamed"))
        await client.receive(100)
        # By us, after half a second; the kernel would do it after 20.
        await asyncio.wait_for(server.routes.closed.wait(), 30)
        assert server.routes.pieces.qsize() > 980
        await eventually(lambda: server.listener.connections == 0)
