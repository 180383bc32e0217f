import asyncio
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from fastrelay.config import Server
from fastrelay.errors import ConfigError
from fastrelay.server.limits import Limits, connections_for
from fastrelay.server.listener import Listener, split_listen, tls_context
from fastrelay.wire.router import Router
from tests.server.certificates import make_certificate
from tests.server.serving import LIMITS, WAIT, Client, eventually, get, serving


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::]:80", ("::", 80)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_addresses(listen: str, expected: tuple[str, int]) -> None:
    assert split_listen(listen) == expected


@pytest.mark.parametrize(
    "listen", ["", "8080", ":8080", "host", "host:", "::1:80", "[::1]", "host:65536", "host:x", "a:1:2"]
)
def test_addresses_that_are_none(listen: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        split_listen(listen)
    assert wrong.value.path == "server.listen"


@pytest.mark.parametrize("listen", ["[::1]:0", "[::]:0", "localhost:0"])
async def test_listens_on(listen: str) -> None:
    async with serving(Server(listen=listen)) as server, Client(server.address) as client:
        await client.send(get("/fixed"))
        assert (await client.answer()).body == b"fixed"


async def test_all_of_ipv6_hears_ipv4_too() -> None:
    async with serving(Server(listen="[::]:0")) as server, Client(("127.0.0.1", server.address[1])) as client:
        await client.send(get("/echo", "Content-Length: 0", method="POST"))
        assert (await client.answer()).status == 200
        assert server.routes.seen[0].peer[0] == "127.0.0.1"


async def test_a_taken_address_is_named() -> None:
    async with serving() as server:
        host, port = server.address
        with pytest.raises(
            ConfigError, match=rf"server\.listen: cannot listen on {host}:{port}: Address already in use"
        ):
            await Listener(Router(), Server(listen=f"{host}:{port}"), limits=LIMITS).start()


def test_limits_come_from_the_configuration() -> None:
    limits = Limits.of(Server(max_connections=7, max_connections_per_ip=3, send_buffer=65536, write_timeout=1.5))
    assert limits == Limits(7, 3, 65536, 1.5)


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(20000, 17500), (1024, 896), (512, 448), (256, 192), (64, 1), (10, 1)]
)
def test_descriptors_are_kept_for_sources(descriptors: int, connections: int) -> None:
    assert connections_for(descriptors) == connections


async def test_above_the_limit_connections_are_told_so() -> None:
    async with serving(max_connections=2) as server, Client(server.address) as one, Client(server.address) as two:
        await one.send(get("/fixed"))
        await two.send(get("/live"))
        assert (await one.answer()).status == 200
        assert (await two.answer()).status == 200
        async with Client(server.address) as three:
            await three.send(get("/fixed"))
            answer = await three.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert int(answer.headers["retry-after"]) > 0
            assert orjson.loads(answer.body)["error"]["code"] == "too_many_connections"
            assert await three.rest() == b""
        assert server.listener.connections == 2
        two.sock.close()
        await server.routes.gone.wait()
        server.routes.takeovers[0].reset()
        async with Client(server.address) as three:
            await three.send(get("/fixed"))
            assert (await three.answer()).status == 200


async def test_a_limit_for_each_address() -> None:
    async with serving(max_connections_per_ip=1) as server, Client(server.address) as one:
        await one.send(get("/fixed"))
        assert (await one.answer()).status == 200
        async with Client(server.address) as two:
            assert (await two.answer()).status == 503
        one.sock.close()
        await eventually(lambda: server.listener.connections == 0)
        async with Client(server.address) as three:
            await three.send(get("/fixed"))
            assert (await three.answer()).status == 200


async def test_drain_closes_the_idle_and_finishes_the_running() -> None:
    async with serving() as server, Client(server.address) as idle, Client(server.address) as running:
        await idle.send(get("/fixed"))
        await idle.answer()
        await running.send(get("/wait"))
        await server.routes.waiting.wait()
        address = server.address
        draining = asyncio.create_task(server.listener.drain(WAIT))
        assert await idle.rest() == b""
        assert not draining.done()
        with pytest.raises(ConnectionRefusedError):
            await Client(address).__aenter__()
        server.routes.gate.set()
        answer = await running.answer()
        assert (answer.body, answer.headers["connection"]) == (b"waited", "close")
        await draining
        assert server.listener.connections == 0


async def test_drain_ends_by_force_what_does_not_finish() -> None:
    async with serving() as server, Client(server.address) as running:
        await running.send(get("/wait"))
        await server.routes.waiting.wait()
        await asyncio.wait_for(server.listener.drain(0.1), WAIT)
        await asyncio.wait_for(server.routes.cancelled.wait(), WAIT)


async def test_drain_leaves_live_viewers_to_their_stream() -> None:
    async with serving() as server, Client(server.address) as viewer:
        await viewer.send(get("/live"))
        await viewer.answer()
        await asyncio.wait_for(server.listener.drain(WAIT), WAIT)
        outlet = server.routes.takeovers[0]
        assert outlet.send(memoryview(b"still here")) == 10
        assert await viewer.receive() == b"still here"
        outlet.finish()
        assert await viewer.rest() == b""


