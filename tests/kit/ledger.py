"""What an origin counted, readable from any thread and awaitable in any loop."""

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable


class Ledger:
    """Counts of connections (sockets) and of requests per path (without the query). Times are time.monotonic()."""

    def __init__(self) -> None:
        self.connections_now = 0
        self.connections_ever = 0
        self.most_connections = 0
        """At the same time."""
        self.requests: Counter[str] = Counter()
        self.active: Counter[str] = Counter()
        """Requests of a path that are being answered."""
        self.most_active: Counter[str] = Counter()
        self.began: defaultdict[str, list[float]] = defaultdict(list)
        """When each request of a path came."""
        self.ended: defaultdict[str, list[float]] = defaultdict(list)
        """When each answer was complete, or its peer had left."""
        self.headers: dict[str, dict[str, str]] = {}
        """Of the last request of a path; names in lower case."""
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def opened(self) -> None:
        self.connections_ever += 1
        self.connections_now += 1
        self.most_connections = max(self.most_connections, self.connections_now)
        self._changed()

    def closed(self) -> None:
        self.connections_now -= 1
        self._changed()

    def begins(self, path: str, headers: dict[str, str]) -> None:
        self.requests[path] += 1
        self.active[path] += 1
        self.most_active[path] = max(self.most_active[path], self.active[path])
        self.began[path].append(time.monotonic())
        self.headers[path] = headers
        self._changed()

    def ends(self, path: str) -> None:
        self.active[path] -= 1
        self.ended[path].append(time.monotonic())
        self._changed()

    async def wait_for(self, predicate: Callable[[], bool], within: float) -> None:
        changed = asyncio.Event()
        with self._lock:
            self._waiting[changed] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                while not predicate():
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            raise AssertionError(f"not within {within} s; the origin saw: {self}") from None
        finally:
            with self._lock:
                del self._waiting[changed]

    def __str__(self) -> str:
        active = {path: count for path, count in self.active.items() if count}
        sockets = f"{self.connections_now} connections now, {self.connections_ever} ever"
        return f"{sockets}; requests {dict(self.requests)}; being answered {active}"

    def _changed(self) -> None:
        with self._lock:
            for event, loop in self._waiting.items():
                loop.call_soon_threadsafe(event.set)
