import orjson
import pytest

from tests.server.serving import Client, Serving, eventually, get, serving
from tests.wire.refusals import REFUSALS


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(("data", "status", "code"), REFUSALS)
async def test_refuses_and_closes(data: bytes, status: int, code: str, bytewise: bool) -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(data, bytewise=bytewise)
        answer = await client.answer()
        assert (answer.status, orjson.loads(answer.body)["error"]["code"]) == (status, code)
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert {"date", "server"} <= answer.headers.keys()
        assert await client.rest() == b""
        assert server.routes.seen == []


async def test_nothing_behind_a_refusal_is_answered() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed") + b"GET /fixed HTTP/1.1\r\n\r\n" + get("/fixed"))
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert await client.rest() == b""


async def test_a_refused_upload_can_read_its_answer() -> None:
    """Closing with unread bytes would send a reset and take the answer away from the client."""
    async with serving() as server, Client(server.address) as client:
        await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" + bytes(2 << 20))
        assert (await client.answer()).status == 413
        assert await client.rest() == b""


async def test_an_upload_without_end_is_cut() -> None:
    async with serving(linger_bytes=1 << 20) as server, Client(server.address) as client:
        with pytest.raises(OSError):  # a reset, or a broken pipe if it is seen later
            await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + bytes(64 << 20))
        await _all_gone(server)


async def test_a_refused_client_that_stays_is_closed() -> None:
    async with serving(linger_timeout=0.1) as server, Client(server.address) as client:
        await client.send(b"GARBAGE\r\n\r\n")
        assert (await client.answer()).status == 400
        await _all_gone(server)


async def test_upgrade_is_ignored_and_closes() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed", "Connection: Upgrade", "Upgrade: websocket") + b"\x81\x05hello")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.rest() == b""


async def test_head_is_refused_without_a_body() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(b"HEAD /fixed HTTP/1.1\r\n\r\n")
        data = await client.rest()
        assert data.startswith(b"HTTP/1.1 400 ")
        assert data.endswith(b"\r\n\r\n")


async def _all_gone(server: Serving) -> None:
    await eventually(lambda: server.listener.connections == 0)
