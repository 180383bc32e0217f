"""A viewer of one endless response: reads as fast as it comes, and notes when something came."""

import socket
from collections.abc import Callable
from typing import Protocol

from bench.load.answer import read_head, request
from bench.load.connection import DISCARD, SCRAP, dial, failure
from bench.load.options import Target
from bench.load.reactor import READ, WRITE, Reactor
from bench.load.record import Viewing

SAME_CHUNK = 0.005
"""Reads closer together than this are one chunk of the server, seen in parts."""

_PIECE = 256 * 1024


class Check(Protocol):
    """Looks at every byte; returns what is wrong, or nothing."""

    def feed(self, data: memoryview) -> str: ...


class TsViewer:
    """Dials at once; `over` is called when it ends before `stop`."""

    def __init__(
        self,
        reactor: Reactor,
        target: Target,
        viewing: Viewing,
        *,
        gather: int,
        check: Check | None,
        over: Callable[["TsViewer"], None],
    ) -> None:
        self.viewing = viewing
        self.receiving = False
        """Something came since this was last set back."""
        self.gaps: list[float] | None = None
        """None until the measured time begins, and for who is no probe."""
        self.measured = False
        self._reactor = reactor
        self._target = target
        self._gather = gather
        self._check = check
        self._over = over
        self._most, self._flags = (0, DISCARD) if check is None else (_PIECE, 0)
        self._last = 0.0
        self._head = bytearray()
        viewing.asked = reactor.time()
        self._sock = dial(target)
        self._fd = self._sock.fileno()
        reactor.add(self._fd, WRITE, self._connected)
        self._recv_into = self._sock.recv_into
        self._time = reactor.time

    def stop(self) -> None:
        """Close, if it is not closed."""
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            self._sock.close()
            self._fd = -1

    def drain(self) -> None:
        """Take what has come but was not enough to be woken for."""
        if self._fd >= 0 and self.viewing.first_byte is not None and not self.viewing.slow:
            self._ready(READ)

    def _connected(self, events: int) -> None:
        try:
            self._sock.send(request(self._target.host, self._target.path, keep=False))
        except OSError as error:
            self._end(f"could not connect: {error.strerror}")
            return
        self._reactor.remove(self._fd)
        self._reactor.add(self._fd, READ, self._read_head)

    def _read_head(self, events: int) -> None:
        try:
            data = self._sock.recv(_PIECE)
            if not data:
                self._end("closed before the response head")
                return
            self._head += data
            found = read_head(self._head)
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._end(str(error))
            return
        if found is None:
            return
        answer, size = found
        if answer.status != 200:
            self._end(f"status {answer.status}")
        elif answer.chunked and self._check is not None:
            self._end("a chunked response cannot be verified")
        else:
            self._begin(bytes(self._head[size:]))

    def _begin(self, body: bytes) -> None:
        self._head.clear()
        self._last = self._time()
        if body:
            self._took(len(body), self._last)
            if self._check is not None and self._wrong(memoryview(body)):
                return
        self._reactor.remove(self._fd)
        if self.viewing.slow:
            # Registered for nothing: epoll still tells when the server has had enough of it.
            self._reactor.add(self._fd, 0, self._dropped)
            return
        self._reactor.add(self._fd, READ, self._ready)
        if self._gather:
            # Not before: the first byte is to be timed when it comes.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._gather)

    def _dropped(self, events: int) -> None:
        self._end(failure(self._sock))

    def _ready(self, events: int) -> None:
        """The hot path: one call of the kernel, which throws everything away unless it is to be checked."""
        try:
            count = self._recv_into(SCRAP, self._most, self._flags)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        if not count:
            self._end("closed by the server")
            return
        now = self._time()
        gap = now - self._last
        if self.measured and gap > self.viewing.longest_gap:
            self.viewing.longest_gap = gap
        if self.gaps is not None and gap > SAME_CHUNK:
            self.gaps.append(gap)
        self._took(count, now)
        if self._check is not None:
            self._wrong(memoryview(SCRAP)[:count])

    def _took(self, count: int, now: float) -> None:
        self._last = now
        self.receiving = True
        self.viewing.received += count
        if self.viewing.first_byte is None:
            self.viewing.first_byte = now

    def _wrong(self, data: memoryview) -> bool:
        """One wrong byte is enough: what comes after it says nothing new."""
        assert self._check is not None
        self.viewing.wrong = self._check.feed(data)
        if self.viewing.wrong:
            self._end("wrong bytes")
        return bool(self.viewing.wrong)

    def _end(self, why: str) -> None:
        self.viewing.over = why
        self.viewing.over_at = self._time()
        self.stop()
        self._over(self)
