"""Viewers on raw sockets in the test's loop: healthy, stalled and trickling ones, hundreds at once.

viewer = await connect(url, Checker(source))
await viewer.received(1_000_000)
viewer.verify()
"""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any, Literal

from tests.kit.checker import Checker
from tests.kit.reception import Reception, Sink, request_head

CHUNK = 256 * 1024
TICK = 0.05
"""Seconds between two reads of a trickling viewer."""

Closed = Literal["eof", "reset", "local"]


class Viewer:
    """One request and its body. `closed` says how it ended: `eof`, `reset` (by the server), `local` (we left).

    `rate` is what it reads in bytes per second: None for all at once, 0 for nothing. A viewer that reads nothing does
    not see that it was dropped before `set_rate(None)`; what the kernel holds comes first then.
    """

    def __init__(self, sock: socket.socket, checker: Checker | None, sink: Sink | None, rate: float | None) -> None:
        self.checker = checker
        self.reception = Reception(sink or (checker.feed if checker else None))
        self.closed: Closed | None = None
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.set_rate(rate)

    @property
    def status(self) -> int:
        return self.reception.status

    @property
    def headers(self) -> dict[str, str]:
        return self.reception.headers

    @property
    def total(self) -> int:
        return self.reception.total

    @property
    def largest_gap(self) -> float:
        """Seconds; includes the wait since the last byte while the viewer is connected."""
        return self.reception.largest_gap if self.closed else self.reception.gap_with(time.monotonic())

    def set_rate(self, rate: float | None) -> None:
        """Read at another rate from now on."""
        if self.closed:
            return
        self._stop_reading()
        if rate is None:
            self._loop.add_reader(self._sock, self._drain)
        elif rate > 0:
            self._trickle(rate)

    async def head(self, within: float = 40) -> int:
        """Wait for the head (or the end); the status."""
        await self._until(lambda: bool(self.status), within, "a response head")
        return self.status

    async def received(self, total: int, within: float = 40) -> None:
        """Until so many bytes of body have come in all."""
        await self._until(lambda: self.total >= total, within, f"{total} bytes")

    async def wait_for(self, predicate: Callable[["Viewer"], bool], within: float = 40) -> None:
        """Until the predicate holds; it is asked again after each chunk. AssertionError when the stream ends first."""
        await self._until(lambda: predicate(self), within, "what was waited for")

    async def ended(self, within: float = 40) -> Closed:
        """Until the server closes, and how it did."""
        await self._until(lambda: self.closed is not None, within, "the end")
        assert self.closed
        return self.closed

    def close(self) -> None:
        self._end("local")

    def reset(self) -> None:
        """Leave like a player that crashed."""
        if not self.closed:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._end("local")

    def verify(self, least: int = 1, switches: int | None = None) -> None:
        """The status is 200, and the checker is content with at least `least` bytes."""
        assert self.status == 200, f"status {self.status}"
        assert self.checker is not None
        self.checker.verify(least, switches)

    def _trickle(self, rate: float) -> None:
        self._read(max(1, round(rate * TICK)))
        if not self.closed:
            self._timer = self._loop.call_later(TICK, self._trickle, rate)

    def _drain(self) -> None:
        """Read until nothing is left: libuv calls once for data and a reset together, and then never again."""
        while self._read(CHUNK):
            pass

    def _read(self, size: int) -> bool:
        """Read once; False when there was nothing."""
        try:
            data = self._sock.recv(size)
        except BlockingIOError:
            return False
        except ConnectionError:
            self._end("reset")
            return False
        if data:
            self.reception.feed(data, time.monotonic())
            self._wake()
        else:
            self._end("eof")
        return not self.closed

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._sock)
        if self._timer:
            self._timer.cancel()

    def _end(self, how: Closed) -> None:
        if self.closed is None:
            self._stop_reading()
            self._sock.close()
            self.closed = how
            self._wake()

    def _wake(self) -> None:
        for predicate, future in self._waiting:
            if not future.done() and (self.closed or predicate()):
                future.set_result(None)

    async def _until(self, predicate: Callable[[], bool], within: float, what: str) -> None:
        if not predicate() and not self.closed:
            entry = (predicate, self._loop.create_future())
            self._waiting.append(entry)
            await asyncio.wait((entry[1],), timeout=within)
            self._waiting.remove(entry)
        state = f"status {self.status}, {self.total} bytes, closed: {self.closed}"
        assert predicate(), f"no {what} within {within} s; {state}"


async def connect(
    url: str,
    checker: Checker | None = None,
    *,
    sink: Sink | None = None,
    rate: float | None = None,
    receive_buffer: int | None = None,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Viewer:
    """Connect and send the request; `await viewer.head()` for the answer.

    `receive_buffer` (bytes) bounds what the kernel takes for a viewer that does not read.
    """
    address, request = request_head(method, url, headers or {})
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, request + body)
    except BaseException:
        sock.close()
        raise
    return Viewer(sock, checker, sink, rate)


async def stalled(url: str, checker: Checker | None = None, receive_buffer: int = 65_536) -> Viewer:
    """A viewer that never reads, until `set_rate`."""
    return await connect(url, checker, rate=0, receive_buffer=receive_buffer)


async def trickling(url: str, rate: float, checker: Checker | None = None, receive_buffer: int = 65_536) -> Viewer:
    """A viewer that reads `rate` bytes per second."""
    return await connect(url, checker, rate=rate, receive_buffer=receive_buffer)


async def join_many(url: str, count: int, checker: Callable[[], Checker] | None = None) -> list[Viewer]:
    """`count` viewers at once, each with a checker of its own."""
    return list(await asyncio.gather(*(connect(url, checker() if checker else None) for _ in range(count))))


class Reply:
    """A whole answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


async def fetch(
    url: str, *, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None, within: float = 40
) -> Reply:
    """One request whose answer ends: no keep-alive, no redirect followed; AssertionError after `within` seconds."""
    fields = {"Connection": "close", **(headers or {})}
    if body:
        fields["Content-Length"] = str(len(body))
    parts: list[bytes] = []
    viewer = await connect(url, sink=parts.append, method=method, headers=fields, body=body)
    try:
        await viewer.ended(within)
    finally:
        viewer.close()
    assert viewer.status, f"{method} {url}: closed without an answer ({viewer.closed})"
    whole = b"".join(parts)
    if viewer.headers.get("transfer-encoding") == "chunked":
        whole = unchunked(whole)
    return Reply(viewer.status, viewer.headers, whole)


def unchunked(data: bytes) -> bytes:
    """What is in the chunks of a body (RFC 9112 §7.1); AssertionError where their end is missing."""
    parts, at = [], 0
    while True:
        line, found, _ = data[at : at + 20].partition(b"\r\n")
        assert found, "the body breaks off between two chunks"
        at, size = at + len(line) + 2, int(line, 16)
        parts.append(data[at : at + size])
        at += size + 2
        if not size:
            return b"".join(parts)
