"""The viewer that must not notice what happens to the others."""

import select
import socket
import threading
import time
from types import TracebackType
from typing import Self

from tests.kit.checker import Checker
from tests.kit.position_coded import PositionCoded
from tests.kit.reception import Reception, request_head


class HealthyViewer:
    """Watches while the body of the `with` runs, and fails it if a byte was wrong or a gap longer than `max_gap` s.

    It has a thread of its own, so that a busy test loop is not taken for a gap. It enters with the first byte.
    `beside` is one that watches the same source at the same time on a server without any fault: the machine may stand
    still for both of them, so its longest gap is forgiven.

        with HealthyViewer(url, source) as healthy:
            ...  # the fault
        assert healthy.checker.switches == []
    """

    def __init__(
        self, url: str, *sources: PositionCoded, max_gap: float = 0.25, within: float = 40, beside: Self | None = None
    ) -> None:
        self.checker = Checker(*sources)
        self.reception = Reception(self.checker.feed)
        self.max_gap = max_gap
        self._beside = beside
        self.ended: str | None = None
        """`eof` or `reset`, when the server has closed."""
        self._url, self._within = url, within
        self._leave = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="healthy viewer", daemon=True)

    def __enter__(self) -> Self:
        address, request = request_head("GET", self._url, {})
        self._sock = socket.create_connection(address, self._within)
        self._sock.sendall(request)
        self._thread.start()
        if not self._started.wait(self._within) or self.ended:
            self._stop()
            raise AssertionError(f"no stream for the healthy viewer: status {self.reception.status}, {self.ended}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if error is None:
            self.verify()

    def verify(self) -> None:
        self.checker.verify()
        assert self.ended is None, f"the healthy viewer was closed: {self.ended}"
        gap = self.reception.gap_with(self._left)
        forgiven = self._beside.reception.gap_with(self._left) if self._beside else 0.0
        assert gap <= self.max_gap + forgiven, (
            f"a gap of {gap * 1000:.0f} ms at byte {self.reception.largest_gap_at}, {forgiven * 1000:.0f} ms forgiven"
        )

    def _stop(self) -> None:
        self._leave.set()
        self._thread.join()
        self._sock.close()

    def _watch(self) -> None:
        while not self._leave.is_set():
            if not select.select([self._sock], [], [], 0.02)[0]:
                continue
            now = time.monotonic()
            try:
                data = self._sock.recv(1 << 18)
            except ConnectionError:
                self.ended = "reset"
                break
            if not data:
                self.ended = "eof"
                break
            self.reception.feed(data, now)
            if self.reception.total:
                self._started.set()
        self._left = time.monotonic()
        self._started.set()