EXHAUSTED = """
import asyncio, resource, socket, sys, time
import uvloop
from fastrelay.config import Server
from fastrelay.server.limits import Limits
from fastrelay.server.listener import Listener
from fastrelay.wire.response import Response
from fastrelay.wire.router import Router

async def main():
    router = Router()
    router.add("GET", "/", lambda request: Response())
    listener = Listener(router, Server(listen="127.0.0.1:0"), limits=Limits(max_connections=1000))
    await listener.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    print(listener.address[1], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    before = time.process_time()
    await asyncio.sleep(0.5)
    print(time.process_time() - before, flush=True)
    await asyncio.to_thread(sys.stdin.readline)

uvloop.run(main())
"""


async def test_without_descriptors_it_waits_and_recovers() -> None:
    """The connections nobody can accept stay readable; the loop must not spin on them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EXHAUSTED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), WAIT))
        many = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        process.stdin.write(b"\n")
        spent = float(await asyncio.wait_for(process.stdout.readline(), WAIT))
        assert spent < 0.25
        for sock in many:
            sock.close()
        async with Client(("127.0.0.1", port)) as client:
            await client.send(get("/"))
            assert (await client.answer()).status == 200
    finally:
        process.kill()
        await process.wait()


def trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def test_tls(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    async with serving(Server(listen="127.0.0.1:0", tls_cert=cert, tls_key=key), linger_timeout=0.1) as server:
        reader, writer = await asyncio.open_connection(*server.address, ssl=trusting(cert))
        tls = writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        writer.write(get("/fixed") + get("/echo", "Content-Length: 0", method="POST") + get("/large"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(5) == b"fixed"
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(4 << 20) == server.routes.large.body
        assert server.routes.seen[0].secure
        writer.write(b"GARBAGE\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await eventually(lambda: server.listener.connections == 0)


async def test_tls_live_viewer(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    async with serving(Server(listen="127.0.0.1:0", tls_cert=cert, tls_key=key)) as server:
        reader, writer = await asyncio.open_connection(*server.address, ssl=trusting(cert))
        writer.write(get("/fixed") + get("/live"))
        await reader.readuntil(b"fixed")
        await reader.readuntil(b"\r\n\r\n")
        outlet = server.routes.takeovers[0]
        ring = bytearray(os.urandom(8 << 20))
        sent = bytearray()
        all_sent = asyncio.Event()

        def pump() -> None:
            """As a viewer in the fan-out does: send from the cursor, and let the sent bytes be overwritten."""
            at = len(sent)
            size = outlet.send(memoryview(ring)[at:])
            sent.extend(ring[at : at + size])
            ring[at : at + size] = bytes(size)
            if len(sent) == len(ring):
                outlet.unwatch()
                outlet.finish()
                all_sent.set()

        outlet.watch(pump)
        received = b""
        while piece := await asyncio.wait_for(reader.read(1 << 20), WAIT):
            received += piece
        assert all_sent.is_set()
        assert received == sent
        writer.close()
        await eventually(lambda: server.listener.connections == 0)


async def test_a_stalled_tls_viewer_holds_little_and_is_reset(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    limits = {"send_buffer": 16384}
    async with serving(Server(listen="127.0.0.1:0", tls_cert=cert, tls_key=key), **limits) as server:
        reader, writer = await asyncio.open_connection(*server.address, ssl=trusting(cert), limit=1024)
        writer.write(get("/live"))
        await reader.readuntil(b"\r\n\r\n")
        outlet = server.routes.takeovers[0]
        block = memoryview(bytes(65536))
        taken = 0
        quiet = 0
        while quiet < 50:
            size = outlet.send(block)
            taken += size
            quiet = 0 if size else quiet + 1
            await asyncio.sleep(0.001)
        assert taken < 8 << 20, "the transport takes in what the viewer does not read"
        outlet.reset()
        with pytest.raises(ConnectionResetError):
            while await asyncio.wait_for(reader.read(1 << 20), WAIT):
                pass
        await eventually(lambda: server.listener.connections == 0)
        assert not server.routes.gone.is_set()


async def test_a_tls_viewer_that_leaves_is_announced(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    async with serving(Server(listen="127.0.0.1:0", tls_cert=cert, tls_key=key)) as server:
        reader, writer = await asyncio.open_connection(*server.address, ssl=trusting(cert))
        writer.write(get("/live"))
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        await asyncio.wait_for(server.routes.gone.wait(), WAIT)
        await eventually(lambda: server.listener.connections == 0)


async def test_who_does_not_speak_tls_is_closed(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    config = Server(listen="127.0.0.1:0", tls_cert=cert, tls_key=key)
    async with serving(config, head_timeout=0.2) as server:
        async with Client(server.address) as plain, Client(server.address) as silent:
            await plain.send(get("/fixed"))
            assert b"HTTP" not in await plain.rest()
            assert await silent.rest() == b""
        await eventually(lambda: server.listener.connections == 0)


def test_a_wrong_certificate_names_its_setting(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    (tmp_path / "encrypted").mkdir()
    _, encrypted = make_certificate(tmp_path / "encrypted", b"secret")
    (tmp_path / "text").write_text("not a certificate")
    for server in (
        Server(tls_cert=str(tmp_path / "absent"), tls_key=key),
        Server(tls_cert=str(tmp_path / "text"), tls_key=key),
        Server(tls_cert=cert),
        Server(tls_cert=cert, tls_key=encrypted),
        Server(tls_key=key),
    ):
        with pytest.raises(ConfigError) as wrong:
            tls_context(server)
        assert wrong.value.path == "server.tls_cert"
    assert tls_context(Server()) is None
