"""An HTTP origin that behaves as badly as a test wants, on real sockets, in a thread and loop of its own.

    async with Origin() as origin:
        url = origin.route("/live", live(PositionCoded()))
        ...
        await origin.wait_for(lambda o: o.open_now("/live") == 1, within=2)
        origin.reset("/live")

What it does on a path is a behaviour (tests/kit/behaviours.py) and can be changed at any time, from any thread.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests.kit.ledger import Ledger

HIGH_WATER = 256 * 1024
"""Bytes an exchange may hold in user space before `send` waits."""

Behaviour = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request and the socket it came by, as a behaviour sees it. Lives in the origin's loop."""

    def __init__(self, connection: "Connection", method: str, target: str, headers: dict[str, str]) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.sent = 0
        self.keep_alive = False

    @property
    def origin(self) -> "Origin":
        return self.connection.origin

    async def head(self, status: int, *fields: tuple[str, str], keep_alive: bool = False) -> None:
        """Send a response head; the connection stays open for another request only with `keep_alive`."""
        self.keep_alive = keep_alive and self.headers.get("connection", "").lower() != "close"
        lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Status'}", *(f"{k}: {v}" for k, v in fields)]
        lines.append(f"Connection: {'keep-alive' if self.keep_alive else 'close'}")
        await self.connection.write("\r\n".join((*lines, "", "")).encode())

    async def send(self, data: bytes) -> None:
        """Send a part of the body; waits while the peer is slow or the path is stalled."""
        await self.connection.write(data)
        self.sent += len(data)

    def reset(self) -> None:
        self.connection.reset()


class Connection(asyncio.Protocol):
    """One accepted socket: reads request heads, runs the behaviour of the path, one request after the other."""

    def __init__(self, origin: "Origin") -> None:
        self.origin = origin
        self.path = ""
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self.origin.connections.add(self)
        self.origin.ledger.opened()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._next_request()

    def pause_writing(self) -> None:
        self._flowing.clear()

    def resume_writing(self) -> None:
        self._flowing.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.origin.connections.discard(self)
        if self._task:
            self._task.cancel()
        self.origin.ledger.closed()

    async def write(self, data: bytes) -> None:
        await self.origin.gate(self.path).wait()
        await self._flowing.wait()
        if self._transport.is_closing():
            raise ConnectionResetError("the peer has left")
        self._transport.write(data)

    def finish(self) -> None:
        self._transport.close()

    def reset(self) -> None:
        """The peer sees a reset at once, without what is still unsent."""
        raw = self._transport.get_extra_info("socket")
        if raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _next_request(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        self._buffer = rest
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        fields = (line.partition(":") for line in lines)
        exchange = Exchange(self, method, target, {name.lower(): value.strip() for name, _, value in fields})
        self.path = exchange.path
        self.origin.ledger.begins(exchange.path, exchange.headers)
        self._task = asyncio.get_running_loop().create_task(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self.origin.behaviour(exchange.path)(exchange)
        except ConnectionResetError:
            exchange.keep_alive = False
        except Exception as error:
            self.origin.errors.append(error)
            exchange.keep_alive = False
        finally:
            self.origin.ledger.ends(exchange.path)
        if not exchange.keep_alive:
            return self.finish()
        self._task = None
        return self._next_request()


async def _not_found(exchange: Exchange) -> None:
    await exchange.head(404, ("Content-Length", "0"), keep_alive=True)


class Origin:
    """The server. `ledger` has its counts, with the most asked ones as methods here."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.ledger = Ledger()
        self.connections: set[Connection] = set()
        self.errors: list[Exception] = []
        """Faults of the behaviours themselves; raised when the origin is left."""
        self._host = host
        self._routes: dict[str, Behaviour] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="origin", daemon=True)
        self.port = 0

    async def __aenter__(self) -> Self:
        self._thread.start()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._listen(), self._loop))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._shut(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.errors and error is None:
            raise ExceptionGroup("faults in the origin's behaviours", self.errors)

    def route(self, path: str, behaviour: Behaviour) -> str:
        """From now on, requests for `path` meet this behaviour; a path with a slash at its end takes all below it.

        Returns the URL. Connections that are being served go on as before.
        """
        self._routes[path] = behaviour
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://{self._host}:{self.port}{path}"

    def behaviour(self, path: str) -> Behaviour:
        if path in self._routes:
            return self._routes[path]
        above = [prefix for prefix in self._routes if prefix.endswith("/") and path.startswith(prefix)]
        return self._routes[max(above, key=len)] if above else _not_found

    def gate(self, path: str) -> asyncio.Event:
        """Closed while the path is stalled."""
        if path not in self._gates:
            self._gates[path] = asyncio.Event()
            self._gates[path].set()
        return self._gates[path]

    # What happens to the connections that a path has now.

    def reset(self, path: str) -> None:
        self._call(lambda: self._each(path, Connection.reset))

    def finish(self, path: str) -> None:
        """EOF, after what was sent so far."""
        self._call(lambda: self._each(path, Connection.finish))

    def stall(self, path: str) -> None:
        """Silence with the sockets open, also for connections to come, until `resume`."""
        self._call(self.gate(path).clear)

    def resume(self, path: str) -> None:
        self._call(self.gate(path).set)

    # What was counted.

    def requests(self, path: str) -> int:
        return self.ledger.requests[path]

    def open_now(self, path: str | None = None) -> int:
        """Requests being answered on a path; without a path: connections."""
        return self.ledger.connections_now if path is None else self.ledger.active[path]

    def most_at_once(self, path: str) -> int:
        return self.ledger.most_active[path]

    async def wait_for(self, predicate: Callable[["Origin"], bool], within: float = 40) -> None:
        """Until the predicate holds; it is asked again whenever a count changes. AssertionError after `within` s."""
        await self.ledger.wait_for(lambda: predicate(self), within)

    def _each(self, path: str, action: Callable[[Connection], None]) -> None:
        for connection in list(self.connections):
            if connection.path == path:
                action(connection)

    def _call(self, action: Callable[[], None]) -> None:
        """Do it in the origin's loop, and return when it is done."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(action)
        self._loop.call_soon_threadsafe(done.set)
        assert done.wait(5), "the origin's loop hangs"

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(lambda: Connection(self), self._host, 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        self._server.close()
        for connection in list(self.connections):
            connection.reset()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses every connection, and that nobody else can take meanwhile."""
    with socket.socket() as held:
        held.bind((host, 0))
        port: int = held.getsockname()[1]
        yield port
