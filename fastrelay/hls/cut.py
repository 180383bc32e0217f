"""A file as HLS: the segmenter of live streams, run over bytes that have an end."""

from fastrelay.errors import FormatError
from fastrelay.hls.packager import Packager
from fastrelay.hls.segmenter import Segmenter
from fastrelay.hls.store import Memory, Store
from fastrelay.mpegts.marks import Scanner
from fastrelay.mpegts.packet import Framer

_NO_LIMIT = 1 << 62


class _Tape:
    """The bytes still needed, by their absolute positions."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.start = 0

    @property
    def head(self) -> int:
        return self.start + len(self._held)

    def append(self, data: bytes | memoryview) -> None:
        self._held += data

    def read(self, start: int, end: int) -> bytes:
        return bytes(self._held[start - self.start : end - self.start])

    def forget(self, before: int) -> None:
        del self._held[: before - self.start]
        self.start = before


class Cutter:
    """Takes the bytes of a file, chunk by chunk. Holds all segments in `store`."""

    def __init__(self, segment_duration: float) -> None:
        self._tape = _Tape()
        self._framer = Framer()
        self._scanner = Scanner()
        self._segmenter = Segmenter(segment_duration, self._tape.read, from_start=True)
        self.store = Store(0.0, None, Memory(_NO_LIMIT))
        self.packager = Packager(self._segmenter, self.store, self._tape.read, dated=False)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, in pieces of any size."""
        packets = self._framer.feed(chunk)
        marks = self._scanner.scan(packets, self._tape.head)
        self._tape.append(packets)
        self.packager.feed(marks, self._tape.head, self._scanner.clock.seconds, 0, 0.0)
        if self._segmenter.needed is not None:
            self._tape.forget(self._segmenter.needed)

    def finish(self) -> None:
        """The file is over. Raises FormatError when nothing in it can be played."""
        if self._segmenter.needed is None:
            lacks = "a random-access point" if self._scanner.program else "a program (PAT and PMT)"
            raise FormatError(f"expected a transport stream with {lacks}, but there is none")
        self.packager.finish(self._tape.head, self._scanner.clock.seconds, 0.0)
