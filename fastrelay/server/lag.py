"""How late the event loop is: what holds it, holds every viewer."""

import asyncio
import time
from collections.abc import Callable

EVERY = 0.1
"""Seconds between two measurements: whatever holds the loop longer than that is seen, shorter holds by chance."""


class LagMeter:
    """Sets a timer again and again; `observe` is told how many seconds late it came."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Measure until `stop`."""
        # Not the loop's time, which stands still while the loop is held.
        self._due = time.perf_counter() + EVERY
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._tick)

    def stop(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._observe(max(0.0, time.perf_counter() - self._due))
        self.start()
