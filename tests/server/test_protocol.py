import asyncio
import logging
import socket
import struct

import orjson
import pytest

from fastrelay.server.repeated import Common
from fastrelay.wire.reader import HeadParser, RequestReader
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router
from tests.server.serving import COMMON, Client, eventually, get, serving


async def test_keep_alive_and_pipelining_in_order() -> None:
    async with serving() as server, Client(server.address) as client:
        server.routes.gate.set()
        paths = ["/item/1", "/wait", "/item/2", "/error", "/late-error", "/nowhere", "/item/3"]
        await client.send(b"".join(get(path) for path in paths))
        answers = [await client.answer() for _ in paths]
        assert [answer.status for answer in answers] == [200, 200, 200, 409, 502, 404, 200]
        assert [answers[at].body for at in (0, 1, 2, 6)] == [b'{"id":"1"}', b"waited", b'{"id":"2"}', b'{"id":"3"}']
        await client.send(get("/fixed"))
        assert (await client.answer()).body == b"fixed"


async def test_hundreds_of_pipelined_requests() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(b"".join(get(f"/item/{n}") for n in range(500)))
        for n in range(500):
            assert (await client.answer()).body == b'{"id":"%d"}' % n


async def test_requests_behind_a_running_handler_are_not_taken_in_without_end() -> None:
    async with serving(send_buffer=16384) as server, Client(server.address) as client:
        await client.send(get("/wait"))
        await server.routes.waiting.wait()
        many = get("/fixed", "X-Fill: " + "a" * 8000) * 4000
        sending = asyncio.create_task(client.send(many))
        _, pending = await asyncio.wait([sending], timeout=0.3)
        assert pending, "32 MB were read while a handler ran"
        [connection] = server.listener._connections._open
        assert connection._reader.buffered < 1 << 20
        server.routes.gate.set()
        assert (await client.answer()).body == b"waited"
        for _ in range(4000):
            assert (await client.answer()).body == b"fixed"
        await sending


