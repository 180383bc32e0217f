"""What every kind of source promises to the stream that reads it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of one transport stream, in order; not necessarily whole packets.

    `discontinuity`: these bytes do not continue the ones before (an HLS discontinuity, a gap, skipped segments).
    The unfinished packet before them is lost and a splice is due in front of them.
    """

    data: bytes
    discontinuity: bool = False


class Source(Protocol):
    """One upstream, already opened: connected, first byte seen, known to be a transport stream.

    The reader calls `read` only when it can take more: not reading is the back-pressure. Timers of a source run
    only inside `read`, so a paused reader never makes a source fail.
    """

    kind: str
    """`ts`, `hls`, `udp`, `rtp`, `file` or `exec`, for status and logs."""

    paced: bool
    """False where the reader must never pause because the sender cannot be slowed (UDP, RTP)."""

    lost: int
    """Packets or datagrams known to be lost on the way in: kernel overflow, RTP sequence holes, skipped segments."""

    @property
    def target_duration(self) -> float:
        """Seconds a chunk may last where chunks are the segments of an HLS playlist; 0 where they are just bytes."""

    async def read(self) -> Chunk | None:
        """The next bytes; None when a finite source has truly ended (HLS with EXT-X-ENDLIST).

        Raises SourceError (a subclass says why) when the source failed; then only `close` may be called.
        """

    def gather(self, seconds: float, size: int) -> None:
        """Nobody misses the next bytes for so long, or until there are so many: they may gather where they arrive, and
        wake us once. A wish: a source whose chunks are large anyway ignores it. How a source ends is told at once.
        """

    async def close(self) -> None:
        """Release the connection, child or socket and wait until it is really gone. Idempotent, never raises."""
