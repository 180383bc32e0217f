"""The table of open connections: admission, one tick a second for all deadlines, and their orderly end.

One timer serves ten thousand idle connections: looking at each of them once a second costs about two milliseconds,
while a timer per connection would be made and cancelled with every request.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from fastrelay.server.limits import Limits
from fastrelay.server.repeated import Common
from fastrelay.wire.response import stamp


class Connection(Protocol):
    """What the table needs of a connection."""

    def check(self, now: float) -> None:
        """Act on a deadline that has passed; `now` is the loop's time."""

    def drain(self) -> None:
        """Close now if idle, else after the answer in work."""

    def abort(self) -> None:
        """Close now."""


class Slot:
    """One counted connection. It is given back once, by whoever owns the socket in the end."""

    __slots__ = ("_released",)

    def __init__(self, released: Callable[[], None]) -> None:
        self._released: Callable[[], None] | None = released

    def release(self) -> None:
        """Idempotent."""
        if self._released is not None:
            self._released()
            self._released = None


_REFUSED_MAX = 64  # connections kept for a moment to tell them 503; they live off the reserve, so only so many


class Connections:
    """Everyone connected. `count` includes live viewers, who have left their connection's protocol behind."""

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.limits = limits
        self.count = 0
        self.draining = False
        self.common = Common()
        self._refused = 0
        self.stamp = stamp(time.time())
        self._loop = loop
        self._per_ip: dict[str, int] = {}
        self._open: set[Connection] = set()
        self._all_closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick."""
        self.stamp = stamp(time.time())
        self._timer = self._loop.call_later(self.limits.tick, self._tick)

    def stop(self) -> None:
        """Stop ticking. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def admit(self, ip: str) -> Slot | None:
        """A slot for a new connection from `ip`; None above a limit."""
        mine = self._per_ip.get(ip, 0)
        per_ip = self.limits.max_connections_per_ip
        if self.count >= self.limits.max_connections or (per_ip and mine >= per_ip):
            return None
        self.count += 1
        self._per_ip[ip] = mine + 1
        return Slot(partial(self._leave, ip))

    def admit_to_refuse(self) -> Slot | None:
        """A slot for a connection above the limit, to tell it so; None when there is no room even for that."""
        if self._refused >= _REFUSED_MAX:
            return None
        self._refused += 1
        return Slot(self._leave_refused)

    def _leave(self, ip: str) -> None:
        self.count -= 1
        self._per_ip[ip] -= 1
        if not self._per_ip[ip]:
            del self._per_ip[ip]

    def _leave_refused(self) -> None:
        self._refused -= 1

    def add(self, connection: Connection) -> None:
        """Watch over a connection's deadlines."""
        self._open.add(connection)

    def discard(self, connection: Connection) -> None:
        """The connection is closed, or a live viewer's now."""
        self._open.discard(connection)
        if self.draining and not self._open:
            self._all_closed.set()

    async def drain(self, seconds: float) -> None:
        """End all connections: idle ones now, others after their answer, and by force after `seconds`."""
        self.draining = True
        for connection in tuple(self._open):
            connection.drain()
        if self._open:
            try:
                await asyncio.wait_for(self._all_closed.wait(), seconds)
            except TimeoutError:
                for connection in tuple(self._open):
                    connection.abort()

    def _tick(self) -> None:
        now = self._loop.time()
        self.stamp = stamp(time.time())
        self._timer = self._loop.call_later(self.limits.tick, self._tick)
        for connection in tuple(self._open):
            connection.check(now)
