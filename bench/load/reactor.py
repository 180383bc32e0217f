"""The loop of one load process: epoll, timers, and nothing else. Plain Python: it has to stay small."""

import heapq
import itertools
import select
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR

Ready = Callable[[int], None]


class Reactor:
    """Calls `ready(events)` of a registered descriptor, and timers; `now` is the time of the present wake-up."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._began = time.monotonic()
        self._on = True

    def time(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def add(self, fd: int, events: int, ready: Ready) -> None:
        self._ready[fd] = ready
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Before the descriptor is closed."""
        del self._ready[fd]
        self._epoll.unregister(fd)

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._order), action))

    def stop(self) -> None:
        self._on = False

    def run(self) -> None:
        """Until `stop`."""
        poll, ready, timers = self._epoll.poll, self._ready, self._timers
        while self._on:
            wait = max(0.0, timers[0][0] - self.time()) if timers else 1.0
            for fd, events in poll(wait, 4096):
                call = ready.get(fd)
                if call is not None:  # removed by an earlier call of this round
                    call(events)
            now = self.time()
            while timers and timers[0][0] <= now and self._on:
                heapq.heappop(timers)[2]()

    def close(self) -> None:
        self._epoll.close()