async def test_bodies() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(b"POST /echo?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        assert (await client.answer()).body == b"hello"
        coded = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        coded += b"3\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
        await client.send(coded + coded, bytewise=True)
        assert (await client.answer()).body == b"abcde"
        assert (await client.answer()).body == b"abcde"
        request = server.routes.seen[0]
        assert (request.method, request.target, request.query) == ("POST", "/echo?a=b", {"a": "b"})
        assert request.peer == client.sock.getsockname()
        assert request.local == server.address
        assert "t" not in server.routes.seen[1].headers


async def test_a_handler_may_change_its_request() -> None:
    async with serving() as server, Client(server.address) as client:
        for _ in range(2):
            await client.send(get("/echo?a=b", "Content-Length: 0", method="POST"))
            await client.answer()
            request = server.routes.seen[-1]
            assert (request.query, request.headers["host"]) == ({"a": "b"}, "x")
            request.query.clear()
            request.headers.clear()


async def test_head_has_the_length_and_no_body() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed", method="HEAD") + get("/large", method="HEAD") + get("/fixed"))
        head = await client.answer("HEAD")
        assert (head.status, head.headers["content-length"]) == (200, "5")
        assert (await client.answer("HEAD")).headers["content-length"] == str(4 << 20)
        assert (await client.answer()).body == b"fixed"


async def test_head_of_a_live_stream_is_never_a_viewer() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/live", method="HEAD"))
        head = await client.answer("HEAD")
        assert (head.status, head.headers["content-type"]) == (200, "video/mp2t")
        assert "content-length" not in head.headers
        assert await client.rest() == b""
        assert server.routes.takeovers == []


async def test_204_has_neither_body_nor_length() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/empty") + get("/fixed"))
        assert "content-length" not in (await client.answer()).headers
        assert (await client.answer()).body == b"fixed"


async def test_options_and_redirect() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed", method="OPTIONS") + get("*", method="OPTIONS") + get("/fixed/?a=b"))
        assert (await client.answer()).headers["allow"] == "GET, HEAD, OPTIONS"
        assert (await client.answer()).status == 204
        answer = await client.answer()
        assert (answer.status, answer.headers["location"]) == (308, "/fixed?a=b")


@pytest.mark.parametrize(
    ("request_bytes", "connection"),
    [
        (b"GET /fixed HTTP/1.0\r\n\r\n", "close"),
        (b"GET /fixed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "close"),
        (b"GET /fixed HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"),
    ],
)
async def test_the_end_of_a_connection_is_announced(request_bytes: bytes, connection: str) -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(request_bytes)
        assert (await client.answer()).headers["connection"] == connection
        if connection == "close":
            assert await client.rest() == b""
        else:
            await client.send(request_bytes)
            assert (await client.answer()).status == 200


async def test_requests_behind_a_last_one_are_not_answered_and_harm_nothing() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed", "Connection: close") + get("/fixed") * 100_000)
        assert (await client.answer()).body == b"fixed"
        assert await client.rest() == b""


async def test_a_client_that_closes_its_side_gets_its_answers() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed") * 100)
        client.sock.shutdown(socket.SHUT_WR)
        assert (await client.rest()).count(b"HTTP/1.1 200 OK") == 100
        await eventually(lambda: server.listener.connections == 0)


async def test_a_client_that_closes_its_side_gets_the_answers_that_take_a_while() -> None:
    async with serving() as server, Client(server.address) as client:
        server.routes.gate.set()
        await client.send(get("/fixed") * 400 + get("/wait") + get("/fixed"))
        client.sock.shutdown(socket.SHUT_WR)
        assert (await client.rest()).count(b"HTTP/1.1 200 OK") == 402
        await eventually(lambda: server.listener.connections == 0)


async def test_continue_comes_before_the_body() -> None:
    async with serving() as server, Client(server.address) as client:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        await client.send(head)
        assert await client.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"hello" + head + b"again")
        assert (await client.answer()).body == b"hello"
        assert (await client.answer()).body == b"again"


async def test_no_word_to_continue_for_a_body_too_large() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(b"POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert (await client.answer()).status == 413


@pytest.mark.parametrize("path", ["/bug", "/nothing", "/forged"])
async def test_a_bug_is_logged_and_not_shown(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server, Client(server.address) as client:
        with caplog.at_level(logging.ERROR):
            await client.send(get(path))
            answer = await client.answer()
        assert answer.status == 500
        assert orjson.loads(answer.body)["error"]["code"] == "internal_error"
        assert b"secret" not in answer.body
        assert caplog.records[0].exc_info is not None
        await client.send(get("/fixed"))
        assert (await client.answer()).status == 200


async def test_request_errors_keep_the_connection() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/error") + get("/late-error"))
        answer = await client.answer()
        assert (answer.status, answer.headers["x-why"]) == (409, "because")
        assert orjson.loads(answer.body) == {"error": {"code": "path_taken", "message": "taken"}}
        assert (await client.answer()).status == 502


@pytest.mark.parametrize("part", [b"G", b"GET /fixed HTTP/1.1\r\n", b"\r\n"])
async def test_a_slow_head_is_answered_408(part: bytes) -> None:
    async with serving(head_timeout=0.15) as server, Client(server.address) as client:
        await client.send(part)
        assert (await client.answer()).status == 408
        assert await client.rest() == b""


async def test_a_trickling_head_does_not_move_its_deadline() -> None:
    async with serving(head_timeout=0.2, idle_timeout=60.0) as server, Client(server.address) as client:
        await client.send(get("/fixed"))
        await client.answer()
        answer = asyncio.create_task(client.answer())
        sent = 0
        while not answer.done():
            await client.send(b"GET /fixed HTTP/1.1\r\nX-Fill: " if sent == 0 else b"a")
            sent += 1
            await asyncio.sleep(0.02)
        assert answer.result().status == 408
        assert sent < 100


async def test_a_slow_body_is_answered_408() -> None:
    async with serving(body_timeout=0.15) as server, Client(server.address) as client:
        await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell")
        assert (await client.answer()).status == 408
        assert await client.rest() == b""


@pytest.mark.parametrize("asked", [False, True])
async def test_an_idle_connection_is_closed_without_a_word(asked: bool) -> None:
    async with serving(head_timeout=0.15, idle_timeout=0.15) as server, Client(server.address) as client:
        if asked:
            await client.send(get("/fixed"))
            await client.answer()
        assert await client.rest() == b""


async def test_a_reader_that_takes_nothing_is_reset() -> None:
    async with (
        serving(write_timeout=0.3, send_buffer=16384) as server,
        Client(server.address, receive_buffer=4096) as client,
    ):
        await client.send(get("/large"))
        await eventually(lambda: server.listener.connections == 1)
        await eventually(lambda: server.listener.connections == 0)
        with pytest.raises(ConnectionResetError):
            await client.rest()


@pytest.mark.parametrize("closing", [(), ("Connection: close",)], ids=["kept", "closing"])
async def test_a_reader_that_takes_next_to_nothing_is_reset_whoever_holds_the_rest(
    closing: tuple[str, ...],
) -> None:
    """The kernel took all of the answer, so nothing is left in the server; a few bytes now and then keep it there."""
    async with (
        serving(write_timeout=1.0, idle_timeout=0.1, send_buffer=1 << 20) as server,
        Client(server.address, receive_buffer=4096) as client,
    ):
        server.routes.large = Response(200, bytes(300_000), "video/mp2t")
        await client.send(get("/large", *closing))
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionResetError):
            for _ in range(3000):
                await client.receive(100)
                await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - began > 1.0
        await eventually(lambda: server.listener.connections == 0)


async def test_a_last_answer_is_read_to_its_end_and_then_the_connection_is_gone() -> None:
    async with serving(linger_timeout=0.2) as server, Client(server.address, receive_buffer=65536) as client:
        await client.send(get("/large", "Connection: close"))
        await asyncio.sleep(0.5)
        whole = await client.rest()
        assert whole.endswith(server.routes.large.body)
        await eventually(lambda: server.listener.connections == 0)


async def test_a_slow_reader_that_reads_is_not_cut() -> None:
    """Reading takes longer than any timeout; when it is done, the time between two requests starts anew."""
    async with (
        serving(write_timeout=0.4, idle_timeout=0.4, send_buffer=16384) as server,
        Client(server.address, receive_buffer=65536) as client,
    ):
        await client.send(get("/large"))
        data = b""
        for _ in range(8):
            await asyncio.sleep(0.1)
            data += await client.receive(300_000)
        assert (await client.answer(data=data)).body == server.routes.large.body
        await asyncio.sleep(0.1)
        await client.send(get("/fixed"))
        assert (await client.answer()).body == b"fixed"


async def test_a_poll_is_answered_again_without_its_handler_until_that_has_to_look_anew() -> None:
    async with serving() as server, Client(server.address) as client:
        bodies = []
        for _ in range(6):
            await client.send(get("/poll"))
            bodies.append((await client.answer()).body)
        assert bodies == [b"first", b"again", b"again", b"again", b"first", b"first"]
        assert len(server.routes.seen) == 3
        assert [(request and request.path, status) for _, request, status, _, _ in server.done] == [("/poll", 200)] * 6


async def test_only_the_very_same_bytes_and_nothing_else_are_a_poll_again() -> None:
    async with serving() as server, Client(server.address) as client:
        server.routes.polls = 100
        other = get("/poll", "X: y")
        for data, expected in (
            (get("/poll"), [b"first"]),
            (other, [b"first"]),
            (get("/poll"), [b"first"]),
            (get("/fixed"), [b"fixed"]),
            (get("/poll"), [b"again"]),
            (get("/poll") * 2, [b"first", b"first"]),
            (get("/fixed") + get("/poll"), [b"fixed", b"first"]),
            (get("/poll"), [b"again"]),
        ):
            await client.send(data)
            assert [(await client.answer()).body for _ in expected] == expected
        await client.send(get("/poll"), bytewise=True)
        assert (await client.answer()).body == b"first"
        await client.send(get("/poll", "Connection: close"))
        assert (await client.answer()).body == b"first"
        assert await client.rest() == b""


async def test_what_one_client_was_answered_another_gets_without_the_handler() -> None:
    async with serving() as server, Client(server.address) as one, Client(server.address) as other:
        for client, expected in (
            (one, b"first"),
            (other, COMMON),
            (one, COMMON),
            (other, COMMON),
            (one, b"first"),
            (other, b"first"),
        ):
            await client.send(get("/common"))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, expected)
        assert len(server.routes.seen) == 3
        assert server.routes.polls == -1, "what had to be looked at anew is not called again"
        assert [(request and request.path, status) for _, request, status, _, _ in server.done] == [
            ("/common", 200)
        ] * 6
        assert server.done[1][3] > len(COMMON)


async def test_only_the_very_same_bytes_and_nothing_else_are_answered_as_to_another() -> None:
    async with serving() as server, Client(server.address) as one, Client(server.address) as other:
        server.routes.polls = 100
        await one.send(get("/common"))
        assert (await one.answer()).body == b"first"
        for data, expected in (
            (get("/common", "X: y"), [b"first"]),
            (get("/common") * 2, [b"first", b"first"]),
            (get("/fixed") + get("/common"), [b"fixed", b"first"]),
            (get("/common"), [COMMON]),
        ):
            await other.send(data)
            assert [(await other.answer()).body for _ in expected] == expected
        await other.send(get("/common"), bytewise=True)
        assert (await other.answer()).body == b"first"
        await other.send(get("/common", method="HEAD"))
        assert (await other.answer("HEAD")).headers["content-length"] == "5"
        for _ in range(2):
            async with Client(server.address) as last:
                await last.send(get("/common", "Connection: close"))
                assert (await last.answer()).body == b"first"
                assert await last.rest() == b""


def test_what_was_common_longest_ago_is_forgotten() -> None:
    """Whoever asks for something else each time fills no memory."""
    router = Router()
    router.add("GET", "/{name}", lambda request: Response())
    reader, common = RequestReader(HeadParser(router)), Common()
    asked = [get(f"/{number}") for number in range(3000)]
    for data in asked:
        reader.feed(data)
        assert reader.read() == b""
        request = reader.request(b"", ("127.0.0.1", 1), ("127.0.0.1", 2), secure=False)
        request.for_all = lambda address: None
        common.remember(request, reader)
    kept = [common.find(data) is not None for data in asked]
    assert kept.index(True) == kept.count(False)
    assert 0 < kept.count(True) < 3000


async def test_a_poll_keeps_its_connection_open() -> None:
    async with serving(idle_timeout=0.5) as server, Client(server.address) as client:
        server.routes.polls = 100
        for _ in range(8):
            await client.send(get("/poll"))
            await client.answer()
            await asyncio.sleep(0.1)
        await eventually(lambda: server.listener.connections == 0)


async def test_answers_wait_for_their_reader() -> None:
    """Pipelined requests for large answers must not pile up in memory while nobody reads."""
    async with serving(send_buffer=16384) as server, Client(server.address, receive_buffer=4096) as client:
        await client.send(get("/large") * 10)
        await eventually(lambda: len(server.done) >= 1)
        await client.receive(100)
        assert len(server.done) == 1


@pytest.mark.parametrize("reset", [False, True])
async def test_a_disconnect_cancels_the_handler(reset: bool) -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/wait"))
        await asyncio.wait_for(server.routes.waiting.wait(), 30)
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        await asyncio.wait_for(server.routes.cancelled.wait(), 30)
        await eventually(lambda: server.listener.connections == 0)
        assert [status for _, _, status, _, _ in server.done] == [499]


async def test_the_access_log_hears_of_every_request() -> None:
    async with serving() as server, Client(server.address) as client:
        await client.send(get("/fixed") + get("/late-error") + b"GARBAGE\r\n\r\n")
        await client.rest()
        assert [(request and request.path, status) for _, request, status, _, _ in server.done] == [
            ("/fixed", 200),
            ("/late-error", 502),
            (None, 400),
        ]
        assert {address for address, *_ in server.done} == {"127.0.0.1"}
        assert all(sent > 100 and 0 <= seconds < 5 for _, _, _, sent, seconds in server.done)


async def test_a_takeover_comes_after_earlier_answers() -> None:
    async with serving(send_buffer=16384) as server, Client(server.address, receive_buffer=65536) as client:
        await client.send(get("/large") + get("/live") + get("/fixed"))
        answer = await client.answer()
        assert answer.body == server.routes.large.body
        live = await client.answer()
        assert (live.status, live.headers["content-type"], live.headers["connection"]) == (200, "video/mp2t", "close")
        outlet = server.routes.takeovers[0]
        assert outlet.send(memoryview(b"live"), memoryview(b" bytes")) == 10
        assert await client.receive() == b"live bytes"
        outlet.finish()
        assert await client.rest() == b""


@pytest.mark.parametrize("answers", range(1, 16))
async def test_a_takeover_loses_nothing_that_is_still_to_be_written(answers: int) -> None:
    """With this many answers of 8 KB in front of it, the kernel has taken all, some or little of them."""
    async with serving(send_buffer=4096) as server, Client(server.address, receive_buffer=4096) as client:
        await client.send(get("/item/" + "a" * 8000) * answers + get("/live"))
        await eventually(lambda: bool(server.done))
        await asyncio.sleep(0)
        for _ in range(answers):
            assert (await client.answer()).body == b'{"id":"%s"}' % (b"a" * 8000)
        assert (await client.answer()).headers["content-type"] == "video/mp2t"


async def test_a_viewer_who_leaves_before_the_takeover_is_never_attached() -> None:
    async with serving(send_buffer=16384) as server, Client(server.address, receive_buffer=4096) as client:
        await client.send(get("/large") + get("/live"))
        await eventually(lambda: len(server.done) == 1)
        client.sock.close()
        await eventually(lambda: server.listener.connections == 0)
        assert server.routes.takeovers == []
