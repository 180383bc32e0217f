"""A raw HTTP origin on 127.0.0.1 that does exactly what a test tells it, and counts what it sees."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Call:
    """One request as it arrived, and the means to answer it byte by byte."""

    path: str
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"", status: str = "200 OK", **headers: str) -> None:
        """A whole answer; `Content_Length="9"` and the like override what would be sent."""
        fields = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    async def start(self, **headers: str) -> None:
        """The head of an answer without a length."""
        fields = {"Connection": "close"} | {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())

    async def gone(self) -> None:
        """Wait until the client has closed its side."""
        await self.reader.read()

    def reset(self) -> None:
        self.writer.transport.abort()


Handler = Callable[[Call], Awaitable[None]]


@dataclass
class Origin:
    """Paths to handlers or bodies; anything else answers 404."""

    routes: dict[str, Handler | bytes] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    """How many are open now."""
    most_connections: int = 0
    accepted: int = 0
    port: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def paths(self) -> list[str]:
        return [call.path for call in self.calls]

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    async def _changed(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.accepted += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            while call := await self._read(reader, writer):
                self.calls.append(call)
                await self._changed()
                await self._answer(call)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.connections -= 1
            await self._changed()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
        head = await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        return Call(request.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs}, reader, writer)

    async def _answer(self, call: Call) -> None:
        handler = self.routes.get(call.path) or self.routes.get(call.path.partition("?")[0])
        if handler is None:
            await call.answer(b"", "404 Not Found")
        elif isinstance(handler, bytes):
            await call.answer(handler)
        else:
            await handler(call)


@contextlib.asynccontextmanager
async def origin(routes: dict[str, Handler | bytes] | None = None, ssl: object = None) -> AsyncIterator[Origin]:
    """A running origin; at the end its listener and connections are gone."""
    it = Origin(routes or {})
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(it._serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl)  # type: ignore[arg-type]  # None or a context
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def open_descriptors() -> int:
    """Of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def packets(count: int, pid: int = 256, first: int = 0) -> bytes:
    """Transport stream packets that carry their own number."""
    head = bytes((0x47, pid >> 8, pid & 255))
    return b"".join(
        head + bytes((0x10 | n & 15,)) + n.to_bytes(8, "big") + bytes(176) for n in range(first, first + count)
    )
