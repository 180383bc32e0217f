"""A real listener with a few routes, and a client that speaks bytes."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from fastrelay.config import Server
from fastrelay.errors import RequestError
from fastrelay.server.limits import Limits
from fastrelay.server.listener import Listener
from fastrelay.wire.request import Request
from fastrelay.wire.response import Response, Streamed, Takeover, json_response
from fastrelay.wire.router import Router

WAIT = 30.0
"""Seconds after which a test gives up waiting for what must happen at once."""
COMMON = bytes(100_000)
"""What `/common` answers to all."""
LIMITS = Limits(max_connections=1000, tick=0.02)


@dataclass
class Routes:
    """Handlers that tests steer and look into."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[Request] = field(default_factory=list)
    takeovers: list[Any] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    pieces: asyncio.Queue[bytes | Exception | None] = field(default_factory=asyncio.Queue)
    """What `/streamed` sends; None is its end."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    fixed: Response = field(default_factory=lambda: Response(200, b"fixed", "text/plain"))
    large: Response = field(default_factory=lambda: Response(200, bytes(range(256)) * (16 * 1024), "video/mp2t"))

    polls: int = 3

    def router(self) -> Router:
        router = Router()
        router.add("GET", "/poll", self.poll)
        router.add("GET", "/fixed", lambda request: self.fixed)
        router.add("GET", "/large", lambda request: self.large)
        router.add("GET", "/item/{id}", lambda request: json_response(request.params))
        router.add("POST", "/echo", self.echo)
        router.add("GET", "/common", self.common)
        router.add("POST", "/small", self.echo, body_limit=8)
        router.add("GET", "/wait", self.wait)
        router.add("GET", "/live", self.live)
        router.add("GET", "/streamed", self.streamed)
        router.add("GET", "/error", self.error)
        router.add("GET", "/late-error", self.late_error)
        router.add("GET", "/bug", self.bug)
        router.add("GET", "/forged", lambda request: Response(headers=(("X", "a\r\nb"),)))
        router.add("GET", "/nothing", lambda request: None)  # type: ignore[arg-type, return-value]  # a handler's bug
        router.add("GET", "/empty", lambda request: Response(204, content_type=""))
        return router

    def poll(self, request: Request) -> Response:
        """Answered again without being asked here, as often as `polls` says."""
        self.seen.append(request)

        def again(address: str) -> Response | None:
            self.polls -= 1
            return Response(200, b"again", "text/plain") if self.polls >= 0 else None

        request.again = again
        return Response(200, b"first", "text/plain")

    def common(self, request: Request) -> Response:
        """Answered to all who ask the same, without being asked here, as often as `polls` says."""
        self.seen.append(request)

        def for_all(address: str) -> Response | None:
            self.polls -= 1
            return Response(200, COMMON, "video/mp2t") if self.polls >= 0 else None

        if self.polls > 0:
            request.for_all = for_all
        return Response(200, b"first", "text/plain")

    def echo(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(200, request.body, "application/octet-stream")

    async def wait(self, request: Request) -> Response:
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Response(200, b"waited", "text/plain")

    def live(self, request: Request) -> Takeover:
        def attach(outlet: Any, head: bytes) -> Any:
            def send_head() -> None:
                if outlet.send(memoryview(head)):
                    outlet.unwatch()
                    self.taken.set()

            self.takeovers.append(outlet)
            outlet.watch(send_head)  # an earlier answer may still fill the kernel's buffer
            return self.gone.set

        return Takeover(attach)

    def streamed(self, request: Request) -> Streamed:
        length = request.query.get("length")
        return Streamed(self._streaming(), int(length) if length else None, content_type="video/mp2t")

    async def _streaming(self) -> AsyncGenerator[bytes, None]:
        try:
            while (piece := await self.pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed.set()

    def error(self, request: Request) -> Response:
        raise RequestError(409, "path_taken", "taken", (("X-Why", "because"),))

    async def late_error(self, request: Request) -> Response:
        await asyncio.sleep(0)
        raise RequestError(502, "no_source", "nothing works")

    def bug(self, request: Request) -> Response:
        raise RuntimeError("secret detail")


@dataclass
class Serving:
    listener: Listener
    routes: Routes
    done: list[tuple[str, Request | None, int, int, float]]

    @property
    def address(self) -> tuple[str, int]:
        return self.listener.address


@asynccontextmanager
async def serving(server: Server | None = None, **limits: Any) -> AsyncIterator[Serving]:
    routes = Routes()
    done: list[tuple[str, Request | None, int, int, float]] = []
    listener = Listener(
        routes.router(),
        server or Server(listen="127.0.0.1:0"),
        limits=replace(LIMITS, **limits),
        done_of=lambda address: lambda *args: done.append((address, *args)),
    )
    await listener.start()
    try:
        yield Serving(listener, routes, done)
    finally:
        for outlet in routes.takeovers:
            outlet.reset()
        await listener.drain(0.0)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A raw connection: what is sent and what comes back, byte for byte."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self._address = address
        self._buffer = b""

    async def __aenter__(self) -> "Client":
        async with asyncio.timeout(WAIT):
            await asyncio.get_running_loop().sock_connect(self.sock, self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    async def send(self, data: bytes, *, bytewise: bool = False) -> None:
        """Bytewise stops quietly when the server has refused what it saw so far and closed."""
        loop = asyncio.get_running_loop()
        if not bytewise:
            await loop.sock_sendall(self.sock, data)
            return
        try:
            for at in range(len(data)):
                await loop.sock_sendall(self.sock, data[at : at + 1])
                await asyncio.sleep(0)
        except (BrokenPipeError, ConnectionResetError):
            return

    async def receive(self, size: int = 65536) -> bytes:
        """Some bytes; none at the end of the connection."""
        if self._buffer:
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            return data
        async with asyncio.timeout(WAIT):
            return await asyncio.get_running_loop().sock_recv(self.sock, size)

    async def rest(self) -> bytes:
        """Everything until the end of the connection."""
        data = b""
        while piece := await self.receive():
            data += piece
        return data

    async def answer(self, method: str = "GET", data: bytes = b"") -> Answer:
        """The next answer on the connection, of which `data` is read already."""
        while b"\r\n\r\n" not in data:
            piece = await self.receive()
            assert piece, f"the connection ended within a head: {data!r}"
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        size = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
        while len(body) < size:
            piece = await self.receive()
            assert piece, "the connection ended within a body"
            body += piece
        self._buffer = body[size:] + self._buffer
        return Answer(int(lines[0].split()[1]), headers, body[:size])


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    """A request without a body."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *fields, "", "")).encode()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event announces."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.005)
