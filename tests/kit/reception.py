"""What a viewer notes about a response, whatever it reads it with: head, bytes, and how long it had to wait."""

from collections.abc import Callable

Sink = Callable[[bytes], None]


class Reception:
    """Feed it what comes from the socket, with the time. Gaps are seconds between two arrivals of body bytes."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.total = 0
        """Bytes of body."""
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.largest_gap = 0.0
        self.largest_gap_at = 0
        """Position in the body before which the largest gap was."""
        self._sink = sink
        self._head = b""

    def feed(self, data: bytes, now: float) -> None:
        if not self.status:
            data = self._read_head(data)
        if data:
            self._note_gap(now)
            self.total += len(data)
            if self._sink:
                self._sink(data)

    def forget_gaps(self) -> None:
        self.largest_gap, self.largest_gap_at = 0.0, self.total

    def gap_with(self, now: float) -> float:
        """The largest gap, the one that is still open included."""
        waiting = now - self.last_at if self.last_at is not None else 0.0
        return max(self.largest_gap, waiting)

    def _note_gap(self, now: float) -> None:
        if self.last_at is None:
            self.first_at = now
        elif now - self.last_at > self.largest_gap:
            self.largest_gap, self.largest_gap_at = now - self.last_at, self.total
        self.last_at = now

    def _read_head(self, data: bytes) -> bytes:
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in fields}
        self.status = int(first.split(" ")[1])
        return body


def request_head(method: str, url: str, fields: dict[str, str]) -> tuple[tuple[str, int], bytes]:
    """Where to connect to, and the bytes to send there."""
    authority, _, path = url.removeprefix("http://").partition("/")
    host, _, port = authority.partition(":")
    lines = [
        f"{method} /{path} HTTP/1.1",
        f"Host: {authority}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return (host, int(port or 80)), "\r\n".join((*lines, "", "")).encode()
