"""GET after GET over one kept connection, the way an HLS player asks."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.answer import Answer, read_head, request
from bench.load.connection import DISCARD, SCRAP, dial
from bench.load.options import Target
from bench.load.reactor import READ, WRITE, Reactor

_PIECE = 256 * 1024
_WAKE_FOR = 512 * 1024
"""Bytes of a large body for which it is woken: reading it in small parts costs the load, and the server, much more."""


@dataclass(frozen=True)
class Fetched:
    """A whole answer; `body` is empty where it was thrown away."""

    status: int
    size: int
    body: bytes
    waited: float
    """Seconds from the request to the first byte of the answer."""


class Fetcher:
    """One request at a time. `done(fetched)` or `failed(why)` is called once for each `get`."""

    def __init__(
        self, reactor: Reactor, target: Target, done: Callable[[Fetched], None], failed: Callable[[str], None]
    ) -> None:
        self.received = 0
        """Bytes of all bodies so far."""
        self._reactor = reactor
        self._target = target
        self._done = done
        self._failed = failed
        self._sock: socket.socket | None = None
        self._busy = False

    def get(self, path: str, keep_body: bool) -> None:
        """Ask; `keep_body` off throws the body away without looking at it."""
        self._path, self._keep = path, keep_body
        self._data = bytearray()
        self._answer: Answer | None = None
        self._size = 0
        self._busy = True
        self._asked, self._waited = self._reactor.time(), 0.0
        self._again = self._sock is not None
        if self._sock is None:
            self._dial()
        else:
            self._ask(WRITE)

    def close(self) -> None:
        """Let go of the connection."""
        if self._sock is not None:
            self._reactor.remove(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _dial(self) -> None:
        try:
            self._sock = dial(self._target)
        except OSError as error:
            self._fail(f"could not connect: {error.strerror}")
            return
        self._reactor.add(self._sock.fileno(), WRITE, self._ask)

    def _ask(self, events: int) -> None:
        assert self._sock is not None
        try:
            self._sock.send(request(self._target.host, self._path, keep=True))
        except OSError as error:
            self._broken(f"could not connect: {error.strerror}")
            return
        self._reactor.remove(self._sock.fileno())
        self._reactor.add(self._sock.fileno(), READ, self._ready)

    def _ready(self, events: int) -> None:
        assert self._sock is not None
        try:
            if self._answer is not None and not self._keep:
                self._thrown_away(self._sock.recv_into(SCRAP, self._rest(), DISCARD))
            else:
                self._kept(self._sock.recv(_PIECE))
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._broken(str(error))

    def _rest(self) -> int:
        """Bytes of the body that are still to come; 0 (as many as there are) where its length is not known."""
        assert self._answer is not None
        return 0 if self._answer.length is None else min(self._answer.length - self._size, len(SCRAP))

    def _kept(self, data: bytes) -> None:
        if not data:
            self._eof()
            return
        if not self._waited:
            self._waited = self._reactor.time() - self._asked
        self._data += data
        if self._answer is None:
            found = read_head(self._data)
            if found is None:
                return
            self._answer, size = found
            del self._data[:size]
            # What is chunked has to be looked at to find its end.
            self._keep = self._keep or self._answer.chunked
            self._size = len(self._data)
        else:
            self._size += len(data)
        self._check_end()

    def _thrown_away(self, count: int) -> None:
        if not count:
            self._eof()
            return
        self._size += count
        self._check_end()

    def _check_end(self) -> None:
        answer = self._answer
        assert answer is not None and self._sock is not None
        if answer.chunked:
            plain = unchunk(self._data)
            if plain is not None:
                self._data, self._size = bytearray(plain), len(plain)
                self._finish(answer)
        elif answer.length is not None and self._size >= answer.length:
            if self._size > answer.length:
                raise ValueError(f"{self._size - answer.length} bytes more than Content-Length says")
            self._finish(answer)
        elif not self._keep and answer.length is not None:
            least = max(1, min(answer.length - self._size, _WAKE_FOR))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)

    def _eof(self) -> None:
        if self._answer is not None and self._answer.length is None and not self._answer.chunked and self._busy:
            self._finish(self._answer)
        else:
            self._broken("closed by the server")

    def _finish(self, answer: Answer) -> None:
        self._busy = False
        self.received += self._size
        if not answer.keeps_alive or (answer.length is None and not answer.chunked):
            self.close()
        elif not self._keep and self._sock is not None:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._done(Fetched(answer.status, self._size, bytes(self._data) if self._keep else b"", self._waited))

    def _broken(self, why: str) -> None:
        self.close()
        if not self._busy:
            return  # closed while idle: the next request dials
        if self._again and self._answer is None and not self._data:
            # A kept connection may be closed by the server just when the next request goes out: that is no fault.
            self._again = False
            self._dial()
            return
        self._fail(why)

    def _fail(self, why: str) -> None:
        self._busy = False
        self._failed(f"{self._path}: {why}")


def unchunk(data: bytes | bytearray) -> bytes | None:
    """The body out of its chunks (RFC 9112 §7.1); None while the last one has not come."""
    parts: list[bytes] = []
    at = 0
    with contextlib.suppress(ValueError):
        while True:
            end = data.index(b"\r\n", at)
            size = int(data[at:end].partition(b";")[0], 16)
            if not size:
                return b"".join(parts) if data.find(b"\r\n", end + 2) >= 0 else None
            parts.append(bytes(data[end + 2 : end + 2 + size]))
            at = end + 2 + size + 2
    return None
