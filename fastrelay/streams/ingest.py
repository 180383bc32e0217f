"""From a source's bytes to the ring: framed, held back until ready, spliced, marked, appended. Pure."""

from collections.abc import Iterator
from typing import Protocol

from fastrelay.mpegts.gate import Gate
from fastrelay.mpegts.marks import Mark, Scanner
from fastrelay.mpegts.packet import PACKET_SIZE, Framer
from fastrelay.mpegts.psi import Program
from fastrelay.mpegts.recount import Recounter
from fastrelay.mpegts.splice import Splicer
from fastrelay.ring.index import Index
from fastrelay.ring.retention import Retention
from fastrelay.ring.ring import Buffer, Ring

PIECE = 64 * 1024 // PACKET_SIZE * PACKET_SIZE
"""Bytes appended at a time, whole packets: small against the least ring, so that readers get their chance."""


class Tap(Protocol):
    """Who reads along with what goes into the ring: HLS."""

    bursting: bool
    """More comes at once: a source's first media are being taken as fast as they arrive."""

    @property
    def needed(self) -> int | None:
        """The ring shall keep the bytes from this position on."""

    @property
    def primed(self) -> bool:
        """As much of a burst as is of use at a cold start has come."""

    def appended(self, marks: list[Mark]) -> None:
        """The ring's head moved; `marks` are new, and may lie before what was appended last."""

    def spliced(self, position: int) -> None:
        """The bytes from `position` on will not continue those before."""

    def border(self, position: int, target_duration: float) -> None:
        """A segment of an HLS source begins at `position`; the source's target duration is in seconds."""


class Ingest:
    """The way of the bytes into one ring, across all sources that feed it in turn."""

    def __init__(self, ring: Ring, index: Index, retention: Retention) -> None:
        self.ring = ring
        self.index = index
        self.scanner = Scanner()
        self.tap: Tap | None = None
        self._retention = retention
        self._framer = Framer()
        self._splicer = Splicer()
        self._recounter = Recounter(self.scanner.continuity.last)
        self._gate: Gate | None = Gate()

    @property
    def open(self) -> bool:
        """True while what is fed goes into the ring; False while a new source is held back."""
        return self._gate is None

    def missing(self) -> str:
        """What a source lacks that is held back, or of which nothing can be decoded any more, for people."""
        if not self._framer.locked:
            return "no transport stream packets"
        if self._gate is not None:
            return self._gate.missing()
        return "its program is scrambled now" if self.scanner.scrambled else "nothing of its program comes any more"

    def begin(self) -> None:
        """What follows comes from another source, or does not continue what came: hold it back until it is ready.

        The unfinished packet of what came before dies here, so that only whole packets ever enter the ring.
        """
        self._framer.reset()
        self._gate = Gate()
        self._recounter.begin()
        self.index.burst = 0.0

    def begin_segment(self, target_duration: float) -> None:
        """What follows is a new segment of an HLS source."""
        self.index.burst = target_duration
        if self._gate is not None:
            return
        self._recounter.border()
        if self.tap is not None:
            self.tap.border(self.ring.head, target_duration)

    def feed(self, data: bytes) -> bool:
        """Take a source's next bytes (at most about PIECE at a time); True when the ring's head has moved."""
        packets: Buffer = self._framer.feed(data)
        if self._gate is not None:
            packets = self._gate.feed(packets)
            if not self._gate.open:
                return False
            if self.ring.head:
                self._splice(self._gate.programs)
            self._gate = None
        packets = self._recounter.rewrite(self._splicer.rewrite(packets))
        for piece in _pieces(packets):
            self._append(piece)
        return len(packets) > 0

    def _splice(self, programs: tuple[Program, ...]) -> None:
        self._splicer.splice(self.scanner.ranked_programs, programs)
        self.scanner.splice()
        self.index.splice(self.ring.head)
        if self.tap is not None:
            self.tap.spliced(self.ring.head)

    def _append(self, packets: memoryview) -> None:
        needed = self.tap.needed if self.tap is not None else None
        size = self._retention.size_for(self.ring, self.index, len(packets), needed)
        if size > self.ring.size:
            self.ring.grow(size)
        marks = self.scanner.scan(packets, self.ring.head)
        for mark in marks:
            self.index.add(mark)
        self.ring.append(packets)
        self.index.advance(self.ring.head, self.scanner.clock.seconds)
        self.index.forget(self.ring.tail)
        if self.tap is not None:
            self.tap.appended(marks)


def _pieces(packets: Buffer) -> Iterator[memoryview]:
    whole = memoryview(packets)
    for start in range(0, len(whole), PIECE):
        yield whole[start : start + PIECE]
