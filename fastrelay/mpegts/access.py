"""The access units of one stream, packet by packet: their time stamps, and which of them are random-access points."""

from dataclasses import dataclass

from fastrelay.mpegts.clock import ProgramClock
from fastrelay.mpegts.codecs import codec_of
from fastrelay.mpegts.packet import RANDOM_ACCESS, SCRAMBLING, adaptation_flags, payload_at
from fastrelay.mpegts.pes import NO_PES, PesHead, read_head
from fastrelay.mpegts.picture import picture_rules
from fastrelay.mpegts.psi import ElementaryStream
from fastrelay.mpegts.units import Verdict

MAX_UNSTAMPED = 64
"""After so many access units without a time stamp that can be read the PCR takes over as the clock, until one comes."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A random-access point. `tables` and then the bytes from `position` on are a stream a decoder can start with."""

    position: int
    """Absolute byte position of the packet in which it begins."""
    seconds: float
    """Media time there, by the scanner's clock."""
    pts: int | None
    """Ticks of 90 kHz, 33 bits; None where the stream sends none."""
    dts: int | None
    """The same; equal to `pts` where the stream sends no DTS of its own."""
    tables: bytes
    """The packets of PAT and PMT in force, as received; their counters lead up to the packets that follow."""


class AccessUnits:
    """Decides about one access unit after the other: `begin` with its first packet, `go_on` with the others.

    A scrambled access unit is no random-access point.
    """

    def __init__(self, stream: ElementaryStream, clock: ProgramClock) -> None:
        codec = codec_of(stream)
        self.pid = stream.pid
        self.video = codec.kind == "video"
        self.scrambled = False
        """The last access unit was."""
        self.heard = 0
        """Access units that were not."""
        self.pending: int | None = None
        """Position of the access unit that is undecided."""
        self._picture = picture_rules(codec.name, self.video)
        self._clock = clock
        self._unstamped = 0
        self._tables = b""
        self._beginning = b""
        """The first bytes of a PES packet while its head is not complete."""
        self._head: PesHead | None = None
        self._seconds = 0.0

    @property
    def clocked_by_pcr(self) -> bool:
        return self._unstamped > MAX_UNSTAMPED

    def begin(self, packet: bytes, position: int, tables: bytes) -> list[Mark]:
        """A packet with payload_unit_start_indicator: marks for the unit before and for this one, as far as certain."""
        marks = [] if self.pending is None else self.end()
        self.scrambled = bool(packet[3] & SCRAMBLING)
        if self.scrambled:
            self._tick(None)
        else:
            self.pending = position
            self._tables = tables
            self._beginning = b""
            self._head = None
            self._picture.start(bool(adaptation_flags(packet, 0) & RANDOM_ACCESS))
            marks += self.go_on(packet)
        return marks

    def go_on(self, packet: bytes) -> list[Mark]:
        """The next packet of the pending access unit."""
        if packet[3] & SCRAMBLING:
            self.scrambled = True
            return self._decide(False)
        payload = packet[payload_at(packet, 0) :]
        if self._head is None:
            self._beginning += payload
            self._head = read_head(self._beginning)
            if self._head is None:
                return []
            payload = self._beginning[self._head.payload :]
            self._open(self._head)
        if self.pending is None:
            return []
        return self._decide(self._picture.feed(payload))

    def end(self) -> list[Mark]:
        """Nothing more comes of the pending access unit: the mark it turns out to be, if any."""
        if self.pending is None:
            return []
        return self._decide(self._head is not None and self._picture.finish())

    def _open(self, head: PesHead) -> None:
        """The PES head is complete: the access unit has its time now."""
        self._tick(head.dts)
        self._seconds = self._clock.main_seconds
        self.scrambled = head.scrambled
        self.heard += not head.scrambled
        if head.scrambled or (self.video and head is NO_PES):
            self.pending = None

    def _tick(self, stamp: int | None) -> None:
        # Stamps and PCRs are on one time line but seconds apart: the clock starts anew when they take turns.
        if stamp is None:
            self._unstamped += 1
            if self._unstamped == MAX_UNSTAMPED + 1:
                self._clock.forget()
            return
        if self.clocked_by_pcr:
            self._clock.forget()
        self._unstamped = 0
        self._clock.tick(stamp)

    def _decide(self, verdict: Verdict) -> list[Mark]:
        if verdict is None or self.pending is None:
            return []
        position, self.pending = self.pending, None
        if not verdict or not self._tables:
            return []
        head = self._head or NO_PES
        return [Mark(position, self._seconds, head.pts, head.dts, self._tables)]
