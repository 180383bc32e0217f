"""`GET /api/events`: what runs, live, as server-sent events. Readable by all, like the status, credentials redacted."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from fastrelay.endpoints.auth import Access
from fastrelay.endpoints.board import Board, Shown
from fastrelay.errors import RequestError
from fastrelay.streams.history import STEP
from fastrelay.wire.request import Request
from fastrelay.wire.response import Outlet, Takeover
from fastrelay.wire.router import Router

EVERY = 1.0
"""Seconds between two updates."""
READERS_MAX = 200
"""Readers at a time: everyone may ask, and each holds a connection. Administrators are always let in."""
SLICE = 50
"""Readers told in one go: with 50 streams that takes 5 ms, and then others have their turn."""
SLOW = 10.0
"""Seconds after which a reader who has not taken one update is dropped. He misses those in between."""
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment shows everybody on the way that the connection is in use."""

_COMMENT = b": nothing new\n\n"
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    # nginx would gather the events of minutes before it passes them on.
    ("X-Accel-Buffering", "no"),
)


class Audience(NamedTuple):
    """What a reader is: may credentials be shown, and may he manage the server."""

    reveal: bool
    manager: bool


class EventsEndpoint:
    """One render a second for all readers, and none while there are none; samples for the history are always taken."""

    def __init__(self, running: Callable[[], list[Shown]], access: Access) -> None:
        """`running` gives what runs now, of every kind."""
        self._running = running
        self._access = access
        self._board = Board(running)
        self._readers: dict[Reader, Audience] = {}
        self._snapshots: dict[Audience, bytes] = {}
        """Those rendered since the last update."""
        self._timer: asyncio.TimerHandle | None = None
        self._sampler: asyncio.TimerHandle | None = None
        self._told_at = 0.0
        self._idle = False
        self._stopped = False

    def register(self, router: Router) -> None:
        router.add("GET", "/api/events", self.read)

    def start(self) -> None:
        """Begin to take samples."""
        self._loop = asyncio.get_running_loop()
        self._take_sample()

    def stop(self) -> None:
        """End every reader's answer in order. Idempotent."""
        self._stopped = True
        for timer in (self._timer, self._sampler):
            if timer is not None:
                timer.cancel()
        self._timer = self._sampler = None
        for reader in tuple(self._readers):
            reader.finish()
        self._readers.clear()

    def read(self, request: Request) -> Takeover:
        """A snapshot, then an update a second, as long as somebody reads. 503 where too many do."""
        if self._stopped:
            raise RequestError(503, "draining", "the server is stopping")
        audience = Audience(self._access.is_admin(request), self._access.may_manage(request))
        if len(self._readers) >= READERS_MAX and not audience.reveal and request.method != "HEAD":
            raise RequestError(503, "too_many_readers", "too many read the events", (("Retry-After", "5"),))

        def attach(outlet: Outlet, head: bytes) -> Callable[[], None]:
            reader = Reader(outlet, lambda gone: self._readers.pop(gone, None))
            self._readers[reader] = audience
            reader.offer(head + self._snapshot(audience), self._loop.time())
            if self._timer is None:
                self._timer = self._loop.call_later(EVERY, self._tick)
            return reader.left

        return Takeover(attach, content_type="text/event-stream; charset=utf-8", headers=_HEADERS)

    def _snapshot(self, audience: Audience) -> bytes:
        if audience not in self._snapshots:
            self._snapshots[audience] = self._board.snapshot(reveal=audience.reveal, manager=audience.manager)
        return self._snapshots[audience]

    def _take_sample(self) -> None:
        self._sampler = self._loop.call_later(STEP, self._take_sample)
        self._board.sample(self._loop.time())

    def _tick(self) -> None:
        self._timer = None
        # Rendered before this update, a snapshot would take what is new back.
        self._snapshots.clear()
        if not self._readers:
            return
        self._timer = self._loop.call_later(EVERY, self._tick)
        now = self._loop.time()
        updates = self._updates(now)
        readers = tuple(self._readers.items())
        for first in range(0, len(readers), SLICE):
            self._loop.call_soon(self._tell, readers[first : first + SLICE], updates, now)

    def _tell(self, readers: tuple[tuple["Reader", Audience], ...], updates: dict[bool, bytes], now: float) -> None:
        for reader, audience in readers:
            if reader not in self._readers:
                continue
            if reader.behind and reader.idle:
                reader.offer(self._snapshot(audience), now)
            elif updates:
                reader.offer(updates[audience.reveal], now)
            reader.check(now)

    def _updates(self, now: float) -> dict[bool, bytes]:
        """Nothing, where nothing runs and that was told already."""
        idle = not self._running()
        if idle and self._idle:
            if now - self._told_at < KEEP_ALIVE:
                return {}
            updates = dict.fromkeys((False, True), _COMMENT)
        else:
            updates = self._board.updates({audience.reveal for audience in self._readers.values()})
        self._idle = idle
        self._told_at = now
        return updates


class Reader:
    """One connection. At most one message waits for it, and that is shared with all others."""

    def __init__(self, outlet: Outlet, forget: Callable[["Reader"], object]) -> None:
        self.behind = False
        """It has missed an update: only a snapshot tells it the truth again."""
        self._outlet = outlet
        self._forget = forget
        self._rest = memoryview(b"")
        self._waiting_since = 0.0

    @property
    def idle(self) -> bool:
        """It has taken everything so far."""
        return not self._rest

    def offer(self, message: bytes, now: float) -> None:
        """Send it, now or as the reader reads. Who still reads the one before misses it."""
        if self._rest:
            self.behind = True
            return
        self.behind = False
        self._rest = memoryview(message)
        self._waiting_since = now
        self._more()
        if self._rest:
            self._outlet.watch(self._more)

    def check(self, now: float) -> None:
        """Drop a reader who does not read."""
        if self._rest and now - self._waiting_since >= SLOW:
            self._drop()

    def finish(self) -> None:
        """The end of the answer, unless it stands in the middle of a message."""
        if self._rest:
            self._outlet.reset()
        else:
            self._outlet.finish()

    def left(self) -> None:
        """The other side is gone."""
        self._rest = memoryview(b"")
        self._forget(self)

    def _more(self) -> None:
        try:
            self._rest = self._rest[self._outlet.send(self._rest) :]
        except OSError:
            self._drop()
            return
        if not self._rest:
            self._outlet.unwatch()

    def _drop(self) -> None:
        self._outlet.unwatch()
        self._outlet.reset()
        self.left()
